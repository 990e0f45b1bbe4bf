"""What is held out, and that nothing leaks."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bajka.config import CorpusSettings
from bajka.corpus import Corpus, Document, Split, split_documents
from bajka.corpus.cutting import cut_near
from bajka.corpus.split import default_share
from bajka.errors import CorpusError


def corpus_of(*texts: str) -> Corpus:
    return Corpus([Document(text, f"{place}.txt") for place, text in enumerate(texts)], [], [])


def split(*texts: str, **wishes: Any) -> Split:
    return split_documents(corpus_of(*texts), CorpusSettings(**wishes))


def tales(count: int) -> list[str]:
    return [f"Tale number {i} is told here. " * 9 for i in range(count)]


def novel(paragraphs: int = 200) -> str:
    words = random.Random(0).choices(["fox", "ran", "over", "the", "hill", "and", "sea", "again"], k=40 * paragraphs)
    return "\n\n".join(" ".join(words[40 * i : 40 * i + 40]) + "." for i in range(paragraphs))


def test_many_documents_are_split_whole_at_about_a_tenth() -> None:
    result = split(*tales(1000))
    assert not result.same_book
    assert 70 <= len(result.validation) <= 130
    assert len(result.train) + len(result.validation) == 1000


def test_adding_documents_moves_nobody() -> None:
    before, after = split(*tales(300)), split(*tales(500)[::-1])
    assert {one.text for one in before.validation} <= {one.text for one in after.validation}
    assert {one.text for one in before.train} <= {one.text for one in after.train}


def test_equal_texts_land_together_even_with_other_white_space() -> None:
    texts = tales(300)
    result = split(*texts, *(text.replace(" ", "\n") for text in texts))
    sides = [{" ".join(one.text.split()) for one in side} for side in (result.train, result.validation)]
    assert not sides[0] & sides[1]
    assert sum(map(len, sides)) == 300


def test_one_large_document_among_many_means_tails() -> None:
    result = split(*tales(300), novel(400))
    assert result.same_book
    assert "of the text" in result.how


def test_one_novel_is_split_at_its_tail_and_at_a_paragraph() -> None:
    text = novel()
    result = split(text)
    assert result.same_book
    assert result.train[0].text + result.validation[0].text == text
    assert result.train[0].text.endswith(".\n\n")
    assert 0.08 <= len(result.validation[0].text) / len(text) <= 0.12
    assert result.validation[0].name == "0.txt (tail)"


def test_every_long_document_gives_its_tail_and_short_ones_stay_whole() -> None:
    result = split(novel(100), "A short poem.\n\nOf two verses.", novel(120))
    assert [one.name for one in result.validation] == ["0.txt (tail)", "2.txt (tail)"]
    assert "A short poem.\n\nOf two verses." in [one.text for one in result.train]


def test_a_few_short_documents_are_held_out_whole() -> None:
    result = split(*tales(30))
    assert not result.same_book
    assert all(len(one.text) > 200 for one in result.validation)


@pytest.mark.parametrize(
    ("text", "wished", "cut_after"),
    [
        ("One. Two\n\nthree four\nfive six", 12, "\n\n"),
        ("One. Two three\nfour five six", 12, "\n"),
        ("One two. Three four. Five", 12, ". "),
        ("他说好。她说不好。他走了", 6, "。"),
        ("one two three four", 9, " "),
        ("abcdefghij", 5, "e"),
        ("ababae\u0301baba", 6, "e\u0301"),
    ],
)
def test_the_best_boundary_near_the_place_is_taken(text: str, wished: int, cut_after: str) -> None:
    place = cut_near(text, wished, within=5)
    assert text[:place].endswith(cut_after)
    assert text[place:].strip()


def test_characters_are_cut_exactly_where_nanogpt_cuts() -> None:
    text = "abcd\n" * 223_078 + "abcd"
    assert len(text) == 1_115_394
    result = split(text, split="characters")
    assert len(result.validation[0].text) == 111_540
    assert result.train[0].text == text[: int(len(text) * 0.9)]


def test_characters_over_several_documents_cut_the_one_at_the_place() -> None:
    result = split("a" * 60, "b" * 30 + "c" * 30, split="characters", validation_share=0.25)
    assert [one.text for one in result.train] == ["a" * 60, "b" * 30]
    assert [one.text for one in result.validation] == ["c" * 30]
    assert result.same_book


def test_a_training_text_that_stands_in_validation_is_dropped() -> None:
    result = split("a" * 40, "b" * 40, "c" * 30, "b" * 40, split="characters", validation_share=4 / 15)
    assert [one.text for one in result.validation] == ["b" * 40]
    assert [one.text for one in result.train] == ["a" * 40, "c" * 30]
    assert result.dropped == 1


def test_whole_documents_on_request_even_when_they_are_few() -> None:
    result = split(novel(100), novel(101), novel(102), split="documents")
    assert not result.same_book
    assert result.validation
    assert len(result.train) + len(result.validation) == 3


def test_the_split_does_not_depend_on_the_order_of_files() -> None:
    texts = tales(250)
    assert {one.text for one in split(*texts).validation} == {one.text for one in split(*texts[::-1]).validation}


@pytest.mark.parametrize(
    ("size", "share"),
    [(1_000_000, 0.1), (5_000_000, 0.05), (50_000_000, 0.05), (150_000_000, 0.025), (1_000_000_000, 0.003125)],
)
def test_the_share_falls_with_the_size(size: int, share: float) -> None:
    assert default_share(size) == pytest.approx(share)
    assert size < 5_000_000 or size * default_share(size) <= 5_000_000


def test_the_share_can_be_chosen() -> None:
    result = split(*tales(1000), validation_share=0.3)
    assert 250 <= len(result.validation) <= 350


@pytest.mark.parametrize("wish", ["documents", "tail", "characters"])
def test_a_text_that_cannot_be_split_is_refused(wish: str) -> None:
    with pytest.raises(CorpusError, match=r"Nothing is left for (training|validation) .*another --validation-share"):
        split("a", split=wish)


def test_equal_documents_cannot_be_split_whole() -> None:
    with pytest.raises(CorpusError, match="Nothing is left for training"):
        split("same text", "same text", split="documents")
