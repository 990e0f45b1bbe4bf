"""Every folder of texts through `inspect` and `prepare`: a table of what came out, how long it took and how much memory.

    python benchmarks/corpora.py folder/of/corpora/*

Each folder is a process of its own; the memory is the peak of its resident set, files that are mapped included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COLUMNS = (
    "texts",
    "files",
    "documents",
    "MB in",
    "MB out",
    "equal",
    "nearly equal",
    "encodings",
    "cleaned",
    "seconds",
    "MB of memory",
)


def run(*words: str) -> tuple[str, float, float]:
    """What one bajka command printed, its seconds, and the peak of the children's memory so far in MB."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "bajka", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bajka {' '.join(words)}\n{done.stderr}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return done.stdout, time.monotonic() - began, peak


def row(folder: Path) -> list[str]:
    """One line of the table."""
    report = json.loads(run("inspect", str(folder), "--json")[0])
    with tempfile.TemporaryDirectory() as out:
        _, seconds, peak = run("prepare", str(folder), "--out", out)
    steps = ", ".join(f"{step['step']} {step['documents']:,}" for step in report["cleaning"]) or "-"
    encodings = ", ".join(f"{name} {count:,}" for name, count in report["encodings"].items())
    unsure = f" ({len(report['unsure'])} UNSURE)" if report["unsure"] else ""
    counts = (report["duplicates"]["equal"], report["duplicates"]["nearly_equal"])
    return [
        folder.name,
        f"{report['files']:,} (+{len(report['skipped'])} skipped)",
        f"{report['documents']:,}",
        f"{report['bytes_read'] / 1e6:.2f}",
        f"{report['bytes'] / 1e6:.2f}",
        *(f"{count:,}" for count in counts),
        encodings + unsure,
        steps,
        f"{seconds:.1f}",
        f"{peak:,.0f}",
    ]


def main() -> None:
    """The table, a process for each row, so that every peak is its own."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", nargs="+", type=Path)
    options.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.row:
        print(" | ".join(row(chosen.folders[0])))
        return
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    failed = 0
    for folder in chosen.folders:
        done = subprocess.run(
            [sys.executable, __file__, "--row", folder], stdout=subprocess.PIPE, text=True, check=False
        )
        failed += done.returncode != 0
        print(f"| {done.stdout.strip() or f'{folder.name}: failed'} |", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
