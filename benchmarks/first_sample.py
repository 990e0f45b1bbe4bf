"""T5. From a cold start to the first sample of a model that knows the text better than `xz -9`.

    python benchmarks/first_sample.py --text path/to/text.txt --rounds 3

The first 1,000,000 bytes of a text (`--bytes`). xz's bits per byte are those of that whole text, compressed with its highest
preset. `bajka train TEXT` runs with empty caches and no flags, or with `--minutes`; its folder is watched, and the clock
stops at the first line of samples.jsonl whose evaluation (validation text, bits per byte) is below xz's; where the run has a
teacher, which is trained first and writes as well, its samples count too.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ours
from harness import Results, code, cold, medians, parser, python, show, text_key


def main() -> None:
    """The rounds and their median."""
    options = arguments()
    results = Results(options.results, "first sample")
    found = []
    for number in range(options.rounds):
        key = {
            "text": text_key(options.text),
            "bytes": options.bytes,
            "minutes": options.minutes,
            "ours": options.ours,
            "round": number,
            "code": code(),
        }
        found.append(results.once("bajka", key, lambda: measured(options)))
        show("bajka", found[-1])
        print(f"  {found[-1]['sample']!r}")
    show("median", medians(found, "seconds", "bits_per_byte", "xz_bits_per_byte"))


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """One cold run; it is ended once the sample is there, unless `--to-the-end`."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_bytes(beginning(options.text, options.bytes))
        limit = 8 * len(lzma.compress(text.read_bytes(), preset=9)) / text.stat().st_size
        words = [f"--minutes={options.minutes}"] if options.minutes else []
        words += [f"--{word}" for word in options.ours]
        command = python("-m", "bajka", "train", text, *words, "--out", Path(folder) / "run")
        found = watched(command, Path(folder), limit, to_the_end=options.to_the_end)
    return found | {"xz_bits_per_byte": limit, "text_bytes": min(options.bytes, options.text.stat().st_size)}


def beginning(path: Path, size: int) -> bytes:
    """The first bytes of a text, cut between two letters."""
    with path.open("rb") as file:
        return file.read(size).decode("utf-8", errors="ignore").encode()


def watched(command: list[str], folder: Path, limit: float, *, to_the_end: bool) -> dict[str, Any]:
    """Run the command and look at its folder ten times a second; what it says goes to a file."""
    first: dict[str, Any] | None = None
    seen: dict[Path, dict[int, float]] = {folder / "run" / "teacher": {}, folder / "run": {}}
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | cold(folder), stdout=said, stderr=subprocess.STDOUT)
        try:
            while first is None or to_the_end:
                running = process.poll() is None
                for run, when in seen.items():
                    first = first or sample_below(limit, run, when, began)
                if not running:
                    break
                time.sleep(0.1)
            whole = time.perf_counter() - began if process.poll() is not None else None
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if first is None:
        tail = (folder / "said.txt").read_text(encoding="utf-8", errors="replace")[-1500:]
        raise SystemExit(f"No sample of a model below {limit:.3f} bits per byte came; the command said:\n{tail}")
    return first | {"whole_seconds": whole}


def sample_below(limit: float, run: Path, seen: dict[int, float], began: float) -> dict[str, Any] | None:
    """The first sample of a step whose evaluation is below the limit, with the seconds at which it was there; `seen` keeps when
    the sample of each step was."""
    file = run / "samples.jsonl"
    if not file.exists():
        return None
    written_so_far = file.read_bytes()
    samples = [json.loads(line) for line in written_so_far[: written_so_far.rfind(b"\n") + 1].splitlines()]
    for line in samples:
        seen.setdefault(line["step"], time.perf_counter() - began)
    judged = {line["step"]: line["val_bits_per_byte"] for line in ours.read_metrics(run) if "val_bits_per_byte" in line}
    for line in samples:
        bits = judged.get(line["step"])
        if bits is not None and bits < limit:
            return {"seconds": seen[line["step"]], "step": line["step"], "bits_per_byte": bits, "sample": written(line)}
    return None


def written(line: Mapping[str, Any]) -> str:
    """The words of a sample, without its facts."""
    return " ".join(str(line.get(part, "")) for part in ("prompt", "text")).strip()[:200]


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--text", type=Path, required=True, help="a text of at least --bytes")
    options.add_argument("--bytes", type=int, default=1_000_000)
    options.add_argument("--minutes", type=float, help="default: no flag")
    options.add_argument("--ours", nargs="*", default=[], metavar="NAME=VALUE", help="further flags")
    options.add_argument("--to-the-end", action="store_true", help="let the run end by itself")
    return options.parse_args()


if __name__ == "__main__":
    main()
