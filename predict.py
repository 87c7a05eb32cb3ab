"""Classify your own images: `python predict.py --support A --query B`; the program is src/programs/predict.py."""
from mindspore_maml.commands import predict

if __name__ == "__main__":
    predict()
