"""Fit `bajka.planning.expectation` to the recorded runs and rewrite its coefficients.

    python benchmarks/expectation_fit.py                 # prints the errors, writes src/bajka/planning/expectation.json
    python benchmarks/expectation_fit.py --dry-run

The errors that count are those of left-out texts: the regression is fitted without all runs of a text, then asked for them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bajka.planning.expectation import CORE, Case, features, quantities

HERE = Path(__file__).parent
RUNS = HERE / "expectation_runs.jsonl"
PAGE = HERE.parent / "src" / "bajka" / "planning" / "expectation.json"
RIDGE = 0.003
SPREAD = 0.04
"""The interval is so much to either side: wider would say too little."""


def main() -> None:
    """Fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    runs = [json.loads(line) for line in options.runs.read_text(encoding="utf-8").splitlines()]
    cases = [case_of_run(run) for run in runs]
    texts = [run["cell"]["texts"].partition("/")[0] for run in runs]
    y = np.log([run["best_bits_per_byte"] / case.ngrams[-1] for run, case in zip(runs, cases, strict=True)])
    names = selected(cases, y, texts)
    x = columns(cases, names)
    errors = left_out_errors(x, y, texts)
    report(texts, errors, y - x @ fit(x, y))
    page = {
        "command": "python benchmarks/expectation_fit.py",
        "runs": len(runs),
        "texts": len(set(texts)),
        "spread": SPREAD,
        "inside": round(float((np.abs(errors) <= SPREAD).mean()), 3),
        "ranges": ranges(cases),
        "coefficients": dict(zip(names, np.round(fit(x, y), 5).tolist(), strict=True)),
    }
    if options.dry_run:
        print(json.dumps(page))
    else:
        PAGE.write_text(json.dumps(page, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {PAGE}")


def case_of_run(run: dict[str, Any]) -> Case:
    """What the plan could have known of a recorded run."""
    return Case(
        weights=run["body_weights"],
        vocab_size=run["vocab_size"],
        tokens=run["tokens_seen"],
        train_tokens=run["train_tokens"],
        bytes_per_token=run["bytes_per_token"],
        ngrams=tuple(run["ngrams"]),
    )


def columns(cases: list[Case], names: list[str]) -> NDArray:
    """The named features of all cases (cases, features)."""
    return np.array([[features(case)[name] for name in names] for case in cases])


def selected(cases: list[Case], y: NDArray, texts: list[str]) -> list[str]:
    """The core features and those that, one after the other, lower the error on left-out texts by a twentieth."""
    names = list(CORE)
    error = rms(left_out_errors(columns(cases, names), y, texts))
    print(f"left-out error {100 * error:.2f} % with {', '.join(names)}")
    while others := [name for name in features(cases[0]) if name not in names]:
        errors = {name: rms(left_out_errors(columns(cases, [*names, name]), y, texts)) for name in others}
        best = min(errors, key=lambda name: errors[name])
        if errors[best] > 0.95 * error or len(cases) < 8 * (len(names) + 1):
            return names
        names, error = [*names, best], errors[best]
        print(f"left-out error {100 * error:.2f} % with {best} too")
    return names


def rms(errors: NDArray) -> float:
    """The root of the mean square."""
    return float(np.sqrt((errors**2).mean()))


def fit(x: NDArray, y: NDArray) -> NDArray:
    """Coefficients by ridge regression; each feature is scaled, and the constant one is not drawn to zero."""
    scale = np.maximum(x.std(axis=0), 1e-9)
    scale[0] = 1.0
    scaled = x / scale
    middle = scaled.mean(axis=0)
    middle[0] = 0.0
    centred = scaled - middle
    penalty = RIDGE * len(y) * np.eye(x.shape[1])
    penalty[0, 0] = 0.0
    found = np.linalg.solve(centred.T @ centred + penalty, centred.T @ y) / scale
    found[0] -= middle @ (found * scale)
    return found


def left_out_errors(x: NDArray, y: NDArray, texts: list[str]) -> NDArray:
    """Logarithms of result over expectation, each by a fit without any run of the same text."""
    names, errors = np.array(texts), np.zeros(len(y))
    for name in set(texts):
        out = names == name
        errors[out] = y[out] - x[out] @ fit(x[~out], y[~out])
    return errors


def ranges(cases: list[Case]) -> dict[str, list[float]]:
    """The least and the most of each quantity."""
    found = [quantities(case) for case in cases]
    return {name: [min(one[name] for one in found), max(one[name] for one in found)] for name in found[0]}


def report(texts: list[str], errors: NDArray, within: NDArray) -> None:
    """How far off the regression was, text by text, in percent."""
    print("text                      runs   mean error   largest (left out, %)")
    for name in sorted(set(texts)):
        some = 100 * errors[[text == name for text in texts]]
        print(f"{name:<25} {len(some):>4} {some.mean():>+11.1f} {np.abs(some).max():>11.1f}")
    for name, found in (("left out", errors), ("fitted", within)):
        cut = np.quantile(np.abs(found), [0.5, 0.8, 0.9, 1.0]) * 100
        shares = zip(("half", "80 %", "90 %", "all"), cut, strict=True)
        print(f"{name}: {', '.join(f'{share} within {most:.1f} %' for share, most in shares)}")


if __name__ == "__main__":
    main()
