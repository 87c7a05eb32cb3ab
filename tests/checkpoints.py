"""Small checkpoints for the tests, and the parts of the runs that write them."""
import mindspore as ms
from networks import NETWORKS

from mindspore_maml.cli.command_line import parse
from mindspore_maml.cli.options import TRAIN
from mindspore_maml.training import checkpoint, saving
from mindspore_maml.training.from_options import make_meta
from mindspore_maml.training.optimizer import outer_optimizer

EPISODES, RUN = {"seed": 1, "drawn": 3}, "20260101-120000-abcdef"
STORED = {"n_way": 3, "update_lr": 0.3, "k_qry": 2, "network": NETWORKS["strided"]}


def training_options(**changes):
    options = parse(TRAIN, "", ["--preset", "maml", "--data_path", "x", "--imgsz", "12", "--epoch", "9"])
    return options.but(**STORED | changes)


def fresh(seed=1, **changes):
    """Options, meta-learner and optimizer of a run."""
    options = training_options(seed=seed, **changes)
    meta = make_meta(options)
    return options, meta, outer_optimizer(meta.trainable_params(), options)


def write(folder, epoch=3, run=RUN, name=checkpoint.FILE_NAME, **changes):
    """A checkpoint whose optimizer's state is not that of a fresh one."""
    options, meta, optimizer = fresh(**changes)
    for value in checkpoint.optimizer_state(optimizer):
        value.set_data(ms.Tensor(value.asnumpy() + 1))
    path = saving.save(folder, epoch, net=meta, optimizer=optimizer, options=options,
                           episodes=EPISODES | {"drawn": epoch}, run=run, name=name)
    return path, meta, optimizer
