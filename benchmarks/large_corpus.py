"""A corpus larger than memory should be: `bajka prepare` on gigabytes of mixed sentences, with its peak of anonymous memory.

    python benchmarks/large_corpus.py --texts folder/of/texts --gigabytes 2 --kills 2

The corpus is made of the sentences of the given texts in random order (so that no document equals another), as JSONL
files of 100 MB. The time, the peak of `RssAnon` (Linux: memory that no file backs) and, with --kills, whether a prepare
that was killed so often ends with the same bytes are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bajka.config import CorpusSettings
from bajka.corpus import read_corpus

FILE_BYTES = 100_000_000
SENTENCES = (6, 30)


def make_corpus(texts: list[str], folder: Path, size: int, seed: int = 0) -> None:
    """JSONL files with about `size` bytes in all."""
    draws = random.Random(seed)
    documents = read_corpus(CorpusSettings(texts=tuple(texts))).documents
    sentences = [one for d in documents for one in re.split(r"(?<=[.!?])\s+", d.text) if 20 < len(one) < 400]
    folder.mkdir(parents=True)
    written, number = 0, 0
    while written < size:
        with (folder / f"{number:04}.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            here = 0
            while here < FILE_BYTES and written + here < size:
                story = " ".join(draws.choices(sentences, k=draws.randint(*SENTENCES)))
                line = json.dumps({"story": story}, ensure_ascii=False) + "\n"
                here += len(line.encode("utf-8"))
                file.write(line)
        written, number = written + here, number + 1


def prepare(corpus: Path, out: Path, *, kill_after: float | None = None) -> tuple[float, float, int]:
    """Seconds, the peak of anonymous memory in MB, and the exit code of one `bajka prepare`."""
    command = [sys.executable, "-m", "bajka", "prepare", str(corpus), "--out", str(out)]
    began, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command)
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        if kill_after is not None and time.monotonic() - began > kill_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.1)
    return time.monotonic() - began, peak, process.returncode


def anonymous(pid: int) -> float:
    """`RssAnon` of a process in MB; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def digest(out: Path) -> str:
    """A hash of the token files in `out`."""
    (folder,) = [path for path in out.iterdir() if (path / "train.bin").is_file()]
    found = hashlib.sha256()
    for name in ("train.bin", "train.idx", "val.bin", "val.idx"):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 22):
                found.update(block)
    return found.hexdigest()


def main() -> None:
    """Make the corpus, prepare it, say what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--kills", type=int, default=0)
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="bajka-large-"))
    try:
        make_corpus(asked.texts, work / "corpus", int(asked.gigabytes * 1e9))
        seconds, peak, code = prepare(work / "corpus", work / "whole")
        print(f"{asked.gigabytes:g} GB: {seconds:.0f} s, peak of anonymous memory {peak:,.0f} MB, exit code {code}")
        for number in range(asked.kills):
            after = seconds * (number + 1) / (asked.kills + 1) * 0.9
            took, _, code = prepare(work / "corpus", work / "killed", kill_after=after)
            print(f"kill {number + 1}: after {took:.0f} s, exit code {code}")
        if asked.kills:
            took, _, code = prepare(work / "corpus", work / "killed")
            same = digest(work / "whole") == digest(work / "killed")
            print(f"after the kills: {took:.0f} s, exit code {code}, same bytes: {same}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
