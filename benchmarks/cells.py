"""The cells of the tables of results: what each one trains, for how long, and how it is judged."""
from dataclasses import dataclass, field
from typing import Any

from mindspore_maml.cli.options import BY_NAME, TRAIN
from mindspore_maml.cli.presets import read_preset
from mindspore_maml.training.protocols import DRAWERS, PAPER, STRICT

OWN = "own"   # the protocol of a source system: query images and rotation as it trains
VALIDATION = {"val_classes": 86, "eval_every": 500, "eval_batches": 50, "save_every": 250}   # the last two alphabets
TWENTY_WAYS = {"preset": "pooling-20way", "epoch": 24000} | VALIDATION | {"eval_every": 1000, "eval_batches": 100}
SHORT = TWENTY_WAYS | {"epoch": 4000, "save_every": 50}   # a quarter of an hour, for benchmarks/progress.py
FOUR_TASKS = {"preset": "pooling-20way-4tasks", "epoch": 6000} | VALIDATION
SUPPORT = FOUR_TASKS | {"statistics": "support"}   # what predict.py asks for
FIVE_WAYS = {"n_way": 5, "update_lr": 0.2}
FOUR_TASKS_AT_FIVE_WAYS = {"n_way": 5, "update_lr": 0.4}
TWENTY_WAYS_ONE_SHOT = {"update_lr": 0.4, "update_step_test": 4}   # smaller steps than in training help a little
# The rate of one shot is too long a step where five support images are fitted (docs/accuracy.md)
FIVE_SHOTS = {"k_spt": 5, "update_step_test": 5}
# First an ordinary classifier of the training characters and their turns, then MAML from its body; at 20 ways for the
# cells of 5 ways too, for that teaches more in the same time. Two alphabets are held out to choose by
RECIPE = {"preset": "pooling-cosine", "val_classes": 86}
CLASSIFIER = {"algorithm": "classifier", "epoch": 4000, "task_num": 1, "k_qry": 4, "update_step_test": 1,
              "eval_every": 1000, "eval_batches": 100, "save_every": 250}
THEN_MAML = {"epoch": 10000, "meta_lr": 0.002, "eval_every": 2000, "eval_batches": 50, "save_every": 250}
SORTED = RECIPE | THEN_MAML
# Lake's challenge: the background alphabets alone, the last three of them held out, mostly within alphabets and by the
# support's statistics
BACKGROUND = RECIPE | {"split": "background", "val_classes": 95}
CHALLENGE = THEN_MAML | {"epoch": 6000, "augment": 1.2, "elastic": 0.5, "statistics": "support",
                         "within_alphabet": 0.75}
# The papers' split: the recipe without the normalisation of features, then with it on all characters, nothing chosen
PAPERS_SPLIT = {"preset": "pooling-wider", "split": "shuffled", "val_classes": 86}
SHUFFLED = RECIPE | THEN_MAML | {"split": "shuffled", "val_classes": 0, "eval_every": 0, "epoch": 6000, "seed": 2}
# The network for own drawings, on the data of benchmarks/drawn_set.py; by the support's statistics, and never turned
DRAWINGS = SORTED | {"n_train_classes": 1200, "statistics": "support", "rotate": False, "epoch": 4000}
STRIDED = {"preset": "maml", "epoch": 12000} | VALIDATION | {
    "n_way": 20, "task_num": 4, "k_qry": 3, "update_lr": 8.0, "update_step_test": 1, "lr_scheduler": "cosine",
    "augment": 1.0, "ema_decay": 0.998}
SOURCE = {"save_every": 250}


@dataclass(frozen=True)
class Cell:
    """One network that is trained and judged.

    Attributes
    ----------
    name : str
        Names its folder.
    title : str
        What its row of a table says.
    flags : dict
        Of omniglot_train.py.
    protocols : tuple of str
        `STRICT`, `PAPER` or `OWN`.
    published : str
        The figure it is compared with, and where that stands.
    training : str
        The cell whose training is this one's too, where it has none of its own.
    pretrained : str
        The cell whose published network, or else run, its training takes the body of the network from; empty: none.
    judged : dict
        Options that the published network has in place of those it was trained with.
    """

    name: str
    title: str
    flags: dict
    protocols: tuple = (STRICT, PAPER)
    published: str = ""
    training: str = ""
    pretrained: str = ""
    judged: dict = field(default_factory=dict)

    @property
    def run(self) -> str:
        """The name of its training's folder."""
        return self.training or self.name

    @property
    def preset(self) -> dict:
        """The options of the preset it trains with."""
        return read_preset(self.flags["preset"])

    def setting(self, name: str) -> Any:
        """The value of an option it trains with."""
        return (self.preset | self.flags).get(name, BY_NAME[name].default_for(TRAIN))


