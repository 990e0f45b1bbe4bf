"""T3. Tokens a second of the same GPT-2 shapes, and the share of the matrix rate that was measured at these shapes.

    python benchmarks/speed.py --nanogpt path/to/nanoGPT --rounds 3
    python benchmarks/speed.py --nanogpt path/to/nanoGPT --rounds 3 --avx2
    python benchmarks/speed.py --profile

Vocabulary 4,096, context 256, 8 sequences a step, two shapes. Each form is a process of its own, in turn (A B A B), the
median step of `--seconds`; compiling is outside (the cache is warm after the first round). The products of the shape are
timed alone in each round too (matrix_rate.py): the share is their seconds / the seconds of a step. `--avx2` takes away
AVX-512 and its bf16 (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA), as on most computers at home; then all is fp32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

from harness import HERE, Results, code, medians, parser, peer_key, python, run, show
from step_forms import Shape, build, parts_of

FP32 = ("nanogpt-fp32", "nanogpt-fp32-compiled", "bajka-adamw-fp32", "bajka-muon-fp32", "bajka-adamw-fp32-compiled")
BF16 = (
    "nanogpt-fp32",
    "nanogpt-bf16",
    "nanogpt-bf16-compiled",
    "bajka-adamw-fp32",
    "bajka-adamw-bf16",
    "bajka-muon-bf16",
    "bajka-adamw-bf16-compiled",
    "bajka-muon-bf16-compiled",
)
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def main() -> None:
    """One form in this process, or all of them in turn."""
    options = arguments()
    if options.form:
        shape = Shape.parse(options.shapes[0], context=options.context, rows=options.rows)
        print(json.dumps(tokens_a_second(options.form, shape, options.seconds, options.nanogpt)))
        return
    if options.profile:
        from step_profile import profile_all

        profile_all(options.forms or None, options.nanogpt, AVX2 if options.avx2 else {})
        return
    compare(options)


def compare(options: argparse.Namespace) -> None:
    """Rounds over forms, for each shape; then the table."""
    results = Results(options.results, "speed")
    forms = [
        form for form in options.forms or (FP32 if options.avx2 else BF16) if options.nanogpt or "nano" not in form
    ]
    for text in options.shapes:
        found: dict[str, list[dict[str, Any]]] = {form: [] for form in forms}
        products: dict[str, list[dict[str, Any]]] = {}
        for number in range(options.rounds):
            for precision in dict.fromkeys(parts_of(form)[2] for form in forms):
                line = results.once(
                    f"products {precision}",
                    setting(text, number, options),
                    partial(products_of, text, precision, options),
                )
                products.setdefault(precision, []).append(line)
            for form in forms:
                theirs = form.startswith("nano")
                key = setting(text, number, options)
                key |= {"peer": peer_key(options.nanogpt)} if theirs else {"code": code()}
                line = results.once(form, key, partial(one, form, text, options))
                found[form].append(line)
                show(f"{text} {form}", line)
        table(text, found, products)


def setting(text: str, number: int, options: argparse.Namespace) -> dict[str, Any]:
    """What a figure of speed depends on."""
    return {
        "shape": text,
        "context": options.context,
        "rows": options.rows,
        "avx2": options.avx2,
        "threads": options.threads,
        "seconds": options.seconds,
        "round": number,
    }


def environment(options: argparse.Namespace) -> dict[str, str]:
    """What takes AVX-512 away, and the threads."""
    threads = {"OMP_NUM_THREADS": str(options.threads)} if options.threads else {}
    return (AVX2 if options.avx2 else {}) | threads


def one(form: str, text: str, options: argparse.Namespace) -> dict[str, Any]:
    """This program again, for one form."""
    words = [HERE / "speed.py", "--form", form, "--shapes", text, f"--seconds={options.seconds}"]
    words += [f"--context={options.context}", f"--rows={options.rows}"]
    words += ["--nanogpt", options.nanogpt] if options.nanogpt else []
    return json.loads(run(python(*words), environment=environment(options)).lines[-1][1])  # type: ignore[no-any-return]


def products_of(text: str, precision: str, options: argparse.Namespace) -> dict[str, Any]:
    """All products of a step at this shape, each alone."""
    words = [HERE / "matrix_rate.py", text, f"--precision={precision}", f"--context={options.context}"]
    words += [f"--rows={options.rows}"]
    return json.loads(run(python(*words), environment=environment(options)).lines[-1][1])  # type: ignore[no-any-return]


def tokens_a_second(form: str, shape: Shape, seconds: float, nanogpt: Path | None) -> dict[str, Any]:
    """The median step after a few, and what it took to get there."""
    began = time.perf_counter()
    step = build(form, shape, nanogpt).step
    for _ in range(3):
        step()
    ready, took = time.perf_counter() - began, []
    while sum(took) < seconds or len(took) < 5:
        before = time.perf_counter()
        step()
        took.append(time.perf_counter() - before)
    middle = statistics.median(took)
    return {"tokens_per_second": shape.tokens / middle, "step_seconds": middle, "ready": ready, "measured": len(took)}


def table(text: str, found: dict[str, list[dict[str, Any]]], products: dict[str, list[dict[str, Any]]]) -> None:
    """Medians, ratios to nanoGPT's forms, and shares of the matrix rate."""
    middle = {form: medians(lines, "tokens_per_second", "step_seconds") for form, lines in found.items()}
    alone = {name: medians(lines, "seconds", "rate", "linear_seconds") for name, lines in products.items()}
    peers = [form for form in middle if form.startswith("nano")]
    for precision, figures in alone.items():
        print(f"\n{text}: products alone in {precision}: {figures['rate'] / 1e9:,.0f} GFLOP/s")
    head = "".join(f"{'x ' + peer:>26}" for peer in peers)
    print(f"{'form':30}{'tokens/s':>10}{'of the rate':>13}{'without attention':>19}{head}")
    for form, figures in middle.items():
        one = alone[parts_of(form)[2]]
        shares = one["seconds"] / figures["step_seconds"], one["linear_seconds"] / figures["step_seconds"]
        ratios = "".join(f"{figures['tokens_per_second'] / middle[peer]['tokens_per_second']:>26.2f}" for peer in peers)
        print(f"{form:30}{figures['tokens_per_second']:>10,.0f}{shares[0]:>13.0%}{shares[1]:>19.0%}{ratios}")


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    options.add_argument("--shapes", nargs="+", default=["4x192", "6x384"])
    options.add_argument("--forms", nargs="*", default=[], help="only these (see step_forms.py)")
    options.add_argument("--context", type=int, default=256)
    options.add_argument("--rows", type=int, default=8, help="sequences a step")
    options.add_argument("--seconds", type=float, default=15.0, help="of each measurement")
    options.add_argument("--threads", type=int, help="default: all")
    options.add_argument("--avx2", action="store_true", help="without AVX-512, fp32 alone")
    options.add_argument("--profile", action="store_true", help="where the time of a step goes (step_profile.py)")
    options.add_argument("--form", help=argparse.SUPPRESS)
    return options.parse_args()


if __name__ == "__main__":
    main()
