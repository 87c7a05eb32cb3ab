"""The records of a training: as lines to grep for, as metrics.jsonl keeps them, and which run a folder holds."""
import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindspore_maml.cli.atomic_files import replacing
from mindspore_maml.cli.errors import InputError, shown
from mindspore_maml.cli.options import BY_NAME
from mindspore_maml.cli.reading import open_regular, parse_json, parse_yaml, read_lines, read_text
from mindspore_maml.training.run_id import is_run_id

FILE_NAME, CONFIG = "metrics.jsonl", "config.yaml"
TEST, VALIDATION = "test_", "val_"   # what the keys of a pass on other characters begin with
PASSES = {TEST: "Test", VALIDATION: "Validation"}
STEP = re.compile(rb'\{"step": ([0-9]{1,7})[,}]')   # how a record begins that this program wrote
LARGEST_FILE, LONGEST_LINE = 200_000_000, 1_000_000   # bytes; a run of a million epochs reported by tens has 20,000,000


def log_lines(record: dict, display_epoch: int = 0) -> tuple[str, ...]:
    """The lines of one reported epoch, the first three in the ModelZoo's wording. An epoch is a single step.

    `display_epoch` is the number of these epochs in one of higher's, whose lines are added; 0: they are not.
    """
    epoch, milliseconds = record["step"], record["milliseconds"]
    return (f"epoch: {epoch} step: 1, loss is {record['loss']}",
            f"epoch: {epoch} step: 1, accuracy is {np.float32(record['accuracy'])!s}",
            f"epoch time: {milliseconds:.3f} ms, per step time: {milliseconds:.3f} ms",
            *step_lines("Training", record), *pass_lines(record), *display_lines(record, display_epoch))


def pass_lines(record: dict) -> tuple[str, ...]:
    """The lines of the test or validation pass after an epoch; none where there was none."""
    lines = ()
    for prefix, name in PASSES.items():
        if f"{prefix}accuracy" in record:
            lines += (f"{name} pass after epoch {record['step']}: accuracy {record[prefix + 'accuracy']:.4f} +- "
                      f"{record[prefix + 'interval_95']:.4f} (95 % interval), loss {record[prefix + 'loss']:.4f}",
                      *step_lines(name, record, prefix))
    return lines


def display_lines(record: dict, display_epoch: int) -> tuple[str, ...]:
    """The lines of one reported epoch in higher's wording; none where `display_epoch` is 0.

    Epochs are fractions: at the start of the step for training, at its end for a pass that followed it.
    """
    if not display_epoch:
        return ()
    lines = (f"[Epoch {(record['step'] - 1) / display_epoch:.2f}] Train {_loss_and_accuracy(record)} | "
             f"Time: {record['milliseconds'] / 1000:.2f}",)
    return (*lines, *(f"[Epoch {record['step'] / display_epoch:.2f}] {name} {_loss_and_accuracy(record, prefix)}"
                      for prefix, name in PASSES.items() if f"{prefix}accuracy" in record))


def _loss_and_accuracy(record, prefix=""):
    return f"Loss: {record[prefix + 'loss']:.2f} | Acc: {100 * record[prefix + 'accuracy']:.2f}"


def step_lines(name: str, record: dict, prefix: str = "") -> tuple[str, ...]:
    """The lines of accuracies and losses by inner step; none where `record` has no such lists."""
    return tuple(f"{name} {key.capitalize()}: {_row(record[prefix + key])}" for key in ("accuracies", "losses")
                 if prefix + key in record)


def _row(values):
    return np.array2string(np.asarray(values), precision=3, floatmode="fixed", suppress_small=True,   # and no exponents
                           max_line_width=10**6, threshold=10**6)


def read_metrics(path: str | Path, with_key: str = "") -> list[dict]:
    """The records of a metrics file, by rising step; only those `with_key`, where one is named.

    A torn last line, left by a process that was killed, is dropped. Where a run was started again from an earlier
    step, its records take the place of the older ones from there on.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of dict
        `step`, `loss`, `accuracy` (0 to 1), `milliseconds` and `learning_rate` of each reported step; with
        --per_step the lists `accuracies` and `losses`, from inner step 0 to the last. Where a test pass followed the
        step, its figures too, as `ValidationPass.measure` names them.

    Raises
    ------
    InputError
        Where the file cannot be read, or a line is not such a record.
    """
    records: list[dict] = []
    for number, line in read_lines(path, str(path), LONGEST_LINE, LARGEST_FILE):
        if (number == 1 and _run_in(line)) or with_key not in line:
            continue
        record = _parse(line, f"{path}, line {number}")
        while records and records[-1]["step"] >= record["step"]:
            records.pop()
        records.append(record)
    return records