SEED = "5-way 1-shot, `pooling-20way-4tasks`, seed {}"
FINN = "{} (Finn et al., 2017, table 1)"
CELLS = {cell.name: cell for cell in (
    Cell("sorted-classifier", "the classifier of the four cells", RECIPE | CLASSIFIER),
    Cell("5way-1shot", "5-way 1-shot", SORTED, published=FINN.format("98.7 %"), training="sorted",
         pretrained="sorted-classifier", judged=FIVE_WAYS),
    Cell("5way-5shot", "5-way 5-shot", SORTED, published=FINN.format("99.9 %"), training="sorted",
         pretrained="sorted-classifier", judged=FIVE_WAYS | FIVE_SHOTS | {"update_lr": 0.1}),
    Cell("20way-1shot", "20-way 1-shot", SORTED, published=FINN.format("95.8 %"), training="sorted",
         pretrained="sorted-classifier", judged=TWENTY_WAYS_ONE_SHOT),
    Cell("20way-5shot", "20-way 5-shot", SORTED, published=FINN.format("98.9 %"), training="sorted",
         pretrained="sorted-classifier", judged=FIVE_SHOTS | {"update_lr": 0.2}),
    Cell("shuffled-classifier", "shuffled split, its classifier", PAPERS_SPLIT | CLASSIFIER),
    Cell("shuffled-first", "shuffled split, features of any length", PAPERS_SPLIT | THEN_MAML | {"epoch": 12000},
         pretrained="shuffled-classifier"),
    Cell("5way-1shot-shuffled", "5-way 1-shot, shuffled split", SHUFFLED, training="shuffled",
         pretrained="shuffled-first", judged=FIVE_WAYS),
    Cell("5way-5shot-shuffled", "5-way 5-shot, shuffled split", SHUFFLED, training="shuffled",
         pretrained="shuffled-first", judged=FIVE_WAYS | FIVE_SHOTS | {"update_lr": 0.1}),
    Cell("20way-1shot-shuffled", "20-way 1-shot, shuffled split", SHUFFLED, training="shuffled",
         pretrained="shuffled-first", judged=TWENTY_WAYS_ONE_SHOT),
    Cell("20way-5shot-shuffled", "20-way 5-shot, shuffled split", SHUFFLED, training="shuffled",
         pretrained="shuffled-first", judged=FIVE_SHOTS | {"update_lr": 0.2}),
    Cell("background-classifier", "Lake's challenge, its classifier", BACKGROUND | CLASSIFIER),
    Cell("background", "20-way 1-shot, Lake's challenge", BACKGROUND | CHALLENGE, (DRAWERS,),
         pretrained="background-classifier"),
    Cell("drawings", "own drawings, 20-way 1-shot", DRAWINGS, (STRICT,), pretrained="20way-1shot",
         judged=TWENTY_WAYS_ONE_SHOT),
    Cell("5way-1shot-seed1", SEED.format(1), FOUR_TASKS, judged=FOUR_TASKS_AT_FIVE_WAYS),
    Cell("5way-1shot-seed2", SEED.format(2), FOUR_TASKS | {"seed": 2}, judged=FOUR_TASKS_AT_FIVE_WAYS),
    Cell("5way-1shot-seed3", SEED.format(3), FOUR_TASKS | {"seed": 3}, judged=FOUR_TASKS_AT_FIVE_WAYS),
    Cell("5way-1shot-support", "5-way 1-shot, `pooling-20way-4tasks`", SUPPORT, training="20way-1shot-support",
         judged=FOUR_TASKS_AT_FIVE_WAYS),
    Cell("20way-1shot-support", "20-way 1-shot, `pooling-20way-4tasks`", SUPPORT),
    Cell("5way-1shot-strided", "5-way 1-shot, the paper's network", STRIDED, published=FINN.format("98.7 %"),
         training="20way-1shot-strided", judged={"n_way": 5, "update_lr": 0.25, "update_step_test": 3}),
    Cell("20way-1shot-strided", "20-way 1-shot, the paper's network", STRIDED,
         judged={"update_lr": 1.0, "update_step_test": 3}),
    Cell("20way-1shot-short", "20-way 1-shot, a short training", SHORT, judged=TWENTY_WAYS_ONE_SHOT),
    Cell("modelzoo", "preset `modelzoo`", SOURCE | {"preset": "modelzoo", "epoch": 20000, "eval_every": 1000}, (OWN,),
         "94.9 % (its README)"),
    Cell("notebook", "preset `notebook`", SOURCE | {"preset": "notebook", "epoch": 3000}, (OWN,)),
    Cell("tutorial", "preset `tutorial`", SOURCE | {"preset": "tutorial", "epoch": 3000}, (OWN,)),
    Cell("higher", "preset `higher`", SOURCE | {"preset": "higher", "epoch": 1000}, (OWN,)),
)}
