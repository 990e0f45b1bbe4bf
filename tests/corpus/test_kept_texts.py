"""Texts that are kept on disk: read once, read again when something changed, gone on with after a kill."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bajka import durable
from bajka.config import CleaningSettings, CorpusSettings
from bajka.corpus import Corpus, read_corpus
from bajka.errors import InputError

CHILD = """
import os, signal, sys
from pathlib import Path
from bajka.config import CorpusSettings
from bajka.corpus import gathering, read_corpus
gathering._COMMIT_BYTES = 2_000
places = iter(range(10**9))
def progress(what, done, total):
    if what == "reading" and next(places) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
read_corpus(CorpusSettings(texts=(sys.argv[1],)), keep=Path(sys.argv[2]), progress=progress)
"""


def tales(folder: Path, count: int = 30) -> Path:
    folder.mkdir()
    for number in range(count):
        text = " ".join(
            f"Tale {number} goes on and on, part {part}, until the fox {number * part} sleeps." for part in range(9)
        )
        (folder / f"{number:02}.txt").write_text(text, encoding="utf-8")
    return folder


def read(texts: Path, keep: Path, **wishes: Any) -> Corpus:
    cleaning = {name: wishes.pop(name) for name in list(wishes) if name in CleaningSettings.model_fields}
    return read_corpus(CorpusSettings(texts=(str(texts),), **wishes), CleaningSettings(**cleaning), keep=keep)


def content(folder: Path) -> dict[str, str]:
    """What the documents are made of: hashes of the files that hold them."""
    names = ("texts.bin", "extra.bin", "index.bin", "sketches.bin", "kept.bin", "groups.bin", "result.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def only_folder(parent: Path) -> Path:
    (folder,) = [path for path in parent.iterdir() if path.is_dir()]
    return folder


def test_texts_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    texts, keep = tales(tmp_path / "tales"), tmp_path / "data" / "tales"
    first, again = read(texts, keep), read(texts, keep)
    assert first.news == ""
    assert again.news.startswith("The texts are as they were on ")
    assert list(first.documents) == list(again.documents)


def test_a_changed_and_a_new_file_are_named_and_the_old_texts_go(tmp_path: Path) -> None:
    texts, keep = tales(tmp_path / "tales"), tmp_path / "data" / "tales"
    read(texts, keep)
    (texts / "03.txt").write_text("Another tale altogether, about a bear.", encoding="utf-8")
    (texts / "new.txt").write_text("A new tale, about a wolf.", encoding="utf-8")
    corpus = read(texts, keep)
    assert "changed: tales/03.txt; new: tales/new.txt" in corpus.news
    assert len(corpus.documents) == 31
    assert only_folder(tmp_path / "data").name.startswith("tales-texts-")


def test_a_changed_file_is_seen_though_another_folder_of_that_name_holds_its_like(tmp_path: Path) -> None:
    for place in "ab":
        (tmp_path / place).mkdir()
        tales(tmp_path / place / "tales", count=2)
    settings = CorpusSettings(texts=(str(tmp_path / "a" / "tales"), str(tmp_path / "b" / "tales")))
    read_corpus(settings, keep=tmp_path / "data" / "tales")
    (tmp_path / "a" / "tales" / "00.txt").write_text("A hedgehog came.", encoding="utf-8")
    corpus = read_corpus(settings, keep=tmp_path / "data" / "tales")
    assert corpus.documents[0].text == "A hedgehog came."


def test_a_folder_of_ones_own_beside_the_kept_texts_stays(tmp_path: Path) -> None:
    texts, own = tales(tmp_path / "tales", count=3), tmp_path / "data" / "tales-texts-original"
    own.mkdir(parents=True)
    (own / "scan.png").write_bytes(b"the only copy")
    (tmp_path / "data" / "tales-texts-2026abcd.txt").write_text("mine")
    for content in ("One.", "Two."):
        (texts / "00.txt").write_text(content)
        read(texts, tmp_path / "data" / "tales")
    assert (own / "scan.png").read_bytes() == b"the only copy"
    assert (tmp_path / "data" / "tales-texts-2026abcd.txt").read_text() == "mine"
    assert len(list((tmp_path / "data").iterdir())) == 3


def test_a_changed_setting_is_named(tmp_path: Path) -> None:
    texts, keep = tales(tmp_path / "tales"), tmp_path / "data" / "tales"
    read(texts, keep)
    assert "settings changed: lowercase" in read(texts, keep, lowercase=True).news


def test_how_the_texts_are_split_is_no_reason_to_read_them_again(tmp_path: Path) -> None:
    texts, keep = tales(tmp_path / "tales"), tmp_path / "data" / "tales"
    read(texts, keep)
    assert "not read again" in read(texts, keep, validation_share=0.3).news


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_a_reading_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    texts = tales(tmp_path / "tales")
    read(texts, tmp_path / "whole" / "tales")
    keep = tmp_path / "killed" / "tales"
    killed = 0
    for place in (3, 9, 14, 10**6):
        done = subprocess.run([sys.executable, "-c", CHILD, str(texts), str(keep), str(place)], check=False)
        killed += done.returncode == -signal.SIGKILL
    assert killed == 3
    assert content(only_folder(tmp_path / "killed")) == content(only_folder(tmp_path / "whole"))


def test_what_was_left_of_reading_with_other_settings_goes(tmp_path: Path) -> None:
    texts, keep = tales(tmp_path / "tales"), tmp_path / "data" / "tales"
    left = tmp_path / "data" / "tales-texts-0123abcd.tmp"
    left.mkdir(parents=True)
    read(texts, keep)
    assert not left.exists()


def test_only_a_limited_part_is_used_and_cut_at_a_word(tmp_path: Path) -> None:
    texts = tales(tmp_path / "tales")
    corpus = read(texts, tmp_path / "data" / "tales", limit="2kB", near_duplicates=False)
    whole = read(texts, tmp_path / "all" / "tales", near_duplicates=False)
    assert 1_500 < corpus.bytes <= 2_000
    last = corpus.documents[-1]
    assert whole.documents[len(corpus.documents) - 1].text.startswith(last.text)
    assert list(corpus.documents[:-1]) == list(whole.documents[: len(corpus.documents) - 1])


def test_equal_documents_are_kept_once_and_counted(tmp_path: Path) -> None:
    texts = tales(tmp_path / "tales", 5)
    (texts / "copy.txt").write_text((texts / "02.txt").read_text(encoding="utf-8") + "\n\n", encoding="utf-8")
    corpus = read(texts, tmp_path / "data" / "tales")
    assert len(corpus.documents) == 5
    assert corpus.left_out == {"equal to an earlier one": 1}
    assert len(read(texts, tmp_path / "all" / "tales", duplicates=False).documents) == 6


def test_documents_too_short_or_too_long_are_left_out_by_reason(tmp_path: Path) -> None:
    folder = tmp_path / "tales"
    folder.mkdir()
    for name, text in (
        ("short", "Fox."),
        ("right", "The fox sleeps under the hill."),
        ("long", "The fox sleeps. " * 40),
    ):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    corpus = read(folder, tmp_path / "data" / "x", minimum_characters=10, maximum_characters=100)
    assert [document.name for document in corpus.documents] == ["tales/right.txt"]
    assert corpus.left_out == {"shorter than 10 characters": 1, "longer than 100 characters": 1}


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("<|titel|>{titel}<|plot|>{plot}", r"field titel, which no document has\. Did you mean title\?"),
        ("<|qqq|>{qqq}<|plot|>{plot}", r"field qqq, which no document has\. They have title, year\."),
        ("<|title|>{title}<|plott|>{plott}", 'it has no column "plott"'),
    ],
)
def test_a_template_with_a_field_that_nobody_has_is_refused(tmp_path: Path, template: str, sentence: str) -> None:
    (tmp_path / "plots.csv").write_text("title,year,plot\nRain,1901,It rains on the hill.\n", encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        read(tmp_path / "plots.csv", tmp_path / "data" / "x", template=template)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_misspelt_field_of_records_is_refused_whatever_their_file(tmp_path: Path, kind: str) -> None:
    rows = {"title": ["Rain", "Snow"], "plot": ["It rains on the hill.", "It snows on the hill."]}
    path = tmp_path / f"plots.{kind}"
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet", reason="the data extra is not installed")
        import pyarrow as pa

        pa.parquet.write_table(pa.table(rows), path)
    else:
        lines = [json.dumps(dict(zip(rows, pair, strict=True))) for pair in zip(*rows.values(), strict=True)]
        path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=r"field titel, which no document has\. Did you mean title\?"):
        read(path, tmp_path / "data" / "x", template="<|title|>{titel}<|plot|>{plot}")
    with pytest.raises(InputError, match=r"field year, which no document has\. They have title\."):
        read(path, tmp_path / "data" / "x", template="{year}{title}{plot}")
    assert (
        read(path, tmp_path / "data" / "x", template="{Title}: {plot}").documents[1].text
        == "Snow: It snows on the hill."
    )


def test_an_encoding_may_be_meant_for_a_file_beyond_the_limit(tmp_path: Path) -> None:
    texts = tales(tmp_path / "tales", count=9)
    (texts / "z.txt").write_bytes("Жили-были старик со старухой.".encode("koi8-r"))
    pattern = ("z.txt=koi8-r",)
    assert read(texts, tmp_path / "data" / "x", limit="2kB", encoding=pattern).bytes <= 2_000
    assert read(texts, tmp_path / "data" / "x", encoding=pattern).documents[-1].text.startswith("Жили-были")


def test_a_paragraph_of_a_skipped_file_is_not_taken_from_another(tmp_path: Path) -> None:
    folder = tmp_path / "tales"
    folder.mkdir()
    tale = "The fox counted all the stars above the hill, one after the other. " * 4
    lines = [json.dumps({"text": tale}), *(json.dumps({"text": f"Night {number}."}) for number in range(1_200))]
    (folder / "a.jsonl").write_text("\n".join([*lines, '{"text"']), encoding="utf-8")  # beyond what is looked at first
    (folder / "b.txt").write_text(tale, encoding="utf-8")
    (folder / "c.txt").write_text(f"It was night.\n\n{tale}", encoding="utf-8")
    corpus = read(folder, tmp_path / "data" / "x", duplicate_paragraphs=True)
    assert [one.name for one in corpus.skipped] == ["tales/a.jsonl"]
    assert [document.text for document in corpus.documents] == [tale.rstrip(), "It was night.\n"]


def test_what_cleaning_did_to_a_skipped_member_of_an_archive_is_not_counted(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Night\u0007 {number}."}) for number in range(1_200)]
    with zipfile.ZipFile(tmp_path / "tales.zip", "w") as archive:
        archive.writestr("a.txt", "The bell\u0007 rang once.")
        archive.writestr("b.jsonl", "\n".join([*lines, '{"text"']))  # beyond what is looked at first
        archive.writestr("c.txt", "It was day.")
    corpus = read(tmp_path / "tales.zip", tmp_path / "data" / "x")
    assert [one.name for one in corpus.skipped] == ["tales.zip/b.jsonl"]
    assert [(step, change.documents) for step, change in corpus.changes.items()] == [("control_characters", 1)]


def test_a_file_that_goes_while_texts_are_read_is_skipped_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, hashed = tales(tmp_path / "tales", count=3), durable.sha256_of

    def vanishing(path: Path) -> str:
        if path.name == "01.txt":
            path.unlink()
        return hashed(path)

    monkeypatch.setattr(durable, "sha256_of", vanishing)
    corpus = read(texts, tmp_path / "data" / "x")
    assert [(one.name, one.reason) for one in corpus.skipped] == [
        ("tales/01.txt", "it is gone, or its folder is closed")
    ]
    assert len(corpus.documents) == 2


def test_a_template_makes_markers_of_the_columns_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "plots.csv").write_text(
        "title,genre,plot\nThe Iron Fox,horror,A fox of iron walks.\nRain,,It rains.\n", encoding="utf-8"
    )
    corpus = read(
        tmp_path / "plots.csv", tmp_path / "data" / "x", template="<|title|>{title}<|genre|>{genre}<|plot|>{plot}"
    )
    first, second = corpus.documents
    assert first.markers == ((0, "<|title|>"), (12, "<|genre|>"), (18, "<|plot|>"))
    assert (second.text, second.markers) == ("RainIt rains.", ((0, "<|title|>"), (4, "<|plot|>")))
