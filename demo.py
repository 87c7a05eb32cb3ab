"""Serve a page to draw on: `python demo.py`; the program is src/programs/demo.py."""
from mindspore_maml.commands import demo

if __name__ == "__main__":
    demo()
