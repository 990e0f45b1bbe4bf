"""Sixty kills of one run, at random moments: minutes long, so `make torture` runs it and `make test` does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bajka.hardware import cpp_compiler
from killing import moments, train_under_fire
from tiny_runs import TINY, bits, checkpoints, tales_file, train_tiny

pytestmark = pytest.mark.torture

KILLED: dict[str, tuple[dict[str, Any], int]] = {
    "eager": ({"steps": 2400, "save_every_steps": 3, "evaluate_every_steps": 7, "dropout": 0.1}, 60),
    "compiled": ({"steps": 300, "save_every_steps": 3, "compile": "on", "n_layer": 1}, 5),
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", KILLED)
def test_many_kills_at_random_moments_change_no_bit(tmp_path: Path, how: str) -> None:
    wishes, count = KILLED[how]
    if how == "compiled" and cpp_compiler() is None:
        pytest.skip("there is no C++ compiler")
    texts = tales_file(tmp_path / "texts")
    whole = train_tiny(texts, out=str(tmp_path / "whole"), **wishes)
    kills = moments(count, lines=(1, 60), seed=count)
    run, killed = train_under_fire(texts, TINY | wishes | {"out": str(tmp_path / "killed")}, kills=kills)
    assert killed > count / 2
    assert bits(run) == bits(whole)
    assert [line["step"] for line in run.metrics] == [line["step"] for line in whole.metrics]
    assert run.folder.read_pointer("best") == whole.folder.read_pointer("best")
    assert len(checkpoints(run.folder)) == len(checkpoints(whole.folder))
    assert run.generate("Once", max_new_tokens=20, temperature=0) == whole.generate(
        "Once", max_new_tokens=20, temperature=0
    )
