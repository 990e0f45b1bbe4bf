"""What is held out, and that nothing leaks."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bajka.config import CorpusSettings
from bajka.corpus.document import Corpus
from bajka.corpus.split import Split, default_share, split_documents
from bajka.errors import CorpusError, SettingsError
from bajka.formats import Document, cut_near


def corpus_of(*texts: str) -> Corpus:
    return Corpus.of([Document(text, f"{place}.txt") for place, text in enumerate(texts)])


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


def corpus_with_groups(groups: dict[int, int], *texts: str) -> Corpus:
    """Document `key` is nearly equal to the earlier document `value`."""
    corpus = corpus_of(*texts)
    numbers = np.array([groups.get(number, number) for number in range(len(texts))])
    return replace(corpus, groups=numbers)


def sides(result: Split) -> tuple[set[str], set[str], set[str]]:
    train, validation, test = ({one.text for one in side} for side in (result.train, result.validation, result.test))
    return train, validation, test


def test_a_test_of_whole_documents_leaves_validation_as_it_was() -> None:
    before, after = sides(split(*tales(1000))), sides(split(*tales(1000), test_share=0.2))
    assert after[1] == before[1]
    assert 150 <= len(after[2]) <= 250
    assert after[0] | after[2] == before[0]
    assert not after[0] & after[2]


def test_adding_documents_moves_nobody_out_of_the_test() -> None:
    before, after = (sides(split(*tales(count), test_share=0.1)) for count in (300, 500))
    assert all(few <= many for few, many in zip(before, after, strict=True))


def test_there_is_no_test_unless_it_was_asked_for() -> None:
    result = split(*tales(300))
    assert len(result.test) == result.test_bytes == 0
    assert "test" not in result.how


def test_three_documents_give_each_side_one() -> None:
    result = split(*tales(3), test_share=0.01, validation_share=0.01, split="documents")
    assert [len(side) for side in (result.train, result.validation, result.test)] == [1, 1, 1]


def test_the_test_is_the_very_end_of_a_novel_and_validation_stands_before_it() -> None:
    text = novel()
    result = split(text, test_share=0.1)
    parts = [side[0] for side in (result.train, result.validation, result.test)]
    assert "".join(part.text for part in parts) == text
    assert [part.name for part in parts] == ["0.txt", "0.txt (tail)", "0.txt (end)"]
    assert all(0.08 <= len(part.text) / len(text) <= 0.12 for part in parts[1:])
    assert all(part.text.endswith(".\n\n") for part in parts[:2])
    assert result.how.startswith("the last 20 % of 0.txt held out, the very last 10 % for the test")


def test_characters_in_three_parts_are_cut_exactly() -> None:
    result = split("a" * 70 + "b" * 20 + "c" * 10, split="characters", validation_share=0.2, test_share=0.1)
    assert sides(result) == ({"a" * 70}, {"b" * 20}, {"c" * 10})
    assert result.how == "exactly the last 30 of 100 characters held out, the very last 10 for the test, as asked"


def test_training_documents_nearly_equal_to_held_out_ones_are_dropped_never_the_other_way() -> None:
    texts = tales(300)
    plain = split(*texts, test_share=0.1)
    train, validation, test = (
        [texts.index(one.text) for one in side] for side in (plain.train, plain.validation, plain.test)
    )
    pairs = [(train[0], validation[0]), (validation[1], train[1]), (train[2], test[0]), (validation[2], test[1])]
    groups = {max(pair): min(pair) for pair in pairs}
    result = split_documents(corpus_with_groups(groups, *texts), CorpusSettings(test_share=0.1))
    gone = {texts[number] for number in (train[0], train[1], train[2], validation[2])}
    assert sides(result) == tuple(side - gone for side in sides(plain))
    assert result.left_out == {"nearly equal to one in the test": 2, "nearly equal to one in validation": 2}
    assert result.dropped == 4


def test_in_training_the_first_of_nearly_equal_documents_stays() -> None:
    texts = tales(300)
    plain = split(*texts)
    first, second, third = (texts.index(plain.train[place].text) for place in (5, 9, 20))
    result = split_documents(corpus_with_groups({second: first, third: first}, *texts), CorpusSettings())
    assert sides(plain)[0] - sides(result)[0] == {texts[second], texts[third]}
    assert sides(plain)[1] == sides(result)[1]
    assert result.left_out == {"nearly equal to an earlier one": 2}


def test_a_test_document_wins_over_its_whole_group() -> None:
    texts = tales(300)
    plain = split(*texts, test_share=0.1)
    group = [texts.index(side[0].text) for side in (plain.train, plain.validation, plain.test)]
    groups = {number: min(group) for number in group}
    result = split_documents(corpus_with_groups(groups, *texts), CorpusSettings(test_share=0.1))
    assert [texts[number] in side for number, side in zip(group, sides(result), strict=True)] == [False, False, True]


@pytest.mark.parametrize("wish", ["tail", "characters"])
def test_nearly_equal_books_are_dropped_before_tails_are_cut(wish: str) -> None:
    one = novel(100)
    corpus = corpus_with_groups({1: 0}, one, one.upper(), novel(120))
    result = split_documents(corpus, CorpusSettings(split=wish))
    assert sum(len(one.text) for side in (result.train, result.validation) for one in side) == len(one + novel(120))
    assert result.left_out == {"nearly equal to an earlier one": 1}


def test_many_versions_of_one_text_count_as_one_when_the_kind_of_split_is_chosen() -> None:
    versions = corpus_with_groups(dict.fromkeys(range(1, 300), 0), *tales(300))
    assert split_documents(corpus_with_groups({}, *tales(300)), CorpusSettings()).same_book is False
    assert split_documents(versions, CorpusSettings(validation_share=0.8)).same_book


@pytest.mark.parametrize("wish", ["documents", "tail", "characters"])
def test_bytes_are_those_of_the_texts(wish: str) -> None:
    result = split(*(text.replace("a", "ж") for text in tales(50)), novel(30), split=wish, test_share=0.2)
    for side, size in (
        (result.train, result.train_bytes),
        (result.validation, result.validation_bytes),
        (result.test, result.test_bytes),
    ):
        assert size == sum(len(one.text.encode("utf-8")) for one in side) > 0


def test_a_split_made_by_hand_counts_its_bytes() -> None:
    made = Split([Document("жу", "a")], [Document("x", "b")], how="as made", same_book=False, share=0.1)
    assert (made.train_bytes, made.validation_bytes, made.test_bytes, made.dropped) == (4, 1, 0, 0)


def test_fields_and_markers_stay_with_their_place() -> None:
    text = novel()
    marked = Document(text, "a.txt", {"title": "A"}, ((0, "<|plot|>"), (len(text) - 5, "<|end|>")))
    result = split_documents(Corpus.of([marked]), CorpusSettings())
    tail = result.validation[0]
    assert (result.train[0].markers, tail.markers) == (((0, "<|plot|>"),), ((len(tail.text) - 5, "<|end|>"),))
    assert tail.fields == {"title": "A"}


def test_a_test_that_cannot_be_filled_is_refused() -> None:
    with pytest.raises(CorpusError, match=r"Nothing is left for the test .*--test-share \(now 0.01\)"):
        split("abcdefghi ", split="characters", test_share=0.01)


def test_shares_that_take_everything_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"--validation-share 0.6 and --test-share 0.4 leave nothing for training"):
        split(novel(), validation_share=0.6, test_share=0.4)


def test_no_text_is_held_and_whole_documents_are_hardly_read() -> None:
    class Counted(list[Document]):
        reads = 0

        def __getitem__(self, number: Any) -> Any:
            self.reads += 1
            return super().__getitem__(number)

    documents = Counted(corpus_of(*tales(500)).documents)
    split_documents(replace(corpus_of(*tales(500)), documents=documents), CorpusSettings(test_share=0.1))
    assert documents.reads <= 3
