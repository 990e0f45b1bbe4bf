"""What the README tells people to type works, word by word, with smaller numbers."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from bajka.cli.main import run

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SMALLER = "--steps 4 --n-layer 1 --n-embd 32 --n-head 2 --context-length 32 --vocab-size 300"


def commands() -> list[str]:
    """The lines of the README's blocks that begin with bajka, without comments."""
    blocks = re.findall(r"```\n(.*?)```", README, flags=re.DOTALL)
    return [
        line.partition("#")[0].strip() for block in blocks for line in block.splitlines() if line.startswith("bajka ")
    ]


def test_the_commands_of_the_first_screen_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "path/to/texts").mkdir(parents=True)
    tale = "Once upon a time there was a fox. It sang.\n\n"
    (tmp_path / "path/to/texts/tales.txt").write_text("".join(f"{n}. {tale}" for n in range(600)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert {line.split()[1] for line in found} >= {"inspect", "train", "generate", "evaluate", "studio"}
    for line in found:
        if line.split()[1] == "studio":
            continue  # it serves until it is stopped: tests/serving
        words = shlex.split(line.replace("--minutes 5", SMALLER).replace("-n 3", "-n 3 --max-new-tokens 5"))
        assert run(words[1:]) == 0, line + capsys.readouterr().err
    assert (tmp_path / "three.txt").read_text(encoding="utf-8").count("Once upon a time") == 3


def test_the_python_of_the_readme_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alice.txt").write_text(
        "".join(f"{n}. Alice was late. She ran.\n\n" for n in range(900)), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert code is not None
    smaller = "steps=3, n_layer=1, n_embd=32, n_head=2, context_length=32, vocab_size=300"
    exec(compile(code[1].replace("minutes=5", smaller), "README.md", "exec"), {})


def test_the_python_of_its_own_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    tales = "".join(f"{n}. Once upon a time there was a fox. It sang.\n\n" for n in range(600))
    for name in ("texts/tales.txt", "a.txt", "poems/b.txt", "other.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n\n{tales}", encoding="utf-8")
    (tmp_path / "more.txt").write_text("The sea and the boat.\n" * 200, encoding="utf-8")
    smaller = {"n_layer": 1, "n_embd": 32, "n_head": 2, "context_length": 32, "vocab_size": 300}
    lines = "\n".join(f"{name} = {value}" for name, value in smaller.items() if name != "vocab_size")
    (tmp_path / "mine.toml").write_text(
        f'[corpus]\ntexts = ["texts"]\n[schedule]\nsteps = 2\n[tokenizer]\nvocab_size = 300\n[model]\n{lines}\n'
    )
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    tiny = ", ".join(f"{name}={value}" for name, value in smaller.items())
    for typed, tried in (
        ("minutes=5", f"steps=3, {tiny}"),
        ("steps=500, n_embd=128", f"steps=3, {tiny}"),
        ("steps=500", "steps=2"),
        ('add="more.txt"', 'add="more.txt", steps=2'),
    ):
        assert typed in code
        code = code.replace(typed, tried)
    exec(compile(code, "docs/python.md", "exec"), {})
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {"texts", "mine", "mine-2"}


def test_every_name_of_the_table_of_commands_is_there() -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    named = re.findall(r"bajka(?:\.\w+)+(?=[(`])", page.partition("| command |")[2])
    assert len(named) > 12
    for name in named:
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last), name


def test_the_makefile_has_the_two_commands() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
