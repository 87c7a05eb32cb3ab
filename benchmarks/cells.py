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
FOUR_TASKS_AT_FIVE_WAYS = {"n_way": 5, "update_lr": 0.4}
# With features of one length further steps for one shot change nothing. For five shots an eighth of the rate, in eight
# steps, is best (docs/accuracy-journal.md); at 5 ways an image has four times the weight, so a quarter of 20's rate
ONE_STEP = {"update_step_test": 1}


def judged_at(n_way: int, k_spt: int) -> dict:
    """The inner loop by which a network trained at 20 ways, with an inner rate of 0.8, is judged."""
    at_ways = {"n_way": n_way, "k_spt": k_spt, "update_lr": 0.8 * n_way / 20}
    return at_ways | (ONE_STEP if k_spt == 1 else {"update_lr": at_ways["update_lr"] / 8, "update_step_test": 8})


# The four tasks of the papers: name, title, MAML's figure, and the inner loop
FOUR = (("5way-1shot", "5-way 1-shot", "98.7 %", judged_at(5, 1)),
        ("5way-5shot", "5-way 5-shot", "99.9 %", judged_at(5, 5)),
        ("20way-1shot", "20-way 1-shot", "95.8 %", ONE_STEP),
        ("20way-5shot", "20-way 5-shot", "98.9 %", judged_at(20, 5)))


# First an ordinary classifier of the characters and their turns, then MAML from its body
RECIPE = {"preset": "pooling-cosine"}
CLASSIFIER = {"algorithm": "classifier", "epoch": 4000, "task_num": 1, "k_qry": 4, "update_step_test": 1,
              "eval_every": 1000, "eval_batches": 100, "save_every": 250}
THEN_MAML = {"meta_lr": 0.002, "eval_every": 2000, "eval_batches": 50, "save_every": 250}
# Lake's challenge: the background alphabets alone, the last three of them held out, mostly within alphabets and by the
# support's statistics
BACKGROUND = RECIPE | {"split": "background", "val_classes": 95}
CHALLENGE = THEN_MAML | {"epoch": 6000, "augment": 1.2, "elastic": 0.5, "statistics": "support",
                         "within_alphabet": 0.75}
# Then by inner steps of the head alone, which are as good and take less time
LONGER = CHALLENGE | {"epoch": 10000, "seed": 2, "adapt": "head"}
LONGEST = LONGER | {"epoch": 16000, "seed": 3}
# The four cells: one network trained at 20 ways, for that teaches more in the same time, from the body of Lake's, whose
# characters are among theirs; on all 1,200, so that nothing is chosen and the last epoch is taken
SORTED = RECIPE | THEN_MAML | {"adapt": "head", "within_alphabet": 0.25, "epoch": 8000, "seed": 6, "val_classes": 0,
                               "eval_every": 0}
LONGER_SORTED = SORTED | {"epoch": 10000, "seed": 7}
LONGEST_SORTED = SORTED | {"epoch": 7000, "seed": 8}
# The papers' split: the recipe without the normalisation of features, then with it on all characters, nothing chosen;
# at last by inner steps of the head alone
PAPERS_SPLIT = {"preset": "pooling-wider", "split": "shuffled", "val_classes": 86}
SECOND = RECIPE | THEN_MAML | {"split": "shuffled", "val_classes": 0, "eval_every": 0, "epoch": 6000, "seed": 2}
THIRD = SECOND | {"epoch": 5000, "seed": 4, "adapt": "head"}
SHUFFLED = THIRD | {"epoch": 6000, "seed": 5}
# The network for own drawings, on the data of benchmarks/drawn_set.py; by the support's statistics, and never turned
DRAWINGS = SORTED | {"n_train_classes": 1200, "statistics": "support", "rotate": False, "epoch": 2500}
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
    averaged : bool
        Whether the mean of the weights of `pretrained` and its training's is published (Izmailov et al., 2018, average
        the ends of cycles of the learning rate so).
    judged : dict
        Options that the published network has in place of those it was trained with.
    views : bool
        Whether it is judged by several views of each image besides.
    """

    name: str
    title: str
    flags: dict
    protocols: tuple = (STRICT, PAPER)
    published: str = ""
    training: str = ""
    pretrained: str = ""
    averaged: bool = False
    judged: dict = field(default_factory=dict)
    views: bool = False

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
    Cell("sorted-first", "sorted split, at first", SORTED, pretrained="background-first"),
    Cell("sorted-second", "sorted split, then longer", LONGER_SORTED, pretrained="sorted-first"),
    *(Cell(name, title, LONGEST_SORTED, published=FINN.format(figure), training="sorted", pretrained="sorted-second",
           averaged=True, judged=judged, views=True) for name, title, figure, judged in FOUR),
    Cell("shuffled-classifier", "shuffled split, its classifier", PAPERS_SPLIT | CLASSIFIER),
    Cell("shuffled-first", "shuffled split, features of any length", PAPERS_SPLIT | THEN_MAML | {"epoch": 12000},
         pretrained="shuffled-classifier"),
    Cell("shuffled-second", "shuffled split, features of one length", SECOND, pretrained="shuffled-first"),
    Cell("shuffled-third", "shuffled split, inner steps of the head", THIRD, pretrained="shuffled-second"),
    *(Cell(f"{name}-shuffled", f"{title}, shuffled split", SHUFFLED, (PAPER,), training="shuffled",
           pretrained="shuffled-third", averaged=True, judged=judged, views=True) for name, title, _, judged in FOUR),
    Cell("background-classifier", "Lake's challenge, its classifier", BACKGROUND | CLASSIFIER),
    Cell("background-first", "Lake's challenge, at first", BACKGROUND | CHALLENGE, pretrained="background-classifier"),
    Cell("background-second", "Lake's challenge, then longer", BACKGROUND | LONGER, pretrained="background-first"),
    Cell("background", "20-way 1-shot, Lake's challenge", BACKGROUND | LONGEST, (DRAWERS,),
         pretrained="background-second", judged=ONE_STEP),
    Cell("drawings", "own drawings, 20-way 1-shot", DRAWINGS, (STRICT,), pretrained="sorted-second"),
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
    Cell("20way-1shot-short", "20-way 1-shot, a short training", SHORT),
    Cell("modelzoo", "preset `modelzoo`", SOURCE | {"preset": "modelzoo", "epoch": 20000, "eval_every": 1000}, (OWN,),
         "94.9 % (its README)"),
    Cell("notebook", "preset `notebook`", SOURCE | {"preset": "notebook", "epoch": 3000}, (OWN,)),
    Cell("tutorial", "preset `tutorial`", SOURCE | {"preset": "tutorial", "epoch": 3000}, (OWN,)),
    Cell("higher", "preset `higher`", SOURCE | {"preset": "higher", "epoch": 1000}, (OWN,)),
)}
