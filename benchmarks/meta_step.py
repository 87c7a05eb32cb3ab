"""Time one meta-gradient (or, with --order none, one evaluation): no optimizer, no sampling."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.cases import random_batch, read_options, result
from benchmarks.measure import measure, peak_memory
from src import device
from src.assembly import as_tensors, make_meta
from src.errors import run_program
from src.files import write_json


def main():
    options = read_options(__doc__)
    device.set_up(options.device_target, options.device_id, options.mode)
    memory_before = peak_memory()
    batch, meta = as_tensors(random_batch(options)), make_meta(options)
    call = meta.evaluate if options.order == "none" else meta.meta_gradient

    def step():
        results = call(*batch)
        for value in (results[0], *results[2]) if isinstance(results[2], tuple) else results:
            value.asnumpy()

    write_json(options.json or "-", result(options, measure(step, options.warmup, options.repeats, memory_before)))


if __name__ == "__main__":
    run_program(main)
