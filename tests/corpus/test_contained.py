"""Held-out text that stands in training too, inside a larger file, is told."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bajka.config import CorpusSettings
from bajka.corpus import inspect_corpus, read_corpus, split_documents
from bajka.corpus.contained import also_in_training
from bajka.corpus.page import report_page
from bajka.settings import settings_with
from bajka.training.inputs import read_and_split

WORDS = ["fox", "ran", "over", "the", "hill", "and", "sea", "again", "owl", "oak", "star", "night", "miller", "cat"]


def tale(number: int, *, paragraphs: int = 24, width: int = 0) -> str:
    """Paragraphs of their own, of one line each or of lines of `width` words."""
    chance = random.Random(number)
    words = [chance.choices(WORDS, k=40) for _ in range(paragraphs)]
    lines = [[one[place : place + (width or 40)] for place in range(0, 40, width or 40)] for one in words]
    return "\n\n".join("\n".join(map(" ".join, one)) for one in lines)


def sentence(folder: Path, texts: dict[str, str], **wishes: float) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    settings = CorpusSettings(texts=(str(folder),), **wishes)
    split = split_documents(read_corpus(settings), settings)
    return also_in_training([*split.validation, *split.test], split.train)


@pytest.mark.parametrize("width", [0, 10])
def test_a_volume_beside_its_tales_is_named_with_the_share(tmp_path: Path, width: int) -> None:
    tales = {f"{number}.txt": tale(number, width=width) for number in range(10)}
    said = sentence(tmp_path / "t", tales | {"collected.txt": "\n\n".join(tales.values())})
    assert "t/collected.txt alone has parts of 9 of the 11 held-out documents" in said
    assert 80 < int(said.partition(" %")[0]) <= 100


def test_volumes_of_a_few_tales_each_are_told(tmp_path: Path) -> None:
    tales = [tale(number, paragraphs=8) for number in range(240)]
    volumes = {f"volume {place}.txt": "\n\n".join(tales[place : place + 8]) for place in range(0, 240, 8)}
    said = sentence(tmp_path / "t", {f"{place}.txt": one for place, one in enumerate(tales)} | volumes)
    assert "stands word for word in training too (t/volume" in said
    assert int(said.partition(" %")[0]) > 50


def test_the_test_side_counts_as_held_out(tmp_path: Path) -> None:
    tales = {f"{number}.txt": tale(number) for number in range(10)}
    everything = tales | {"collected.txt": "\n\n".join(tales.values())}
    assert "word for word" in sentence(tmp_path / "t", everything, validation_share=0.001, test_share=0.2)


def test_nothing_is_said_of_texts_that_repeat_nothing_or_only_short_lines(tmp_path: Path) -> None:
    refrain = "\n\nAnd if they are not dead, they are living still.\n\n"
    assert not sentence(tmp_path / "t", {f"{number}.txt": refrain + tale(number) + refrain for number in range(30)})


def test_it_is_said_with_the_split_and_in_the_report(tmp_path: Path) -> None:
    tales = {f"{number}.txt": tale(number) for number in range(10)}
    said = sentence(tmp_path / "t", tales | {"collected.txt": "\n\n".join(tales.values())})
    lines: list[str] = []
    corpus, split = read_and_split(settings_with(texts=[str(tmp_path / "t")]), lines.append)
    assert said in lines
    report = inspect_corpus(corpus, split)
    assert report.split is not None
    assert report.split.also_in_training == said
    assert said in report_page(report, title="t")
