"""The recorded results as tables: medians over rounds (and seeds), how many runs, when and on which machine.

    python benchmarks/table.py results.jsonl [--script plenty] [--all]

Of ours only the results of the present code are shown; `--all` shows those of every version.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from harness import code, medians, read_lines

FIGURES = (
    "cold",
    "warm",
    "seconds",
    "loss",
    "bits_per_byte",
    "xz_bits_per_byte",
    "tokens_per_second",
    "rate",
    "peak_mb",
)
REPEATED = ("round", "seed")


def main() -> None:
    """Print a table for each script."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=Path)
    options.add_argument("--script")
    options.add_argument("--all", action="store_true")
    chosen = options.parse_args()
    lines = [line for line in read_lines(chosen.results) if chosen.script in (None, line["script"])]
    lines = [line for line in lines if not line["name"].startswith("calibrate")]
    if not chosen.all:
        lines = [line for line in lines if line["settings"].get("code") in (None, code())]
    for script in dict.fromkeys(line["script"] for line in lines):
        table(script, [line for line in lines if line["script"] == script])


def table(script: str, lines: list[dict[str, Any]]) -> None:
    """One line of Markdown for each name and settings; settings that are the same for all stand above."""
    for line in lines:
        line["settings"]["processor"] = line["machine"]["processor"]
    common = shared([line["settings"] for line in lines])
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        own = {key: value for key, value in line["settings"].items() if key not in REPEATED and key not in common}
        groups[json.dumps([line["name"], own])].append(line)
    shown = [name for name in FIGURES if any(line.get(name) is not None for line in lines)]
    machines = {json.dumps({k: v for k, v in line["machine"].items() if k != "load"}) for line in lines}
    print(f"\n## {script}\n\n{describe(common)}\n" + "\n".join(sorted(machines)) + "\n")
    print(f"| name | settings | runs | {' | '.join(shown)} | dates |")
    print("|" + "---|" * (len(shown) + 4))
    for key, group in groups.items():
        name, own = json.loads(key)
        middle = medians(group, *shown)
        values = [f"{middle[one]:,.4g}" if one in middle else "-" for one in shown]
        dates = sorted({line["date"][:10] for line in group})
        print(f"| {name} | {describe(own)} | {len(group)} | {' | '.join(values)} | {', '.join(dates)} |")


def shared(settings: list[dict[str, Any]]) -> dict[str, Any]:
    """What all runs have in common, but for what is repeated."""
    first = settings[0]
    return {
        key: value
        for key, value in first.items()
        if key not in REPEATED and all(key in one and one[key] == value for one in settings)
    }


def describe(settings: dict[str, Any]) -> str:
    """Settings as words."""
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value not in (None, [], False))


if __name__ == "__main__":
    main()
