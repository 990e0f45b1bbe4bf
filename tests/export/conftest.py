"""One real run, tiny and short, with much in its folder that must never leave it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from planted import PLANTED, SECRET

import bajka
from bajka.corpus.tales import write_tales
from bajka.watching.view import SilentView


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps on sixty tales, in a folder whose path names a person."""
    home = tmp_path_factory.mktemp("home") / SECRET
    home.mkdir()
    texts = home / f"{SECRET}-diary.txt"
    texts.write_text("\n\n".join(write_tales(60)), encoding="utf-8")
    bajka.train(
        texts,
        out=str(home / "runs" / "tales"),
        steps=6,
        evaluate_every_steps=3,
        n_layer=1,
        n_embd=32,
        n_head=2,
        context_length=32,
        global_batch_size=4,
        vocab_size=300,
        device="cpu",
        precision="fp32",
        compile="off",
        prompts=["Once upon a time", "A fox"],
        max_new_tokens=20,
        view=SilentView(),
    )
    return home / "runs" / "tales"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run with twenty foreign files in it."""
    copy = tmp_path / SECRET / "tales"
    shutil.copytree(trained, copy)
    for name in PLANTED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(SECRET, encoding="utf-8")
    return copy
