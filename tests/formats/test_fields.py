"""Which field is the text: named, of the template, of a usual name, or plainly the longest."""

from __future__ import annotations

from typing import Any

import pytest

from bajka.config import CorpusSettings
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.fields import Choice, choose, documents_of, is_literal, sample_of

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."


def chosen(*rows: dict[str, str], **wishes: Any) -> str:
    return choose(sample_of(enumerate(rows)), CorpusSettings(**wishes), word="column", account=Account()).text


def refusal(*rows: dict[str, str], **wishes: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        chosen(*rows, **wishes)
    assert caught.value.asks
    return caught.value.reason


def documents(*values: str) -> tuple[list[str], Account]:
    rows = list(enumerate([{"text": value} for value in values], start=1))
    account = Account()
    choice = choose(sample_of(rows), CorpusSettings(), word="column", account=account)
    return [document.text for document in documents_of(rows, choice, name="a", account=account)], account


@pytest.mark.parametrize(
    "name",
    ["text", "Plot", "full_text", "Plot Summary", "Pripovijest", "priča", "РАССКАЗ", "текст", "сюжет", "本文", "正文"],
)
def test_a_usual_name_is_the_text_even_when_another_field_is_longer(name: str) -> None:
    assert chosen({"title": STORY, name: STORY[:70]}) == name


def test_the_longest_of_several_usual_names() -> None:
    assert chosen({"summary": STORY[:50], "story": STORY}) == "story"


def test_a_usual_name_that_is_short_beside_another_is_not_trusted() -> None:
    assert chosen({"text": "Fox", "chronicle": STORY}) == "chronicle"


def test_a_field_that_is_plainly_the_longest() -> None:
    assert chosen({"a": "Fox", "b": STORY}) == "b"
    assert chosen({"only": "Fox"}) == "only"


@pytest.mark.parametrize(
    "value",
    [
        "https://en.wikipedia.org/wiki/" + "Kansas_" * 30,
        "3f9c11ab" * 20,
        "1901, 1902, " * 20,
        "/home/fox/" * 20,
    ],
)
def test_numbers_ids_and_addresses_are_never_the_text(value: str) -> None:
    assert chosen({"long": value, "b": STORY}) == "b"
    assert "no column holds text, only numbers, ids or addresses: text, year" in refusal(
        {"text": value, "year": "1901"}
    )


def test_a_list_of_names_and_years_is_no_text() -> None:
    sentence = refusal({"name": "The Queen of Spades", "year": "1834"})
    assert sentence == 'no column is plainly the text: choose one with --column (name, year), as in --column "name"'


def test_a_named_field_is_taken_whatever_it_holds() -> None:
    assert chosen({"year": "1901", "text": STORY}, column="year") == "year"
    assert chosen({"Year": "1901", "text": STORY}, field="year") == "Year"


def test_a_missing_name_suggests_a_close_one() -> None:
    assert 'it has no column "plott", only Title, Plot; did you mean --column "Plot"?' in refusal(
        {"Title": "Fox", "Plot": STORY}, column="plott"
    )
    assert "choose one with --column" in refusal({"Title": "Fox"}, field="qqq")


def test_many_names_are_not_all_listed() -> None:
    assert ", c11 and 8 more" in refusal({f"c{place}": "Fox" for place in range(20)})


def test_the_template_ends_with_the_text() -> None:
    template = "<|title|>{title}<|plot|>{plot}"
    assert chosen({"title": "Fox", "Plot": "Short.", "story": STORY}, template=template) == "Plot"
    assert chosen({"title": "Fox", "story": STORY}, template=template, field="story") == "story"
    assert 'it has no column "plot", only title, story' in refusal({"title": "Fox", "story": STORY}, template=template)


def test_bytes_literals_are_decoded_and_said() -> None:
    texts, account = documents("b'One\\nfox'", 'b"It\'s two"', r"b'\xc5\xa1uma'", "b''", r"b'\r\n3'")
    assert texts == ["One\nfox", "It's two", "šuma", "\n3"]
    assert "its values are Python literals (b'...'), decoded as UTF-8" in account.notes
    assert account.left_out == {"rows without text left out": 1}


def test_literals_that_are_no_utf8_are_broken_rows() -> None:
    texts, account = documents("b'One'", r"b'\xe9t\xe9'", r"b'zero\x00'")
    assert (texts, account.left_out) == (["One"], {"broken rows left out": 2})


def test_a_few_literals_in_a_column_stay_as_they_are() -> None:
    assert documents("b'One'", *["Two."] * 9)[0][0] == "b'One'"


def test_literals_are_never_run() -> None:
    odd = ["plain", "b'a' + print('x')#'", "b'a', b'b'", "b'('*9**9'", "b'\\'"]
    assert documents(*["b'One'"] * 40, *odd)[0][40:] == odd


def test_what_is_a_literal() -> None:
    assert [is_literal(value) for value in (" b'x' ", "b'", "b'x\"", "b'š'", "boy's'")] == [
        True,
        False,
        False,
        False,
        False,
    ]


def test_a_file_whose_rows_are_all_broken_says_so() -> None:
    with pytest.raises(UnreadableError, match="all its 2 rows with text are broken"):
        documents("a\0", "\ud800")


def test_fields_are_told_as_they_are() -> None:
    rows = [(7, {"text": "One.", "year": "1901"})]
    assert list(documents_of(rows, Choice("text", "field"), name="a.csv", account=Account())) == [
        Document("One.", "a.csv#7", {"year": "1901"})
    ]
