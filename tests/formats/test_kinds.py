"""A file is what its bytes say; its name decides only where they do not."""

from __future__ import annotations

import json

import pytest

from bajka.formats import UnreadableError
from bajka.formats.kinds import disagreement, ending, kind_in_zip, kind_of, unknown_ending

RECORDS = b'{"text": "Once."}\n{"text": "Twice."}\n'
STORY = b"Once upon a time there was a fox."


def kind(name: str, head: bytes, *, whole: bool = True, named: bool = False) -> str:
    return kind_of(name, head, whole=whole, named=named)


def refusal(name: str, head: bytes, *, named: bool = False) -> str:
    with pytest.raises(UnreadableError) as caught:
        kind(name, head, named=named)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"a{last}", "text") for last in (".txt", ".TXT", ".text", ".md", "")),
        *((f"a{last}", "html") for last in (".html", ".htm", ".xhtml")),
        *((f"a{last}", "jsonl") for last in (".jsonl", ".ndjson", ".jsonl.gz")),
        *((f"a{last}", "csv") for last in (".csv", ".tsv", ".csv.xz")),
        ("a.json", "json"),
        ("Chapter 1. The fox", "text"),
    ],
)
def test_the_name_decides_what_plain_words_are(name: str, expected: str) -> None:
    assert kind(name, STORY) == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"PAR1\x15\x04", "parquet"),
        (rb"{\rtf1\ansi Once}", "rtf"),
        (b"<!DOCTYPE html>\n<html>", "html"),
        (b"\xef\xbb\xbf <HTML lang='en'>", "html"),
        ('<?xml version="1.0"?><!-- x --><html xmlns="y">'.encode("utf-16"), "html"),
        (b'<?xml version="1.0"?>\n<FictionBook xmlns="x">', "xml"),
        (b'<?xml version="1.0"?><!DOCTYPE TEI [<!ENTITY a "b">]>\n<tei:TEI>', "xml"),
        (RECORDS, "jsonl"),
        (b'[{"story": "Once."}, {"story": "Twice."}]', "json"),
        (json.dumps([{"story": "Once."}], indent=2).encode(), "json"),
    ],
)
def test_another_format_named_txt_is_read_as_what_it_is(head: bytes, expected: str) -> None:
    assert kind("a.txt", head) == expected
    assert "whatever its name says" in disagreement("a.txt", kind("a.txt", head))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "head",
    [
        b"[Exit the fox.]\nOnce.",
        b"{not json}\n{nor this}",
        b'["Hello," he said.]',
        b"<3 is a heart",
        b"<poem>Once</poem>",
    ],
)
def test_a_text_with_brackets_stays_text(head: bytes) -> None:
    assert kind("a.txt", head) == "text"


def test_json_with_one_record_a_line_is_read_by_lines() -> None:
    assert kind("a.json", RECORDS) == "jsonl"
    assert kind("a.jsonl", b'[\n {"text": "Once."}\n]') == "json"
    assert kind("a.json", b'{"text": "Once."') == "json"


def test_a_long_head_is_judged_by_its_whole_lines() -> None:
    assert kind("a.txt", RECORDS + b'{"text": "cut he', whole=False) == "jsonl"
    assert kind("a.txt", b'{"text": "' + b"x" * 1000, whole=False) == "jsonl"
    assert kind("a.txt", b'[{"text": "' + b"x" * 1000, whole=False) == "json"


def test_the_plots_of_cmu_are_known_by_name_and_lines() -> None:
    assert kind("plot_summaries.txt", b"23890098\tShlykov, a taxi driver.\n31186339\tThe nation of Panem") == "plots"
    assert kind("plot_summaries.txt", STORY) == "text"


@pytest.mark.parametrize(
    ("name", "head", "sentence"),
    [
        ("a.pdf", b"%PDF-1.7", ".pdf files are not read: save it as .txt first, for example with pdftotext"),
        ("a.txt", b"%PDF-1.7", ".pdf files are not read"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", ".doc files are not read: save it as .docx or .txt first"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", ".xls files are not read: save its sheet as .csv first"),
        ("a.mobi", b"\0" * 60 + b"BOOKMOBI", ".mobi files are not read: convert it to .epub first"),
        ("a.azw3", b"\0" * 60 + b"BOOKMOBI", ".azw3 files are not read: convert it to .epub first"),
        ("a.djvu", b"AT&TFORM", ".djvu files are not read"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", ".7z files are not read: unpack it first"),
        ("a.rar", b"Rar!\x1a\x07", ".rar files are not read: unpack it first"),
        ("a.txt", b"", "it is empty"),
        ("a.xml", b"<?xml version='1.0'?><rss>", "its XML is <rss>, and only FictionBook and TEI are read"),
        ("a.epub", b"\0\1\2", "it is no .epub file that can be read"),
        ("a.zip", b"PK", "it is no .zip file that can be read"),
        ("a.png", b"\x89PNG", "its ending (.png) is not one of .txt, .md"),
        ("core", b"\x7fELF\0\0", "it is no text"),
    ],
)
def test_what_is_not_read_is_refused_by_name(name: str, head: bytes, sentence: str) -> None:
    assert refusal(name, head).startswith(sentence)


def test_an_unknown_ending_is_tried_as_text_when_the_file_was_named_itself() -> None:
    assert kind("a.story", STORY, named=True) == "text"
    assert unknown_ending("a.story")


def test_words_under_the_name_of_a_binary_format_are_words() -> None:
    assert [kind(f"a{last}", STORY) for last in (".doc", ".epub", ".rtf")] == ["text"] * 3
    assert kind("a.doc", rb"{\rtf1 Once}") == "rtf"


def test_the_ending_is_looked_for_below_the_compression() -> None:
    assert [ending(name) for name in ("a.TXT.gz", "b/a.jsonl.zst", "Mr. Fox", ".hidden", "a")] == [
        *(".txt", ".jsonl", "", "", "")
    ]


def test_zip_files_that_are_documents() -> None:
    office = "[Content_Types].xml"
    assert kind_in_zip("a.txt", set(), "application/epub+zip") == "epub"
    assert kind_in_zip("a.zip", {"META-INF/container.xml"}, "") == "epub"
    assert kind_in_zip("a.odt", set(), "application/vnd.oasis.opendocument.text") == "odt"
    assert kind_in_zip("a.docx", {office, "word/document2.xml"}, "") == "docx"
    assert kind_in_zip("a.zip", {"a.txt"}, "") is None
    with pytest.raises(UnreadableError, match=r"\.xlsx files are not read: save its sheet as \.csv first"):
        kind_in_zip("a.xlsx", {office, "xl/workbook.xml"}, "")
    with pytest.raises(UnreadableError, match=r"a zip file, but no \.docx"):
        kind_in_zip("a.docx", {"a.txt"}, "")


def test_deeply_nested_brackets_are_no_reason_to_fail() -> None:
    assert kind("a.json", b"[" * 60_000) == "json"
    assert kind("a.txt", b"[" * 60_000) == "text"


@pytest.mark.parametrize("name", ["LICENSE", "README.md", "tales/Readme.txt", "COPYING"])
def test_what_is_about_the_texts_is_read_only_when_named_itself(name: str) -> None:
    with pytest.raises(UnreadableError, match="about the texts"):
        kind_of(name, b"These tales are free.", whole=True, named=False)
    assert kind_of(name, b"These tales are free.", whole=True, named=True) == "text"
