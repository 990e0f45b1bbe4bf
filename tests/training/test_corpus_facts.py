"""What the plan knows of a text before it is learnt: copied passages, and held-out text of another kind, told to the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bajka.corpus.tales import write_tales
from bajka.planning.outlook import REPEATED, UNLIKE
from bajka.settings import settings_with
from bajka.training.corpus_facts import likeness
from bajka.training.preview import preview


def plan_lines(path: Path, text: str) -> str:
    """What `bajka plan` says of a text."""
    path.write_text(text, encoding="utf-8")
    said: list[str] = []
    preview(settings_with(texts=[str(path)], minutes=2.0, vocab_size=400), say=said.append)
    return "\n".join(said)


def test_a_tail_in_capitals_is_told_and_nothing_is_promised_of_it(tmp_path: Path) -> None:
    tales = write_tales(400)
    whole = plan_lines(tmp_path / "whole.txt", "\n\n".join(tales))
    loud = plan_lines(tmp_path / "loud.txt", "\n\n".join([*tales[:350], *(tale.upper() for tale in tales[350:])]))
    assert "unlike the rest" not in whole
    assert "Expected result" in whole
    assert "Expected result" not in loud
    assert "What is held out is unlike the rest of the text (" in loud


def test_a_tail_that_stood_before_is_told(tmp_path: Path) -> None:
    tales = write_tales(400)
    again = plan_lines(tmp_path / "again.txt", "\n\n".join([*tales, *tales[5:40]]))
    assert "of what is held out stands word for word in the training text too" in again


def test_tales_that_hold_themselves_twice_are_told(tmp_path: Path) -> None:
    tales = write_tales(400)
    twice = plan_lines(tmp_path / "twice.txt", "\n\n".join(f"{tale}\n\n{tale}" for tale in tales))
    assert "of the text stands in it more than once, in long passages" in twice
    assert "unlike the rest" not in twice
    assert "Expected result" not in twice


def test_streams_of_the_same_kind_are_alike_and_others_are_not() -> None:
    rng = np.random.default_rng(5)
    first, second = (rng.integers(low, low + 40, 60_000) for low in (0, 30))
    alike, repeated = likeness(first, rng.integers(0, 40, 8_000), 100, 2.5)
    assert alike == pytest.approx(1.0, abs=0.02)
    assert repeated == 0.0
    assert likeness(first, second[:8_000], 100, 2.5)[0] > UNLIKE
    assert likeness(np.repeat(first.reshape(-1, 300), 2, axis=0).ravel(), first[:8_000], 100, 2.5)[1] > REPEATED
    assert likeness(first[:300], second, 100, 2.5) == (1.0, 0.0)  # too little to tell
