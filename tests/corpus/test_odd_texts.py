"""Bad and odd texts, by hand: each works to the last letter or gets one clear sentence, soon, and leaves nothing behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from odd_checks import check_sentence, check_works, make, read
from odd_files import FILES
from odd_texts import ENCODED, JSON, PLAIN, TABLES

from bajka.errors import BajkaError

ODD = {**PLAIN, **ENCODED, **JSON, **TABLES, **FILES}
ON_THE_COMMAND_LINE = (
    *(
        "an empty text",
        "a NUL at the end",
        "an encoding that does not exist",
        "JSON in depth",
        "a field that is not there",
    ),
    *("half a character", "a column of numbers", "an epub cut off", "a gz of zeros", "a zip that leads out", "a pipe"),
    *("a path that is too long", "a dataset that leads out", "a template without fields", "a name that is no UTF-8"),
)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ODD)
def test_it_works_or_gets_one_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ODD[name]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    texts = make(odd, tmp_path / "texts")
    if odd.sentence:
        with pytest.raises(BajkaError) as caught:
            read(texts if odd.given or not name.startswith("no texts") else (), odd.wishes)
        check_sentence(str(caught.value))
        assert odd.sentence in str(caught.value)
        del caught
    else:
        corpus = read(texts, odd.wishes)
        found = tuple(document.text for document in corpus.documents)
        assert (len(found) if isinstance(odd.texts, int) else found) == odd.texts
        for skipped in corpus.skipped:
            check_sentence(skipped.reason)
        check_works(corpus)
        del corpus
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_there_are_enough_of_them() -> None:
    assert len(ODD) >= 150


@pytest.mark.parametrize("name", [name for name in ON_THE_COMMAND_LINE if name in ODD])
def test_the_command_line_says_the_same(name: str, tmp_path: Path) -> None:
    odd = ODD[name]
    texts = make(odd, tmp_path / "texts")
    options = [
        word for key, wish in odd.wishes.items() for word in (f"--{key}", *([wish] if isinstance(wish, str) else wish))
    ]
    command = [sys.executable, "-m", "bajka", "inspect", *texts, *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        command, capture_output=True, text=True, errors="replace", cwd=tmp_path, env=environment, timeout=60
    )
    assert "Traceback" not in result.stderr + result.stdout
    assert result.returncode == (2 if odd.sentence else 0), result.stderr
    if odd.sentence:
        assert result.stderr.startswith("bajka: ")
        assert odd.sentence in result.stderr
        check_sentence(result.stderr)
