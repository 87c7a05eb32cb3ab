"""Write an adapted classifier as MindIR or ONNX for other programs; the program is src/programs/export.py."""
from mindspore_maml.commands import export

if __name__ == "__main__":
    export()
