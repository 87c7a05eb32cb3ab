"""Every option of every program, defined once: name, default, help, valid range and who takes it; types: `Options`.

Presets (`config/<name>.yaml`), command lines, the tables of the documentation and all checks come from `OPTIONS`.
"""
import math
import os
import re
from dataclasses import dataclass
from typing import Any

from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.run_options import kind_of

TRAIN, EVAL, DATA, BENCH, PLOT, PREDICT = "train", "eval", "preprocess", "bench", "plot", "predict"
EXPORT, DEMO = "export", "demo"
LEARNING = (TRAIN, EVAL, BENCH)   # programs that build the network and its episodes
RUNNING = (*LEARNING, PREDICT, EXPORT, DEMO)    # programs that run the network
REQUIRED = "required"

LARGEST = {int: 10**9, list: 10**9, float: 1e38}   # where an option says no less; MindSpore has 32 bits
MOST_NUMBERS = 1000      # in a list
LONGEST_TEXT = 4095      # bytes, as a path may have
LONGEST_NAME = 255       # bytes of each part of it


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes
    ----------
    default : object or dict
        The default; a dict gives each program its own. `REQUIRED` where there is none.
    kind : type, optional
        int, float, str, bool, list (numbers separated by commas), or tuple (texts, each an argument of its own); by
        default what `Options` says.
    low, high : float
        The valid range, both ends included; `LARGEST` ends it where no `high` does.
    stored : bool
        Whether the value belongs to the trained model: it travels in the checkpoint.
    also : tuple of str
        Beside the `choices`: a regular expression of further values, and what they are in words; () where none are.
    several : bool
        Whether a value may be several of the `choices`, separated by commas.
    fixed : bool
        Whether a training that goes on cannot change the value: it would be another run.
    """

    name: str
    default: object
    help: str
    kind: type = None   # type: ignore[assignment]
    programs: tuple = LEARNING
    choices: tuple = ()
    also: tuple = ()
    low: float = -math.inf
    high: float = math.inf
    stored: bool = False
    several: bool = False
    fixed: bool = False

    def __post_init__(self):
        object.__setattr__(self, "kind", self.kind or kind_of(self.name))

    def default_for(self, program: str) -> Any:
        """The default that `program` starts from."""
        return self.default.get(program) if isinstance(self.default, dict) else self.default

    @property
    def expected(self) -> str:
        """What a valid value is, in words."""
        if self.choices:
            words = ("some of " if self.several else "one of ") + ", ".join(map(str, self.choices))
            return words + (f", or {self.also[1]}" if self.also else "")
        words = {int: "a whole number", float: "a number", bool: "true or false",
                 str: f"a text of at most {LONGEST_TEXT} bytes, {LONGEST_NAME} in each name of a path",
                 list: f"at most {MOST_NUMBERS} whole numbers separated by commas",
                 tuple: f"texts of at most {LONGEST_TEXT} bytes, {LONGEST_NAME} in each name of a path"}[self.kind]
        as_shown = "{:g}".format if self.kind is float else "{:.0f}".format
        return f"{words} from {as_shown(self.low)} to {as_shown(self.highest)}" if self.low > -math.inf else words

    @property
    def highest(self) -> float:
        """The largest valid number."""
        return LARGEST[self.kind] if self.high == math.inf else self.high

    def convert(self, value: object, origin: str) -> Any:
        """`value` (a text, or what YAML made of it) as this option's kind, checked against its range.

        Raises
        ------
        InputError
            Naming `origin` (the flag, or the file and key), the value and what was expected.
        """
        try:
            converted = _CONVERTERS[self.kind](value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            converted = None
        if converted is None or not self._in_range(converted):
            raise InputError(f"{origin} is {shown(value)}; expected {self.expected}")
        return converted

    def _in_range(self, value):
        if self.choices:
            return all(part in self.choices or bool(self.also and re.fullmatch(self.also[0], part))
                       for part in (value.split(",") if self.several else [value]))
        numbers = value if self.kind is list else [value] if self.kind in (int, float) else []
        return all(self.low <= number <= self.highest for number in numbers)


def _to_int(value):
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        return None
    return int(value)


def _to_float(value):
    return None if isinstance(value, bool) or not math.isfinite(float(value)) else float(value)


def _to_bool(value):
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


def _to_str(value):
    """`value` as a text that may be a path; None where it is too long for one, or holds control characters.

    Letters of other scripts stay, and so do bytes of a command line that are no UTF-8.
    """
    if not isinstance(value, (str, int, float)):
        return None
    text = str(value)
    encoded = os.fsencode(text)
    names = encoded.split(b"/")
    if len(encoded) > LONGEST_TEXT or max(map(len, names)) > LONGEST_NAME or any(ord(letter) < 32 for letter in text):
        return None
    return text


def _to_list(value):
    parts = value if isinstance(value, (list, tuple)) else [part for part in str(value).split(",") if part.strip()]
    numbers = [_to_int(part) for part in parts[:MOST_NUMBERS + 1]]
    return None if None in numbers or len(numbers) > MOST_NUMBERS else numbers


def _to_texts(value):
    texts = tuple(map(_to_str, value)) if isinstance(value, (list, tuple)) else (_to_str(value),)
    return None if None in texts else texts


_CONVERTERS = {int: _to_int, float: _to_float, bool: _to_bool, str: _to_str, list: _to_list, tuple: _to_texts}

SEED_HIGH = 2**32 - 1
OPTIONS = (
    # What runs where
    Option("preset", dict.fromkeys(RUNNING, "maml") | {TRAIN: "pooling"},
           "name of a preset in config/, or a path to your own YAML file", programs=RUNNING),
    Option("device_target", "auto", "auto: an Ascend or GPU that MindSpore sees, else the CPU", programs=RUNNING,
           choices=("auto", "CPU", "GPU", "Ascend")),
    Option("device_id", 0, "which of several devices", programs=RUNNING, low=0),
    Option("mode", "graph", "compiled graphs, or operation by operation", programs=RUNNING,
           choices=("graph", "pynative")),
    Option("workers", 0, "processes that share a batch's tasks, on one CPU; 0: one a core, with at least 2 tasks each",
           low=0, high=256),
    Option("seed", 1, "seed of weights and episodes", low=0, high=SEED_HIGH, fixed=True),
    Option("seeds", "", "train and evaluate each of these seeds, in folders seed-1, ... of output_dir, one after "
           "another, and compare them in a table; what is done already is not done again", programs=(TRAIN,), low=0,
           high=SEED_HIGH),
    Option("ranks", 1, "with --seeds: ranks that each training and evaluation runs on; the launchers of ranks say it",
           programs=(TRAIN,), low=1, high=1024),
    # The data set
    Option("data_path", {TRAIN: REQUIRED, EVAL: "", DATA: REQUIRED, DEMO: ""}, "folder that holds omniglot.npy, "
           "classes.npz, the image folders or raw/*.zip (also in omniglot/)", programs=(TRAIN, EVAL, DATA, DEMO)),
    Option("imgsz", 28, "height and width of an image, in pixels", programs=(TRAIN, EVAL, DATA, BENCH), low=4, high=512,
           stored=True, fixed=True),
    Option("imgc", 1, "channels of an image: 1 grey, 3 colour", programs=(TRAIN, EVAL, DATA, BENCH), choices=(1, 3),
           stored=True, fixed=True),
    Option("images", "drawings", "what one's own pictures show: drawings, each fitted to what training drawings look "
           "like; photographs, taken as they are. By default what the network was trained on; of new data in colour, "
           "photographs", programs=(TRAIN, EVAL, PREDICT, EXPORT, DEMO, DATA), choices=("drawings", "photographs"),
           stored=True),
    Option("n_train_classes", 0, "characters to train on, the others test; 0: 1200, or that proportion",
           programs=(TRAIN, EVAL), low=0, stored=True, fixed=True),
    Option("split", "sorted", "which characters train: the first ones; a seeded random choice; those of Omniglot's 30 "
           "background alphabets, as Lake's challenge demands", programs=(TRAIN, EVAL),
           choices=("sorted", "shuffled", "background"), stored=True, fixed=True),
    Option("split_seed", 0, "seed of the shuffled split", programs=(TRAIN, EVAL), low=0, high=SEED_HIGH, stored=True,
           fixed=True),
    # Episodes
    Option("n_way", 5, "classes in a task", low=2, high=1000, stored=True, fixed=True),
    Option("k_spt", 1, "support images a class", low=1, high=1000, stored=True),
    Option("k_qry", {TRAIN: 5, EVAL: 15, BENCH: 5}, "query images a class", low=1, high=1000),
    Option("task_num", 32, "tasks in a batch", low=1, high=4096),
    Option("rotate", {TRAIN: True, EVAL: False}, "rotate each class by a random multiple of 90 degrees",
           programs=(TRAIN, EVAL)),
    Option("augment", 0.0, "strength of small random affine changes of every training image; 1: docs/accuracy.md; 0: "
           "none", programs=(TRAIN,), low=0, high=10),
    Option("elastic", 0.0, "strength of small smooth bends of every training image, beside --augment; 0: none",
           programs=(TRAIN,), low=0, high=10),
    Option("within_alphabet", 0.0, "how probable it is that a task's classes are of one alphabet, filled up from "
           "others where it has too few", programs=(TRAIN, EVAL), low=0, high=1),
    Option("same_drawer", False, "the support images of a task are by the same people for every class, and so are its "
           "query images", programs=(EVAL,)),
    Option("protocol", "none", "sets k_qry and rotate; strict: 15 query images a class (5 at 20-way 5-shot), not "
           "rotated; paper: as many as support images, rotated; drawers: one query image a class, not rotated, of one "
           "alphabet, --same_drawer, as in Lake's runs", programs=(EVAL,),
           choices=("none", "strict", "paper", "drawers")),
    Option("views", {EVAL: 1, PREDICT: 0, EXPORT: 0, DEMO: 0}, "views of each image, the image itself and changed "
           "copies: the support set's are learned, the answers to a query image's averaged; 0: 1 to 4, the more the "
           "fewer support images", programs=(EVAL, PREDICT, EXPORT, DEMO), low=0, high=1000),
    Option("view_strength", 1.0, "strength of the changes of --views, as --augment has it", programs=(EVAL,), low=0,
           high=10),
    # Inner loop
    Option("update_step", 1, "inner steps on the support set, in training", low=0, high=1000, stored=True),
    Option("update_step_test", 3, "inner steps on the support set, in evaluation", programs=RUNNING, low=0,
           high=1000, stored=True),
    Option("update_lr", 1.0, "inner learning rate, for the mean cross-entropy over the support set; a checkpoint's is "
           "taken times the number of classes over that trained with", programs=RUNNING, low=0, stored=True),
    Option("adapt", "weight,bias,gamma,beta", "kinds of parameters the inner loop adapts, separated by commas; head: "
           "all of the last layer", choices=("weight", "bias", "gamma", "beta", "head"),
           also=("[a-z][a-z0-9]*", "a kind that a layer of your own has"), several=True, stored=True),
    Option("statistics", {TRAIN: "query", EVAL: "query", BENCH: "query", PREDICT: "support"}, "images whose mean and "
           "variance batch normalisation takes for the query images: query, all of these together, as the papers do; "
           "support, the support images alone, so that no answer depends on another query image",
           programs=(*LEARNING, PREDICT),
           choices=("query", "support"), stored=True, fixed=True),
    Option("order", "second", "meta-gradient through the inner gradients, or not",
           programs=(TRAIN,), choices=("first", "second")),
    Option("first_order_epochs", 0, "epochs of first order before those of second order",
           programs=(TRAIN, BENCH), low=0),
    Option("algorithm", "maml", "maml; maml++: rates and shifts of the betas learned for each inner step; meta-sgd: a "
           "rate learned for every weight; reptile: no query set in training; classifier: an ordinary one of all "
           "training characters, for --pretrained",
           choices=("maml", "maml++", "meta-sgd", "reptile", "classifier"),
           also=(r"[\w.]{1,200}:\w{1,100}", "module:Class, one of your own"), stored=True, fixed=True),
    Option("multi_step_epochs", 0, "with maml++: epochs until only the last step's query loss counts",
           programs=(TRAIN, BENCH), low=0),
    Option("label_smoothing", 0.0, "share of the target probability spread over all classes", low=0, high=1,
           stored=True),
    Option("ink", 1.0, "value of ink in the images the network sees", programs=(TRAIN, EVAL), low=0, high=255,
           stored=True),
    Option("paper", 0.0, "value of paper in the images the network sees", programs=(TRAIN, EVAL), low=0, high=255,
           stored=True),
    # Outer loop
    Option("epoch", 20000, "meta-steps to train", programs=(TRAIN,), low=1, high=10**6),
    Option("meta_lr", 3e-3, "outer (Adam) learning rate", programs=(TRAIN,), low=0),
    Option("meta_loss", "mean", "how the tasks' query losses make one loss", programs=(TRAIN, BENCH),
           choices=("mean", "sum")),
    Option("optimizer", "Adam", "outer optimizer; AdamWeightDecay: MindSpore's, Adam without bias correction",
           programs=(TRAIN,), choices=("Adam", "AdamWeightDecay"), fixed=True),
    Option("clip_norm", 0.0, "largest norm of the meta-gradient: a longer one is shortened to it; 0: none is",
           programs=(TRAIN,), low=0),
    Option("weight_decay", 0.0, "decoupled weight decay of the outer optimizer", programs=(TRAIN,), low=0),
    Option("lr_scheduler", "constant", "how meta_lr changes over the epochs", programs=(TRAIN,),
           choices=("constant", "step", "cosine")),
    Option("lr_milestones", "", "epochs at which the step scheduler multiplies meta_lr by lr_scheduler_gamma; "
           "empty: after each quarter of the run", programs=(TRAIN,), low=1),
    Option("lr_scheduler_gamma", 0.5, "factor of the step scheduler", programs=(TRAIN,), low=0, high=1),
    Option("ema_decay", 0.0, "decay of the average of the weights over the last steps, which then is what is tested "
           "and saved; 0: none", programs=(TRAIN,), low=0, high=0.99999),
    # Input and output
    Option("ckpt", "", "a trained network: a checkpoint, or a folder of them; a training goes on from it; without, "
           "predict.py, export.py and demo.py take the network that comes with the package",
           programs=(TRAIN, EVAL, PREDICT, EXPORT, DEMO)),
    Option("pretrained", "", "a trained network, likewise, whose weights but the head's a new training starts with",
           programs=(TRAIN,)),
    Option("support", REQUIRED, "folder of the images to learn from; it holds a folder a class, which gives it its "
           "name", programs=(PREDICT, EXPORT)),
    Option("query", REQUIRED, "images to classify: files, folders of them, and folders of such folders; several",
           programs=(PREDICT,)),
    Option("output_dir", "./ckpt_outputs", "folder for checkpoints, metrics.jsonl and maml-accs.png",
           programs=(TRAIN,)),
    Option("log_file", "", "file that all lines go to as well, appended under a head with the date",
           programs=(*RUNNING, DATA, PLOT)),
    Option("overwrite", False, "where output_dir holds another run: move that aside, whole, and start",
           programs=(TRAIN,)),
    Option("save_every", 1000, "epochs between checkpoints", programs=(TRAIN,), low=1),
    Option("keep", 5, "how many of the newest checkpoints stay, beside the best; 0: all", programs=(TRAIN,), low=0),
    Option("log_every", 10, "epochs between log lines and metrics, which the last epoch always has", programs=(TRAIN,),
           low=1),
    Option("tensorboard", False, "write the metrics for TensorBoard too, into tensorboard/ in output_dir; needs the "
           "extra [tensorboard]", programs=(TRAIN,)),
    Option("reporter", "", "module:Class, a reporter of your own, which is told of the run as well", programs=(TRAIN,)),
    Option("display_epoch", 0, "tasks in an epoch of the lines that the higher example prints; 0: no such lines",
           programs=(TRAIN,), low=0),
    Option("per_step", False, "measure accuracy and loss after every inner step, and before the first",
           programs=(TRAIN, EVAL)),
    Option("eval_every", 0, "epochs between test passes, of which one follows the last epoch; what they show on test "
           "characters is reported, and nothing is ever chosen by it; 0: none", programs=(TRAIN,), low=0),
    Option("eval_batches", 10, "batches of tasks in a test pass, the same ones each time", programs=(TRAIN,), low=1),
    Option("val_classes", 0, "training characters held out, for the passes of eval_every to be on these instead, the "
           "best epoch on them kept as maml-best.ckpt; evaluation is on so many instead of test characters",
           programs=(TRAIN, EVAL), low=0, fixed=True),
    Option("patience", 0, "passes on characters held out (val_classes) without a better one that end the training; 0: "
           "it goes on to the last epoch", programs=(TRAIN,), low=0),
    Option("profile", False, "first write the kernel table of one step to kernels.csv in output_dir",
           programs=(TRAIN,)),
    Option("test_batches", 30, "batches of test tasks; of a training's, in the evaluations of --seeds",
           programs=(TRAIN, EVAL), low=1),
    Option("runs", "", "Lake's one-shot runs to answer in place of test tasks: all_runs.zip, or a folder of them",
           programs=(EVAL,)),
    Option("out", "accuracies.png", "file for the picture; its suffix says in which format", programs=(PLOT,)),
    Option("json", "", "file for the results as JSON; -: standard output", programs=(EVAL, BENCH, PREDICT)),
    Option("file_format", REQUIRED, "format of the exported network", programs=(EXPORT,), choices=("MINDIR", "ONNX")),
    Option("file_name", REQUIRED, "file for the exported network; its suffix may be left out", programs=(EXPORT,)),
    Option("csv", "", "file for the answer to every question as a table", programs=(EVAL, PREDICT)),
    Option("confusion", "", "file for a picture of what is taken for what: the pairs of characters confused most, with "
           "their drawings; the matrix of one's own classes, of predict.py those that --query has in folders of their "
           "names", programs=(EVAL, PREDICT)),
    Option("picture", "", "file for a picture of the images and their classes; its suffix says in which format",
           programs=(PREDICT,)),
    Option("unknown", "on", "say of images that show none of the classes that they do", programs=(PREDICT,),
           choices=("on", "off")),
    Option("host", "127.0.0.1", "address to serve at; 127.0.0.1: for this machine alone; 0.0.0.0: for all that reach "
           "it", programs=(DEMO,)),
    Option("port", 8000, "port to serve at; 0: any that is free", programs=(DEMO,), low=0, high=65535),
    # Preparing the data
    Option("download", False, "fetch the two official archives into raw/ where no data is found", programs=(DATA,)),
    Option("url", "https://github.com/brendenlake/omniglot/raw/master/python", "where --download finds the archives",
           programs=(DATA,)),
    Option("glyphs", False, "draw the built-in glyph data into processed/ first", programs=(DATA,)),
    Option("random", False, "write random bytes in Omniglot's shape, for trying the programs without data",
           programs=(DATA,)),
    Option("classes", "", "folder of your own images, which holds a folder a class; preprocessing makes them "
           "classes.npz, evaluation draws tasks of them as they are", programs=(DATA, EVAL)),
    Option("test_classes", "", "with classes: a second such folder, of the classes to test on", programs=(DATA,)),
    Option("val_fraction", 0.25, "with classes, without test_classes: part of the classes to test on", programs=(DATA,),
           low=0, high=1),
    Option("data_seed", 1, "seed of --glyphs and --random", programs=(DATA,), low=0, high=SEED_HIGH),
)
BY_NAME = {option.name: option for option in OPTIONS}
OPERANDS = {PLOT: Option("RUN", REQUIRED, "folder of a training", str)}   # what a program takes without a flag


def options_of(program: str) -> list[Option]:
    """The options `program` takes, in the order of `OPTIONS`."""
    return [option for option in OPTIONS if program in option.programs]
