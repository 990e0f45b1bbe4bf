"""Runs that are killed without warning, as real processes or in a fork server, and compared with one that never was."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import bajka
from bajka import durable
from tiny_runs import bits

TRAIN = """
import json, sys
import bajka
from bajka.watching.view import SilentView

class Told(SilentView):
    def say(self, line):
        print("said", flush=True)
    def step(self, report, line):
        print("step", flush=True)

bajka.train(sys.argv[1], view=Told(), **json.loads(sys.argv[2]))
"""


def start(texts: Path, wishes: dict[str, Any]) -> subprocess.Popen[str]:
    """A process that trains; it prints a line for everything said and for every step."""
    command = [sys.executable, "-c", TRAIN, str(texts), json.dumps(wishes)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def train_under_fire(
    texts: Path, wishes: dict[str, Any], *, kills: Sequence[tuple[int, float]]
) -> tuple[bajka.Run, int]:
    """Train, killed in one sitting after the other once so many lines were printed and so many seconds more went by.

    Gives the finished run, and how many of the kills came before the end.
    """
    killed = 0
    for lines, seconds in kills:
        with start(texts, wishes) as process:
            if _heard(process.stdout, lines):
                time.sleep(seconds)
                process.kill()
        killed += process.returncode < 0
    with start(texts, wishes) as process:
        process.communicate()
    assert process.returncode == 0
    return bajka.open_run(wishes["out"]), killed


def _heard(pipe: IO[str] | None, lines: int) -> bool:
    assert pipe is not None
    return all(pipe.readline() for _ in range(lines))


def moments(count: int, *, lines: tuple[int, int], seed: int) -> list[tuple[int, float]]:
    """Random moments for `train_under_fire`: within some lines, and up to a tenth of a second later."""
    draw = random.Random(seed)
    return [(draw.randint(*lines), draw.uniform(0.0, 0.1)) for _ in range(count)]


@contextmanager
def quick_folder(otherwise: Path) -> Iterator[Path]:
    """A folder in memory where the system has one (a kill does not undo writes, so it need not be a disk)."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < 1 << 30:
        yield otherwise
        return
    with tempfile.TemporaryDirectory(prefix="bajka-", dir=memory) as folder:
        yield Path(folder)


EXACT = ("step", "tokens", "epoch", "train_loss", "learning_rate", "gradient_norm", "val_loss", "train_sample_loss")


def assert_same_end(run: bajka.Run, whole: bajka.Run, *, same_saves: bool = True) -> None:
    """The same bits, numbers and texts, the same checkpoints in as many bytes, and nothing left over.

    With `same_saves` False the run saved at other steps too, as after a signal: its checkpoints are not compared.
    """
    assert bits(run) == bits(whole)
    assert exact_numbers(run) == exact_numbers(whole)
    ours, theirs = (sorted({(s["step"], s["text"]) for s in one.folder.samples()}) for one in (run, whole))
    assert ours == theirs
    for name in ("last", "best", "cooldown"):
        ours, theirs = ((one.folder.read_pointer(name) or {}).get("step") for one in (run, whole))
        assert ours == theirs, name
    assert not same_saves or weights_on_disk(run.path) == weights_on_disk(whole.path)
    assert left_over(run.path) == []


def exact_numbers(run: bajka.Run) -> list[dict[str, Any]]:
    """What metrics.jsonl holds, without what depends on the time of day and the speed of the machine."""
    return [{name: line[name] for name in EXACT if name in line} for line in run.metrics]


def weights_on_disk(run: Path) -> tuple[list[tuple[str, int]], int]:
    """Every file of model/ and checkpoints/ with its size, and the disk blocks that they take: both without those whose
    length depends on the clock (state.json holds seconds), of which only the names count."""
    paths = [path for name in ("model", "checkpoints") for path in (run / name).rglob("*") if path.is_file()]
    names = {path: re.sub(r"(step-\d+)-\d+", r"\1", path.relative_to(run).as_posix()) for path in paths}
    same = [path for path in paths if path.suffix == ".safetensors" or path.parent.name == "model"]
    blocks = {path.stat().st_ino: getattr(path.stat(), "st_blocks", 0) for path in same}
    sizes = sorted((names[path], path.stat().st_size if path in same else 0) for path in paths)
    return sizes, sum(blocks.values())


def left_over(folder: Path) -> list[str]:
    """Names of temporary files and folders below `folder`, and of folders that are no whole checkpoint."""
    temporary = [path.name for path in folder.rglob(f"*{durable.TEMPORARY}")]
    checkpoints = [path for path in folder.rglob("step-*") if path.is_dir()]
    return temporary + [path.name for path in checkpoints if not (path / "manifest.json").is_file()]
