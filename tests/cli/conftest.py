"""Commands are run in this process: the exit code, what was printed, and a tiny finished run to try them on."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import TINY, Bajka, Result, story

from bajka.cli.main import run


@pytest.fixture
def bajka(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bajka:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Result:
        capsys.readouterr()
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return call


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of some 40 KB with paragraphs."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "foxes.txt").write_text("\n\n".join(story(n) * 2 for n in range(220)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def tiny_run(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of ten steps."""
    path = tmp_path_factory.mktemp("home") / "runs" / "foxes"
    assert run(["train", str(texts), "--steps", "10", "--out", str(path), *TINY]) == 0
    return path
