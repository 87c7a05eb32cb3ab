"""Options: the options of a run by name, each with its type."""
from typing import Any, get_origin


class Options:
    """The options of a run, as attributes that stay as they are; of these a program has those that it takes.

    Defaults, help and valid ranges are in `options.OPTIONS`, which has the types from here. Beside them: `network`, the
    layers of a preset; `operands`, what a program is given without a flag; `given`, the names of the options that were
    given by hand.
    """

    preset: str
    device_target: str
    device_id: int
    mode: str
    workers: int
    seed: int
    seeds: list[int]
    ranks: int
    data_path: str
    imgsz: int
    imgc: int
    images: str
    n_train_classes: int
    split: str
    split_seed: int
    n_way: int
    k_spt: int
    k_qry: int
    task_num: int
    rotate: bool
    augment: float
    elastic: float
    within_alphabet: float
    same_drawer: bool
    protocol: str
    views: int
    view_strength: float
    update_step: int
    update_step_test: int
    update_lr: float
    adapt: str
    statistics: str
    order: str
    first_order_epochs: int
    algorithm: str
    multi_step_epochs: int
    label_smoothing: float
    ink: float
    paper: float
    epoch: int
    meta_lr: float
    meta_loss: str
    optimizer: str
    clip_norm: float
    weight_decay: float
    lr_scheduler: str
    lr_milestones: list[int]
    lr_scheduler_gamma: float
    ema_decay: float
    ckpt: str
    pretrained: str
    support: str
    query: tuple[str, ...]
    output_dir: str
    log_file: str
    overwrite: bool
    save_every: int
    keep: int
    log_every: int
    tensorboard: bool
    reporter: str
    display_epoch: int
    per_step: bool
    eval_every: int
    eval_batches: int
    val_classes: int
    patience: int
    profile: bool
    test_batches: int
    runs: str
    out: str
    json: str
    file_format: str
    file_name: str
    csv: str
    confusion: str
    picture: str
    unknown: str
    host: str
    port: int
    download: bool
    url: str
    glyphs: bool
    random: bool
    classes: str
    test_classes: str
    val_fraction: float
    data_seed: int
    network: list[dict[str, Any]]
    operands: list[str]
    given: frozenset[str]

    def __init__(self, **values: Any):
        vars(self).update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"options stay as they are; expected options.but({name}=...)")

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def but(self, **values: Any) -> "Options":
        """These options with other values for some."""
        return Options(**vars(self) | values)


def kind_of(name: str) -> type:
    """The type of the option of that name, without what it holds; of an unknown one `str`."""
    annotation: Any = Options.__annotations__.get(name, str)
    origin: Any = get_origin(annotation)
    return origin or annotation
