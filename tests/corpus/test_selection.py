"""Documents chosen and cut without a copy of their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
import pytest

from bajka.corpus.selection import Selection
from bajka.formats import Document

TEXT = "Once upon a time there was a fox."
MARKED = Document(TEXT, "fox.txt", {"title": "The Fox"}, ((0, "<|plot|>"), (12, "<|part|>"), (33, "<|end|>")))
TALES = [Document(f"Tale {number}.", f"{number}.txt") for number in range(10)]


class Counting(Sequence[Document]):
    """Ten tales that count how often they are read."""

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return len(TALES)

    @overload
    def __getitem__(self, number: int) -> Document: ...
    @overload
    def __getitem__(self, number: slice) -> list[Document]: ...
    def __getitem__(self, number: int | slice) -> Document | list[Document]:
        self.reads += 1
        return TALES[number]


def test_it_gives_the_documents_with_these_numbers_in_this_order() -> None:
    selection = Selection(TALES, [7, 0, 3])
    assert len(selection) == 3
    assert list(selection) == [TALES[7], TALES[0], TALES[3]]
    assert selection[-1] is TALES[3]
    assert TALES[0] in selection


def test_no_number_beyond_the_end_is_given() -> None:
    with pytest.raises(IndexError):
        Selection(TALES, [1])[1]
    assert list(Selection(TALES, [])) == []


def test_documents_are_read_only_when_they_are_asked_for() -> None:
    tales = Counting()
    selection = Selection(tales, np.arange(10))[2:8][::2]
    assert tales.reads == 0
    assert [one.name for one in selection] == ["2.txt", "4.txt", "6.txt"]
    assert tales.reads == 3


def test_a_slice_is_cut_as_the_whole_is() -> None:
    selection = Selection(TALES, [1, 2, 3], [0, 1, 2], [4, 5, 6], suffix=" (tail)")
    assert list(selection[1:]) == list(selection)[1:]
    assert [one.text for one in selection[::-1]] == ["le 3", "ale ", "Tale"]


def test_a_cut_keeps_fields_and_only_what_lost_its_beginning_is_renamed() -> None:
    head, tail = Selection([MARKED], [0, 0], [0, 12], [12, 33], suffix=" (tail)")
    assert (head.text + tail.text, head.name, tail.name) == (TEXT, "fox.txt", "fox.txt (tail)")
    assert head.fields == tail.fields == {"title": "The Fox"}


def test_each_marker_goes_with_the_character_behind_it_and_the_last_stays_at_the_end() -> None:
    head, tail = Selection([MARKED], [0, 0], [0, 12], [12, 33])
    assert head.markers == ((0, "<|plot|>"),)
    assert tail.markers == ((0, "<|part|>"), (21, "<|end|>"))


def test_what_is_whole_is_the_document_itself() -> None:
    assert Selection([MARKED], [0])[0] is MARKED
    assert Selection([MARKED], [0], [0], [33], suffix=" (tail)")[0] is MARKED
