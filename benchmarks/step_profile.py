"""Where the time of a step goes: matrix products, attention, norms, loss, optimizer, data, other elementwise, Python.

    python benchmarks/speed.py --profile [--forms modern-muon-bf16 bajka-muon-fp32] [--avx2]

torch's profiler over eager steps. Each operation's own time belongs to the part it was called in: parts are named around
modules from outside; an operation of the backward belongs to the part of the forward operation that it is the gradient of
(the profiler's sequence numbers say which). Products count as matrix products in every part but attention and the optimizer,
so the head does, though it is computed inside the loss. "Python, other" is what is left of the wall time of a step without
the profiler; "profiler" is the factor by which the profiler slowed the step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from harness import HERE, python, run
from step_forms import Shape, build
from torch.profiler import ProfilerActivity, profile, record_function

SHAPES = (Shape(4, 128, 64, 65, 16), Shape(4, 192), Shape(6, 384))
PARTS = ("matrix products", "attention", "norms", "loss", "optimizer", "data", "other elementwise", "Python, other")
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear", "mkldnn", "matmul", "onednn")
NAMED = {"Norm": "norms", "LayerNorm": "norms"}


def main() -> None:
    """One form at one shape, as JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("form")
    options.add_argument("shape", type=int, choices=range(len(SHAPES)))
    options.add_argument("--nanogpt", type=Path)
    options.add_argument("--steps", type=int, default=10)
    chosen = options.parse_args()
    print(json.dumps(profiled(chosen.form, SHAPES[chosen.shape], chosen.nanogpt, chosen.steps)))


def profile_all(forms: list[str] | None, nanogpt: Path | None, environment: Mapping[str, str]) -> None:
    """A table of milliseconds and shares, for every form and shape, each in a process of its own."""
    if forms is None:
        forms = ["modern-muon-fp32"] if environment else ["modern-muon-fp32", "modern-muon-bf16"]
    for form in forms:
        for number, shape in enumerate(SHAPES):
            words = ["--nanogpt", nanogpt] if nanogpt else []
            done = run(python(HERE / "step_profile.py", form, number, *words), environment=environment)
            found = json.loads(done.lines[-1][1])
            where = f"{shape.layers}x{shape.width} T{shape.context} V{shape.vocab_size}, {shape.rows} rows"
            print(f"\n{form}{' AVX2' if environment else ''}, {where}: {1e3 * found['seconds']:.1f} ms a step ", end="")
            print(f"(profiler: x {found['slowed']:.2f})")
            for part in PARTS:
                print(f"  {part:20}{1e3 * found[part]:>9.2f} ms{found[part] / found['seconds']:>7.0%}")
            print(
                "  largest: " + ", ".join(f"{name} {1e3 * took:.2f} ms" for name, took in found["largest"]), flush=True
            )


def profiled(form: str, shape: Shape, nanogpt: Path | None, count: int) -> dict[str, Any]:
    """Seconds a step of each part; the parts add up to the step without the profiler."""
    made = build(form, shape, nanogpt, region=record_function)
    for _ in range(3):
        made.step()
    before = _mean(made.step, count)
    with named_parts(made.model), profile(activities=[ProfilerActivity.CPU]) as recorded:
        watched = _mean(made.step, count)
    wall = (before + _mean(made.step, count)) / 2
    parts, operations = shares(list(recorded.events()), count)
    inside = sum(parts.values())
    scale = min(1.0, wall / inside)  # the profiler makes short operations longer
    found = {part: parts.get(part, 0.0) * scale for part in PARTS}
    found["Python, other"] = max(0.0, wall - inside * scale)
    largest = sorted(operations.items(), key=lambda item: -item[1])[:8]
    return found | {"seconds": wall, "slowed": watched / wall, "largest": largest}


def _mean(step: Callable[[], float], count: int) -> float:
    """Seconds of one of `count` steps."""
    began = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - began) / count


@contextlib.contextmanager
def named_parts(model: torch.nn.Module) -> Iterator[None]:
    """Norms, attention and the loss as named regions: around modules and functions, nothing in them is changed."""
    undo: list[Callable[[], None]] = []
    for module in model.modules():
        part = NAMED.get(type(module).__name__)
        if part:
            open_: list[Any] = []
            undo.append(module.register_forward_pre_hook(lambda *_, part=part, o=open_: _enter(part, o)).remove)
            undo.append(module.register_forward_hook(lambda *_, o=open_: _leave(o)).remove)
    with contextlib.ExitStack() as stack:
        for place, name, part in functions():
            stack.enter_context(_wrapped(place, name, part))
        yield
    for one in undo:
        one()


def functions() -> list[tuple[Any, str, str]]:
    """Functions that are a part of their own: ours, and torch's that nanoGPT calls."""
    from bajka.model import transformer

    return [
        (transformer, "attend", "attention"),
        (transformer, "head_loss", "loss"),
        (torch.nn.functional, "cross_entropy", "loss"),
        (torch.nn.functional, "scaled_dot_product_attention", "attention"),
    ]


@contextlib.contextmanager
def _wrapped(place: Any, name: str, part: str) -> Iterator[None]:
    """`place.name` in a region named after the part; a function that is not there (any more) is left out."""
    inner = getattr(place, name, None)
    if inner is None:
        yield
        return

    def named(*words: Any, **more: Any) -> Any:
        with record_function(part):
            return inner(*words, **more)

    setattr(place, name, named)
    try:
        yield
    finally:
        setattr(place, name, inner)


def _enter(part: str, open_: list[Any]) -> None:
    open_.append(record_function(part))
    open_[-1].__enter__()


def _leave(open_: list[Any]) -> None:
    open_.pop().__exit__(None, None, None)


def shares(events: list[Any], count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds a step by part, and by operation, from the profiler's events (its times are microseconds)."""
    forward = {}  # sequence number of a forward operation: the part it was called in
    for event in events:
        if event.sequence_nr >= 0 and event.scope == 0 and (part := region_of(event)):
            forward[event.sequence_nr] = part
    parts: dict[str, float] = defaultdict(float)
    operations: dict[str, float] = defaultdict(float)
    for event in events:
        own = event.self_cpu_time_total / 1e6 / count
        if event.name in PARTS:  # Python between the operations of a region
            parts[event.name] += own
            continue
        parts[part_of(event, forward)] += own
        operations[event.name] += own
    return parts, operations


def region_of(event: Any) -> str | None:
    """The named part around an event, the innermost one."""
    while event is not None:
        if event.name in PARTS:
            return str(event.name)
        event = event.cpu_parent
    return None


def part_of(event: Any, forward: dict[int, str]) -> str:
    """The part that an event's own time belongs to."""
    part, above = region_of(event), event
    while part is None and above is not None:
        if above.scope == 1:  # a function of the backward
            part = forward.get(above.sequence_nr)
        above = above.cpu_parent
    if part in ("attention", "optimizer", "data"):
        return part
    product = any(_is_product(name) for name in names_above(event))
    return "matrix products" if product else part or "other elementwise"


def names_above(event: Any) -> Iterator[str]:
    """The names of an event and of what called it, up to the backward function: what copies for a product is part of it."""
    while event is not None and event.scope != 1:
        yield event.name
        event = event.cpu_parent


def _is_product(name: str) -> bool:
    word = name.removeprefix("aten::").removeprefix("mkldnn::").strip("_")
    return name.startswith(("aten::", "mkldnn::", "onednn::")) and word.startswith(PRODUCTS)


if __name__ == "__main__":
    main()
