"""The share of a training's time that is not the meta-step: episodes, reports, checkpoints, reading results back."""
import sys
import tempfile

from benchmarks.measure import Stopwatch
from mindspore_maml.cli.program import run_program
from mindspore_maml.programs import train
from mindspore_maml.training.step import TrainingStep

EPOCHS, WARM_UP = 300, 50


def main() -> None:
    """Train with the default preset and log every step; measure from one step's end to the next one's."""
    TrainingStep.__call__ = steps = Stopwatch(TrainingStep.__call__)   # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [*sys.argv, "--epoch", str(EPOCHS), "--save_every", "100", "--log_every", "1",
                    "--eval_every", "0", "--output_dir", folder]
        train.main()
    whole = steps.ends[-1] - steps.ends[WARM_UP - 1]
    inside = sum(steps.spent[WARM_UP:])
    print(f"{1000 * inside / (EPOCHS - WARM_UP):.1f} ms a step, {1000 * (whole - inside) / (EPOCHS - WARM_UP):.1f} ms "
          f"around it: {100 * (1 - inside / whole):.1f} % of the time (every step logged, a checkpoint every 100)")


if __name__ == "__main__":
    run_program(main)
