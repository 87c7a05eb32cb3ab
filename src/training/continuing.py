"""A run that goes on from a checkpoint: which options it takes over, and which it cannot change."""
from mindspore_maml.cli.errors import InputError
from mindspore_maml.cli.options import BY_NAME, TRAIN, options_of
from mindspore_maml.cli.presets import check_values
from mindspore_maml.cli.run_options import Options
from mindspore_maml.training.checkpoint import Checkpoint, given_by_hand

# What belongs to one call of the program: a run that goes on does not take it from its checkpoint.
OF_THIS_CALL = ("device_target", "device_id", "mode", "workers", "data_path", "ckpt", "pretrained",
                "output_dir", "overwrite", "log_file", "profile", "seeds", "ranks")


def completed(options: Options, checkpoint: Checkpoint) -> Options:
    """The options of a training, completed by those of the run that wrote `checkpoint`.

    An option newer than that run has its own default, as it had no effect there: not what the default preset says.

    Raises
    ------
    InputError
        Where one given by hand would make it another run.
    """
    if checkpoint.episodes is not None:
        refuse_changes(options, checkpoint)
    defaults = {option.name: option.default_for(TRAIN) for option in options_of(TRAIN)
                if option.name not in OF_THIS_CALL}
    if checkpoint.options:   # another program's file has none
        by_hand = given_by_hand(options)
        options = options.but(**{name: value for name, value in defaults.items() if name not in by_hand})
    return checkpoint.completed(options, [*defaults, "network"])


def refuse_changes(options: Options, checkpoint: Checkpoint) -> None:
    """Refuse options given by hand that differ from what the run of `checkpoint` was started with for good.

    Raises
    ------
    InputError
        Naming the first of them.
    """
    fixed = [option.name for option in options_of(TRAIN) if option.fixed] + ["network"]
    by_hand = given_by_hand(options)
    recorded = check_values({name: checkpoint.options[name] for name in fixed
                             if name in by_hand and name in checkpoint.options}, f"--ckpt {checkpoint.path}")
    for name, value in recorded.items():
        if getattr(options, name) != value:
            now, before = (f"--{name} {getattr(options, name)}", value) if name in BY_NAME else \
                (f"--preset {options.preset} with another network", "its own")
            raise InputError(f"{now}: the run of {checkpoint.path} was started with {before}, which a run that goes "
                             f"on cannot change; expected the same, or a new run (without --ckpt)")


def changed_options(options: Options, checkpoint: Checkpoint) -> dict:
    """The options that differ from those in `checkpoint`: by name, the value before and the value now."""
    now = {name: value for name, value in vars(options).items() if name not in (*OF_THIS_CALL, "given")}
    now["workers"] = options.workers   # with another number results differ in the last digits
    before = {name: checkpoint.options[name] for name in now if name in checkpoint.options}
    return {name: [value, now[name]] for name, value in before.items() if (value or "") != (now[name] or "")}
