"""What one corpus holds out is learned from no other."""

from __future__ import annotations

from collections.abc import Sequence

from bajka.config import CleaningSettings
from bajka.corpus import Document, Split
from bajka.corpus.across import without_held_out

STORY = "Once upon a time a small grey fox lived at the edge of the wood and counted the stars every single night. " * 3


def split(train: Sequence[str], validation: Sequence[str], test: Sequence[str] = ()) -> Split:
    parts = [[Document(text, f"{n}.txt") for n, text in enumerate(texts)] for texts in (train, validation, test)]
    sizes = (sum(map(len, train)), sum(map(len, validation)), sum(map(len, test)))
    return Split(parts[0], parts[1], how="as made", same_book=False, share=0.1, test=parts[2], sizes=sizes)


def kept(splits: Sequence[Split], also: Sequence[str] = (), **cleaning: bool) -> list[list[str]]:
    others = [[Document(text, "other") for text in also]]
    found = without_held_out(splits, others, CleaningSettings(**cleaning))
    assert all(one.train_bytes == sum(len(document.text) for document in one.train) for one in found)
    return [[document.text for document in one.train] for one in found]


def test_equal_documents_go_from_training_whatever_side_of_another_corpus_holds_them_out() -> None:
    one = split(["first", "second", "third tale"], ["fourth"])
    other = split(["fourth", "sixth"], ["third  tale\n"], ["second"])
    assert kept([one, other]) == [["first"], ["sixth"]]


def test_held_out_documents_stay() -> None:
    one, other = split(["a"], ["b"]), split(["b", "c"], ["a", "b"])
    found = without_held_out([one, other], [], CleaningSettings())
    assert [[document.text for document in split.validation] for split in found] == [["b"], ["a", "b"]]


def test_nearly_equal_documents_go_too() -> None:
    nearly = STORY.upper().replace("STARS", "moons", 1)
    assert kept([split([nearly, "mine"], ["x"]), split(["y"], [STORY])]) == [["mine"], ["y"]]
    assert kept([split([nearly, "mine"], ["x"])], [STORY]) == [["mine"]]
    assert kept([split([nearly], ["x"])], [STORY], near_duplicates=False) == [[nearly]]


def test_a_split_without_leaks_is_the_same_object() -> None:
    one = split(["first", ""], ["second", ""])
    assert without_held_out([one], [], CleaningSettings())[0] is one
