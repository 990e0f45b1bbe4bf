"""CSV as it is found: delimiters, headers, quotes, ragged rows."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import CorpusSettings
from bajka.formats.decoding import Text, decoded
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.tables import find_form, read_csv

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."


def text_of(content: str) -> Text:
    return decoded(io.BytesIO(content.encode()), Account(), name="a.csv")


def read(content: str, **wishes: Any) -> tuple[list[Document], Account]:
    account = Account()
    documents = read_csv(text_of(content), name="a.csv", settings=CorpusSettings(**wishes), account=account)
    return list(documents), account


def texts(content: str, **wishes: Any) -> list[str]:
    return [document.text for document in read(content, **wishes)[0]]


def refusal(content: str, **wishes: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        read(content, **wishes)
    return caught.value.reason


def written(rows: list[list[str]], **form: Any) -> str:
    file = io.StringIO(newline="")
    csv.writer(file, **form).writerows(rows)
    return file.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_found(delimiter: str) -> None:
    rows = [["Title", "Plot"], ["Fox", STORY], ["Wolf; or, a | tale\t", f'He said "{STORY}"\nand left;']]
    documents, account = read(written(rows, delimiter=delimiter))
    assert documents[0] == Document(STORY, "a.csv#1", {"Title": "Fox"})
    assert [document.text for document in documents] == [row[1] for row in rows[1:]]
    assert account.text_field == "Plot"
    assert ("values between" in account.note) == (delimiter != ",")


def test_rows_of_only_commas_are_counted_and_numbered() -> None:
    documents, account = read(f'Title,Plot,Year\n,,\n\nFox,"{STORY}",1901\n,,\n')
    assert documents == [Document(STORY, "a.csv#3", {"Title": "Fox", "Year": "1901"})]
    assert account.left_out == {"rows without text left out": 3}


def test_thousands_of_empty_rows_before_the_names() -> None:
    assert texts(",,\n" * 3_000 + f'Title,Plot,\nFox,"{STORY}",\n') == [STORY]


def test_quoted_newlines_of_windows_become_ours() -> None:
    assert texts('Title,Plot\r\nFox,"One.\r\n\r\nTwo."\r\n') == ["One.\n\nTwo."]


def test_an_enormous_value_passes_and_the_limit_of_the_csv_module_is_put_back() -> None:
    before = csv.field_size_limit()
    assert texts(written([["text"], ["x" * 5_000_000]])) == ["x" * 5_000_000]
    assert csv.field_size_limit() == before


def test_rows_with_too_many_values_are_left_out_and_empty_ends_are_not_counted() -> None:
    documents, account = read("a,text\n1,One.\n2,Two, three.\n3,Four.,,\n4,Five.\n", column="text")
    assert [document.text for document in documents] == ["One.", "Four.", "Five."]
    assert account.left_out == {"rows with too many values left out": 1}


def test_mostly_ragged_rows_are_refused() -> None:
    assert "2 of its rows have more values than its first row has names: put quotes around" in refusal(
        "a,b\n1,2,3\n1,2,3\n"
    )


def test_a_row_with_broken_quotes_is_left_out_with_its_other_lines() -> None:
    rows = "".join(f'{place},"{STORY}",1901\n' for place in range(9))
    documents, account = read(f'id,text,year\n{rows}9,"He said "no".\nThen he\nleft",1902\n10,"{STORY}",1903\n')
    assert [document.name for document in documents][-1] == "a.csv#13"
    assert (len(documents), account.left_out) == (10, {"broken rows left out": 1})


def test_a_quote_without_its_partner_names_its_line() -> None:
    rows = "".join(f'{place},"{STORY}"\n' for place in range(2_000))
    assert "a value that begins in line 2002 never ends" in refusal(f'id,text\n{rows}1,"Once\n2,Two\n')


def test_mostly_broken_quotes_after_a_good_beginning_are_refused() -> None:
    rows = "".join(f'{place},"{STORY}"\n' for place in range(1_100))
    assert "the quotes in 1,200 of its rows are broken" in refusal(f"id,text\n{rows}" + '1,"He "said"\n' * 1_200)


def test_quotes_between_tabs_that_are_no_quotes_stay() -> None:
    content = f'id\ttext\n1\t"Hello," {STORY}\n2\t"Hello\n3\tSaid "he"\n'
    assert texts(content) == [f'"Hello," {STORY}', '"Hello', 'Said "he"']


def test_quotes_after_a_space_are_quotes_where_the_table_asks_for_it() -> None:
    assert texts(f'Title, Plot\nFox, "{STORY}"\nWolf, "Two, three, ""four""."\n') == [STORY, 'Two, three, "four".']
    assert texts("Title, Plot\nFox, One\n", column="Plot") == [" One"]


def test_a_single_column_keeps_its_commas() -> None:
    assert texts(f'text\nOne, two, three.\n"Four, ""five""\nsix."\n{STORY}\n') == [
        "One, two, three.",
        'Four, "five"\nsix.',
        STORY,
    ]


@pytest.mark.parametrize("first", [STORY, "Once, upon a time there was a fox.", "Roses are red"])
def test_a_single_column_without_a_name_loses_no_text(first: str) -> None:
    others = ["Violets are blue", "Sugar, they say, is sweet.", "And so are you, and you."]
    documents, account = read(written([[first], *([text] for text in others)], quoting=csv.QUOTE_ALL))
    assert [document.text for document in documents] == [first, *others]
    assert "its first row is no row of names, so it is data too" in account.notes


def test_lines_of_text_without_quotes_in_a_csv_stay_lines() -> None:
    lines = [STORY, '"Hello," said the fox.', 'He answered: "No', "And, after that, he, too, left."]
    assert texts("\n".join(lines)) == lines


def test_a_table_without_names_is_data_from_its_first_row() -> None:
    documents, account = read(written([["1", STORY], ["2", STORY + " Two."]]))
    assert documents[0] == Document(STORY, "a.csv#1", {"column 1": "1"})
    assert (len(documents), account.text_field) == (2, "column 2")


def test_long_words_of_a_survey_are_names() -> None:
    assert texts(f'Timestamp,"Please tell us your story, if you like?"\n2024-01-01,"{STORY}"\n') == [STORY]


def test_names_are_trimmed_unique_and_never_empty() -> None:
    assert find_form(text_of(", a ,a,\n1,2,3,4\n")).names == ("column 1", "a", "a (3)", "column 4")


def test_the_line_in_which_excel_names_the_delimiter_is_no_row() -> None:
    assert texts(f"sep=;\nTitle;Plot\nFox;{STORY}\n") == [STORY]


def test_bytes_of_python_in_a_column_are_decoded() -> None:
    content = written([["id", "text"], ["1", repr("Šuma,\nit's žuta".encode())], ["2", repr(STORY.encode())]])
    assert texts(content) == ["Šuma,\nit's žuta", STORY]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "it has no row with text in it"),
        ("text\n", "it has no row with text in it"),
        (",,,\n,,,\n", "it has no row with text in it"),
        ("a,b\n,\n", "it has no row with text in it"),
        ("name,year\nFox,1901\n", "no column is plainly the text: choose one with --column (name, year)"),
        (f'Title,Plot\n,"{STORY}"\n', 'the column "Title" is empty in every row'),
    ],
)
def test_a_table_without_text_gets_a_sentence(content: str, sentence: str) -> None:
    assert sentence in refusal(content, column="Title" if "Title" in content else None)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t")), min_size=1),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_csv_writes_comes_back(stories: list[str], delimiter: str, quoting: int) -> None:
    rows = [[str(place), story, "end"] for place, story in enumerate([*stories, STORY])]
    content = written([["id", "text", "last"], *rows], delimiter=delimiter, quoting=quoting)
    assert texts(content, column="text") == [story for _, story, _ in rows if story.strip()]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab ,;\t|\"\n'=.!"), max_size=60))
def test_anything_at_all_gives_documents_or_a_sentence(content: str) -> None:
    with suppress(UnreadableError):
        assert all(text.strip() for text in texts(content))
