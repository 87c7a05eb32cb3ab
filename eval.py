"""Evaluate a trained MAML: `python eval.py --data_path DATA --ckpt CKPT`; the program is src/programs/evaluate.py."""
from mindspore_maml.commands import evaluate

if __name__ == "__main__":
    evaluate()
