"""Each text that cannot be used gets a sentence: what is wrong, where, what to do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bajka.config import CorpusSettings
from bajka.corpus import read_corpus
from bajka.errors import CorpusError, InputError, SettingsError

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."


def refusal(*paths: Path, **wishes: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_corpus(CorpusSettings(texts=tuple(map(str, paths)), **wishes))
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", b"", "a.txt cannot be used: it is empty."),
        ("a.txt", b" \n\t\n", "a.txt cannot be used: it holds only white space."),
        ("a.txt", b"\x89PNG\r\n\0\0\0", "it is binary (a byte of zero at position 6), not text"),
        ("a.txt", bytes(range(1, 9)) * 9, "control bytes), not text"),
        ("a.txt", b"\x1f\x8b\x08\0", "its gzip data is damaged or cut off"),
        ("a.txt", b"%PDF-1.7", ".pdf files are not read: save it as .txt first"),
        ("a.txt", b"\xff\xfea\0b", "it begins as utf-16, but byte 4 (0x62) is not"),
        ("a.txt", "a\0b".encode("utf-16"), "it holds a NUL character (at 1)"),
        ("a.txt", b"<|endoftext|>\n\n<|endoftext|>\n", 'it holds nothing but "<|endoftext|>" lines'),
        ("a.zip", b"PK", "a.zip cannot be used: it is no .zip file that can be read"),
        ("a.jsonl", b'{"text": "x"}\n\n{"text": \n', "line 3 is not valid JSON"),
        ("a.json", b'{"text": "x"', "line 1 is not valid JSON"),
        ("a.json", b'{\n"year": 1}', "one JSON value and not a list of records"),
        ("a.json", b"[1, 2]", "its values are neither texts nor records"),
        ("a.json", b"[" * 100_000, "it is not JSON that can be read"),
        ("a.json", b'[{"a": ""}, {}]', "it has no row with text in it"),
        ("a.csv", b"a,b\n1,2,3\n1,2,3\n", "2 of its rows have more values than its first row has names: put quotes"),
        ("a.csv", b"name,year\nFox,1901\n", "no column is plainly the text: choose one with --column (name, year)"),
    ],
)
def test_a_file_without_text_is_an_error_when_nothing_else_is_there(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert sentence in refusal(tmp_path / name)


def test_a_missing_path_suggests_a_close_name(tmp_path: Path) -> None:
    (tmp_path / "stories").mkdir()
    assert f"Did you mean {tmp_path / 'stories'}?" in refusal(tmp_path / "storeis")
    assert "Check the spelling" in refusal(tmp_path / "qqq")


def test_no_texts_at_all() -> None:
    assert "No texts were given" in refusal()


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "the folder is empty. Put files there: .txt" in refusal(tmp_path)


def test_a_folder_where_all_is_skipped_says_why(tmp_path: Path) -> None:
    for name in "abcde":
        (tmp_path / f"{name}.txt").touch()
    sentence = refusal(tmp_path)
    assert "all 5 files were skipped" in sentence
    assert "a.txt: it is empty" in sentence
    assert "and 2 more" in sentence


def test_empty_files_beside_a_text_are_only_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    (tmp_path / "b.txt").write_text(STORY)
    corpus = read_corpus(CorpusSettings(texts=(str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))))
    assert [one.reason for one in corpus.skipped] == ["it is empty"]


def test_a_missing_field_names_the_fields_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"story": STORY, "title": "Fox"}))
    assert 'no field "plot", only story, title; choose one with --field' in refusal(tmp_path / "a.jsonl", field="plot")


def test_a_misspelt_column_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'Title,Plot\nFox,"{STORY}"\n')
    assert 'did you mean --column "Plot"?' in refusal(tmp_path / "a.csv", column="plott")


def test_an_empty_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'Title,Plot\n,"{STORY}"\n')
    assert 'the column "Title" is empty in every row' in refusal(tmp_path / "a.csv", column="Title")


def test_a_table_that_was_named_itself_is_an_error_beside_other_texts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(STORY)
    (tmp_path / "b.csv").write_text("name,year\nFox,1901\n")
    assert "choose one with --column" in refusal(tmp_path / "a.txt", tmp_path / "b.csv")


def test_a_broken_line_skips_the_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(STORY)
    (tmp_path / "b.jsonl").write_text('{"text": "x"}\n{"text"')
    corpus = read_corpus(CorpusSettings(texts=(str(tmp_path),)))
    assert "line 2 is not valid JSON" in corpus.skipped[0].reason


def test_damaged_utf8_is_refused_with_the_place_and_never_mangled(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Šuma je žuta. ".encode() * 20 + b"\xc5 kraj")
    sentence = refusal(tmp_path / "a.txt")
    assert "it is not valid UTF-8, damaged bytes: 1, the first is byte 320 (0xc5, after" in sentence
    assert '--encoding "a.txt=cp1252"' in sentence


def test_bytes_of_no_language_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"This is wincing unde\xff\xfe\xc3(\x80r his press-closets\xf0\x9f, the trousers.")
    assert "no known encoding fits it: see byte 20 (0xff, after 'This is wincing unde')" in refusal(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ("cp1251", 'The encoding "cp1251" is not of the form PATTERN=ENCODING'),
        ("*=", "is not of the form"),
        ("*=cp1253x", 'There is no encoding "cp1253x" (in "*=cp1253x"). Did you mean cp1253?'),
        ("*=hex", 'There is no encoding "hex"'),
        ("poems/*=koi8-r", 'The encoding pattern "poems/*" fits none of the 1 files, such as a.txt'),
        ("*=ascii", "byte 0 (0xc5) is not ascii"),
    ],
)
def test_encodings_that_cannot_be(tmp_path: Path, wish: str, sentence: str) -> None:
    (tmp_path / "a.txt").write_text("Šuma", encoding="utf-8")
    assert sentence in refusal(tmp_path / "a.txt", encoding=(wish,))


def test_a_marker_of_white_space_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="only white space"):
        read_corpus(CorpusSettings(texts=(str(tmp_path),), marker="  "))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_file_and_what_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t" / "closed").mkdir(parents=True)
    (tmp_path / "t" / "a.txt").write_text(STORY)
    os.mkfifo(tmp_path / "t" / "pipe.txt")

    def refuse(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    walk, open_file = Path.iterdir, Path.open
    monkeypatch.setattr(Path, "iterdir", lambda path: refuse(path) if path.name == "closed" else walk(path))
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, mode="r", **how: refuse(path) if path.name == "a.txt" else open_file(path, mode, **how),
    )
    sentence = refusal(tmp_path / "t")
    assert "t/a.txt: it cannot be opened (Permission denied)" in sentence
    assert "closed: the folder cannot be opened (Permission denied)" in sentence
    assert "t/pipe.txt: it is not a regular file" in sentence


def test_the_errors_are_of_the_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        read_corpus(CorpusSettings(texts=(str(tmp_path),)))
