"""Real processes that train, killed without warning: what the tests of faults and the torture share."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import bajka

TRAIN = """
import json, sys
import bajka
from bajka.training.view import SilentView

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