def holds_record(path: str | Path) -> bool:
    """Whether a metrics file holds the record of a step.

    Raises
    ------
    InputError
        Where it cannot be read, or its first record is none.
    """
    for number, line in read_lines(path, str(path), LONGEST_LINE, LARGEST_FILE):
        if not (number == 1 and _run_in(line)):
            return bool(_parse(line, f"{path}, line {number}"))
    return False


def read_run(path: str | Path) -> str | None:
    """The id of the run at the head of a metrics file; None where it has no such head, or cannot be read."""
    with contextlib.suppress(InputError):
        for _, line in read_lines(path, str(path), LONGEST_LINE, LARGEST_FILE):
            return _run_in(line)
    return None


def _run_in(line):
    """The id of the run in the head of a metrics file; None where `line` is no such head."""
    try:
        run = json.loads(line)["run"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return run if is_run_id(run) else None


def run_of(folder: str | Path) -> str | None:
    """The id of the run in a folder; None where it holds none, or one of before runs had an id.

    Raises
    ------
    InputError
        Where its files are of different runs.
    """
    in_config, in_metrics = config_of(folder).get("run"), read_run(Path(folder) / FILE_NAME)
    in_config = in_config if is_run_id(in_config) else None
    if in_config and in_metrics and in_config != in_metrics:
        raise InputError(f"{folder}: {CONFIG} is of run {in_config} and {FILE_NAME} of run {in_metrics}, which do not "
                         f"belong together; expected the folder of one run")
    return in_config or in_metrics


def config_of(folder: str | Path) -> dict:
    """What a folder's config.yaml says; nothing where there is none, or none that can be read."""
    path = Path(folder) / CONFIG
    try:
        content = parse_yaml(read_text(path, str(path)), str(path))
    except InputError:
        return {}
    return content if isinstance(content, dict) else {}


def begin_metrics(path: Path, run: str, done: int) -> None:
    """Make `path` the metrics of `run` up to step `done`: the run's id at its head, then each step once."""
    if path.is_file() and read_run(path) == run and (end := _end_of(path, done)) is not None:
        os.truncate(path, end)
        return
    records = [record for record in (read_metrics(path) if path.exists() else []) if record["step"] <= done]
    with replacing(path) as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in ({"run": run}, *records)), encoding="utf-8")


def _end_of(path, done):
    """Where in a file of metrics the records up to step `done` end; None where its steps do not rise, or are not told.

    A long run has a hundred megabytes of them, whose steps are all that is read.
    """
    with open_regular(path) as file:
        end, last = len(file.readline()), 0
        for line in iter(lambda: file.readline(LONGEST_LINE), b""):
            if not line.endswith(b"\n"):   # torn, by a process that was killed
                break
            found = STEP.match(line)
            if not found or int(found[1]) <= last:
                return None
            last = int(found[1])
            if last > done:
                break
            end += len(line)
    return end


def _parse(line, origin):
    record = parse_json(line, origin)
    if not isinstance(record, dict) or "step" not in record:
        raise InputError(f"{origin}: {shown(line)} is no record of a training step; expected a mapping with 'step'")
    for name, value in record.items():
        expected = _EXPECTED.get(name.removeprefix(TEST).removeprefix(VALIDATION))
        if expected and not expected.fits(value):
            raise InputError(f"{origin}: {name} is {shown(value)}; expected {expected}")
    return record


@dataclass(frozen=True)
class Figure:
    """What a value of a record must be: a number from `low` to `high`, or (`by_step`) one for every inner step."""

    kind: type
    low: float
    high: float
    by_step: bool = False

    def fits(self, value: object) -> bool:
        """Whether `value`, from JSON, is so."""
        if self.by_step:
            return isinstance(value, list) and 0 < len(value) <= MOST_STEPS and all(map(self._is_one, value))
        return self._is_one(value)

    def _is_one(self, value):
        kinds = (int, float) if self.kind is float else int
        return isinstance(value, kinds) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        one = f"{'a number' if self.kind is float else 'a whole number'} from {self.low:g} to {self.high:g}"
        return f"a list of up to {MOST_STEPS}, each {one}" if self.by_step else one


MOST_STEPS = 1 + BY_NAME["update_step_test"].highest   # before the first inner step too
ACCURACIES = Figure(float, 0, 1, by_step=True)
_EXPECTED = {"step": Figure(int, 1, BY_NAME["epoch"].highest), "loss": Figure(float, -1e38, 1e38),
             "accuracy": Figure(float, 0, 1), "interval_95": Figure(float, 0, 1),
             "milliseconds": Figure(float, 0, 1e38), "learning_rate": Figure(float, 0, BY_NAME["meta_lr"].highest),
             "accuracies": ACCURACIES, "losses": Figure(float, -1e38, 1e38, by_step=True)}
