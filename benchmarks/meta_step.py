"""Time one meta-gradient (or, with --order none, one evaluation): no optimizer, no sampling."""

from benchmarks.measure import measure, peak_memory, random_batch, read_options, result
from mindspore_maml.cli.atomic_files import write_json
from mindspore_maml.cli.program import run_program
from mindspore_maml.devices import device
from mindspore_maml.devices.shares import share_out
from mindspore_maml.training.from_options import make_meta


def main() -> None:
    options = read_options(__doc__)
    workers = device.set_up_for(options)
    memory_before = peak_memory()
    batch, meta = random_batch(options), share_out(make_meta(options), workers)
    steps = meta.inner.steps_test

    def step():
        results = meta.meta_gradient(*batch) if options.order != "none" else \
            next(meta.evaluate_each_step(*batch, steps, first=steps))
        for value in (results[0], *results[2]) if isinstance(results[2], tuple) else results:
            value.asnumpy()

    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


if __name__ == "__main__":
    run_program(main)
