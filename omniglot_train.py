"""Train MAML on Omniglot: `python omniglot_train.py --data_path DATA`; the program is src/programs/train.py."""
from mindspore_maml.commands import train

if __name__ == "__main__":
    train()
