"""Plain texts fall into documents as was asked, without holding a large file in memory."""

from __future__ import annotations

import io
from typing import Any

import pytest

from bajka.config import CorpusSettings
from bajka.formats import Account, Document, UnreadableError
from bajka.formats.decoding import decoded
from bajka.formats.plain import LONGEST_DOCUMENT, read_plain


def read(text: str, account: Account | None = None, **wishes: Any) -> list[Document]:
    account = account or Account()
    stream = decoded(io.BytesIO(text.encode()), account, name="a.txt")
    return list(read_plain(stream, name="a.txt", settings=CorpusSettings(**wishes), account=account))


def texts(text: str, **wishes: Any) -> list[str]:
    return [document.text for document in read(text, **wishes)]


def test_a_file_is_one_document_as_it_is() -> None:
    assert read("\nOnce.\n\nTwice.\n") == [Document("\nOnce.\n\nTwice.\n", "a.txt")]


def test_a_document_a_line_is_numbered_by_its_line() -> None:
    assert read("One.\n\n  Two. \n", documents="line") == [Document("One.", "a.txt#1"), Document("Two.", "a.txt#3")]


def test_a_single_newline_separates_and_empty_lines_are_inside() -> None:
    assert texts("A.\n\nB.\nC", documents="newline") == ["A.\n\nB.", "C"]
    assert texts("A.\n\n\nB.\n \nC\nD\n\n", documents="newline") == ["A.\n\n\nB.\n \nC", "D"]


def test_two_marker_lines_are_no_accident() -> None:
    text = "One.\n<|endoftext|>\nTwo.\n\nStill two.\n <|endoftext|> \n\n<|endoftext|>\nThree."
    assert read(text) == [
        Document("One.", "a.txt#1"),
        Document("Two.\n\nStill two.", "a.txt#2"),
        Document("Three.", "a.txt#3"),
    ]


def test_one_marker_line_is_text_unless_it_was_asked_for() -> None:
    text = "One.\n---\nTwo."
    assert texts(text, marker="---") == [text]
    assert texts(text, marker="---", documents="marker") == ["One.", "Two."]
    assert texts("One <|endoftext|> two <|endoftext|>\nthree") == ["One <|endoftext|> two <|endoftext|>\nthree"]


def test_no_marker_at_all_is_said() -> None:
    account = Account()
    assert len(read("One.", account, documents="marker")) == 1
    assert account.note == 'no line is "<|endoftext|>", so it is one document'


@pytest.mark.parametrize("documents", ["auto", "file", "line", "newline", "marker"])
def test_only_white_space_is_refused(documents: str) -> None:
    with pytest.raises(UnreadableError, match="only white space"):
        read(" \n\t\n", documents=documents)


def test_only_markers_are_refused() -> None:
    with pytest.raises(UnreadableError, match='nothing but "<|endoftext|>" lines'.replace("|", "\\|")):
        read("<|endoftext|>\n\n<|endoftext|>\n")


def test_markers_are_found_in_every_chunk_but_not_inside_long_lines() -> None:
    story = "Once upon a time. " * 20
    text = "".join(f"{number} {story}\n<|endoftext|>\n" for number in range(8_000))
    assert len(read(text)) == 8_000
    one_line = "<|endoftext|>" * 300_000
    assert texts(one_line) == [one_line]


def test_a_very_long_text_is_cut_at_paragraphs_and_nothing_is_lost() -> None:
    text = "".join(f"Paragraph {number}: the fox counted the stars.\n\n" for number in range(400_000))
    account = Account()
    documents = read(text, account)
    assert "".join(document.text for document in documents) == text
    assert [document.name for document in documents] == ["a.txt, part 1", "a.txt, part 2", "a.txt, part 3"]
    assert all(document.text.startswith("Paragraph ") for document in documents)
    assert account.note == "cut into 3 parts of about 8 million characters"


@pytest.mark.parametrize("documents", ["auto", "line", "newline", "marker"])
def test_one_line_of_twenty_million_characters_comes_in_parts(documents: str) -> None:
    parts = texts("the fox counted the stars " * 800_000, documents=documents)
    assert [round(len(part) / LONGEST_DOCUMENT, 1) for part in parts] == [1.0, 1.0, 0.6]
