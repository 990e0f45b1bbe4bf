"""The facts that `bajka inspect` shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bajka.characters import count_characters, script_of, script_shares
from bajka.config import CorpusSettings
from bajka.corpus import Corpus, Document, inspect_corpus, read_corpus, split_documents
from bajka.corpus.report import enough_for


def test_the_report_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One fox. " * 50, encoding="utf-8")
    (tmp_path / "b.txt").write_text("One  fox.\n" * 50, encoding="utf-8")
    (tmp_path / "c.txt").write_text("Лиса " * 20, encoding="utf-8")
    (tmp_path / "d.txt").write_bytes("žena".encode("cp1250"))
    (tmp_path / "e.txt").touch()
    corpus = read_corpus(CorpusSettings(texts=(str(tmp_path),)))
    report = inspect_corpus(corpus, split_documents(corpus, CorpusSettings()))
    assert (report.files, report.documents) == (4, 3)
    assert report.bytes == corpus.bytes
    assert report.words == 121
    assert (report.duplicates.equal, report.duplicates.nearly_equal) == (1, 0)
    assert report.encodings["utf-8"] == 3
    assert [one.name for one in report.unsure] == [f"{tmp_path.name}/d.txt"]
    assert [one.reason for one in report.skipped] == ["it is empty"]
    assert set(report.scripts) == {"Latin", "Cyrillic"}
    assert report.lengths.shortest == 4
    assert report.split is not None
    assert json.loads(report.model_dump_json())["enough_for"].startswith("Very little")


def test_a_corpus_that_cannot_be_split_still_has_a_report() -> None:
    assert inspect_corpus(Corpus.of([Document("word", "a.txt")])).split is None


def test_characters_are_counted_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bajka.characters._PIECE", 4)
    assert count_characters(["abcabcab", "", "a𝄞"]) == {"a": 4, "b": 3, "c": 2, "𝄞": 1}


def test_no_text_has_no_characters() -> None:
    assert count_characters([]) == {}
    assert script_shares({}) == {}


@pytest.mark.parametrize(
    ("letter", "script"),
    [
        *(("a", "Latin"), ("ž", "Latin"), ("Ａ", "Latin"), ("ж", "Cyrillic"), ("λ", "Greek"), ("猫", "Han")),
        *(("ね", "Hiragana/Katakana"), ("ー", "Hiragana/Katakana"), ("ﾈ", "Hiragana/Katakana"), ("א", "Hebrew")),
        *(("ع", "Arabic"), ("고", "Hangul"), ("ห", "Thai"), ("𝐀", "other"), ("ª", "other")),
    ],
)
def test_scripts_by_unicode_names(letter: str, script: str) -> None:
    assert script_of(letter) == script


def test_more_text_is_enough_for_more() -> None:
    sentences = [enough_for(size) for size in (50_000, 500_000, 3_000_000, 20_000_000, 100_000_000)]
    assert len(set(sentences)) == 5
    assert all("(rough guidance)" in sentence for sentence in sentences)
