"""How well the time of a training step is foretold: modelled, corrected by one real step, and real.

    python benchmarks/step_model.py --threads 2

Each shape is measured by the code that trains (eager), then foretold from the machine's rates and the real step of one other
shape. The constants of `bajka.planning.rates` were set so that "modelled" agrees in proportion across shapes.
"""

from __future__ import annotations

import argparse
import statistics

import torch

from bajka.config import HardwareSettings, Settings
from bajka.hardware import find_machine
from bajka.planning.machine import load_of
from bajka.planning.plan import make_plan
from bajka.planning.rates import Rates
from bajka.planning.shape import CorpusFacts
from bajka.settings import settings_with
from bajka.training.measuring import measure_machine, measure_step

SHAPES = ((2, 64, 1024), (3, 128, 2048), (3, 128, 8192), (4, 192, 4096), (4, 256, 2048), (6, 320, 4096))
KNOWN = (3, 128, 2048)


def main() -> None:
    """Measure all shapes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=2.0, help="for each shape")
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    machine = find_machine(HardwareSettings(threads=options.threads, precision=options.precision))
    rates = measure_machine(machine, seconds=1.0)
    found = {}
    for shape in SHAPES:
        plan = make_plan(wishes(shape), facts(shape), machine, rates=rates)
        step = measure_step(plan, machine, rates, seconds=options.seconds)
        if step is not None:
            found[shape] = (plan, step)
    known: Rates = rates.with_step(found[KNOWN][1])
    print("shape, entries            real ms   modelled   foretold from 3x128   tokens/s")
    errors = []
    for (layers, width, entries), (plan, step) in found.items():
        load = load_of(plan.model, plan.recipe.optimizer, machine, compiled=False)
        foretold = known.step_seconds(plan.model, step.sequences, load, machine.precision)
        errors.append(foretold / step.seconds - 1)
        print(
            f"{layers} x {width:<4} {entries:>6,} {1000 * step.seconds:>16.1f} {step.modelled / step.seconds:>9.2f}x "
            f"{100 * errors[-1]:>+16.1f} % {step.sequences * step.context_length / step.seconds:>15,.0f}"
        )
    print(
        f"median error {100 * statistics.median(map(abs, errors)):.1f} %, largest {100 * max(map(abs, errors)):.1f} %"
    )
    rows = {
        name: {width: f"{rate / 1e9:.0f} GFLOP/s" for width, rate in one.items()}
        for name, one in rates.products.items()
    }
    print(
        f"{rows}, {rates.elementwise / 1e9:.2f} G values/s, {1e6 * rates.dispatch:.1f} us an operation; {machine.name}"
    )


def wishes(shape: tuple[int, int, int]) -> Settings:
    """Settings of a shape; a length in steps, so that nothing else depends on speed."""
    return settings_with(n_layer=shape[0], n_embd=shape[1], context_length=256, global_batch_size=8, steps=100)


def facts(shape: tuple[int, int, int]) -> CorpusFacts:
    """A text large enough for anything."""
    return CorpusFacts(10_000_000, 500_000, 1000, 40_000_000, shape[2])


if __name__ == "__main__":
    main()
