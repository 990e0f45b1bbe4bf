"""Eighty kills of real processes at random moments, of training (compiled, too) and of the command that prepares."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bajka import durable
from bajka.corpus.tales import write_tales
from bajka.hardware import cpp_compiler
from killing import assert_same_end, moments, train_under_fire
from shooting_range import count as faults
from tiny_runs import TINY, tales_file, train_tiny

pytestmark = pytest.mark.torture

KILLED: dict[str, tuple[dict[str, Any], int]] = {
    "eager": ({"steps": 2400, "save_every_steps": 3, "evaluate_every_steps": 7, "dropout": 0.1}, 60),
    "compiled": ({"steps": 300, "save_every_steps": 3, "compile": "on", "n_layer": 1}, 5),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", KILLED)
def test_many_kills_at_random_moments_change_no_bit(tmp_path: Path, how: str, record_property: Any) -> None:
    wishes, count = KILLED[how]
    if how == "compiled" and cpp_compiler() is None:
        pytest.skip("there is no C++ compiler")
    texts = tales_file(tmp_path / "texts")
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **wishes)
    kills = moments(count, lines=(1, 60), seed=count)
    run, killed = train_under_fire(texts, TINY | wishes | {"out": str(tmp_path / "killed")}, kills=kills)
    assert killed > count / 2
    assert_same_end(run, whole)
    assert run.generate("Once", max_new_tokens=20, temperature=0) == whole.generate(
        "Once", max_new_tokens=20, temperature=0
    )
    faults(record_property, killed)


@pytest.mark.timeout(1800)
def test_kills_of_the_command_that_prepares_change_no_byte(tmp_path: Path, record_property: Any) -> None:
    texts = tmp_path / "tales.txt"
    texts.write_text("\n\n".join(write_tales(6000)), encoding="utf-8")
    clean, killed, draw = prepared(texts, tmp_path / "clean"), 0, random.Random(4)
    while killed < 15:
        with prepare(texts, tmp_path / "killed") as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(draw.uniform(0.0, 1.0))
            process.kill()
        killed += process.returncode < 0
        if process.returncode == 0:
            shutil.rmtree(tmp_path / "killed")
    assert prepared(texts, tmp_path / "killed") == clean
    faults(record_property, killed)


def prepare(texts: Path, out: Path) -> subprocess.Popen[str]:
    """`bajka prepare`."""
    command = [sys.executable, "-m", "bajka", "prepare", str(texts), "--out", str(out), "--vocab-size", "500"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def prepared(texts: Path, out: Path) -> dict[str, str]:
    """Hashes of all that the command leaves, but for the moment at which the texts were read."""
    with prepare(texts, out) as process:
        process.communicate()
    assert process.returncode == 0
    paths = [path for path in out.rglob("*") if path.is_file() and path.name != "sources.json"]
    return {path.relative_to(out).as_posix(): durable.sha256_of(path) for path in paths}
