"""Documents on disk: what goes in comes out, and a kill loses only what was not committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bajka.corpus.near import SKETCH_SIZE
from bajka.corpus.store import JOURNAL, TEXTS, DocumentStore, StoreWriter
from bajka.errors import DamagedFileError
from bajka.formats import Document

TALES = [
    Document("Once upon a time.", "a.txt"),
    Document("Bila jednom jedna lisica, šćućurena.\n", "b.csv#1", {"title": "Lisica", "year": "1901"}),
    Document("Foxhorrorשועל 🦊", "c.csv#7", {}, ((0, "<|title|>"), (3, "<|plot|>"))),
]


def add(writer: StoreWriter, *documents: Document) -> None:
    for document in documents:
        writer.add(document, letters=3, key=bytes(range(16)))


def filled(folder: Path) -> DocumentStore:
    with StoreWriter(folder) as writer:
        add(writer, *TALES)
        writer.commit({"next": 1}, durably=False)
    return DocumentStore(folder)


def test_documents_come_out_as_they_went_in(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert list(store) == TALES
    assert [one.fields for one in store] == [one.fields for one in TALES]
    assert (store[-1], store[0:2]) == (TALES[2], TALES[:2])
    assert store.rows["characters"].tolist() == [len(one.text) for one in TALES]
    assert store.sketches.shape == (3, SKETCH_SIZE)


def test_a_place_beyond_the_end_is_an_index_error(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        filled(tmp_path)[3]


def test_what_was_not_committed_is_gone_at_the_next_start(tmp_path: Path) -> None:
    filled(tmp_path)
    with StoreWriter(tmp_path) as writer:
        add(writer, *TALES)
    with StoreWriter(tmp_path) as writer:
        assert [entry["next"] for entry in writer.entries] == [1]
        add(writer, TALES[0])
        writer.commit({"next": 2}, durably=True)
    assert list(DocumentStore(tmp_path)) == [*TALES, TALES[0]]


def test_what_was_added_can_be_taken_back(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        add(writer, TALES[0])
        place = writer.place
        add(writer, *TALES)
        writer.take_back(place)
        add(writer, TALES[1])
        writer.commit({"next": 1}, durably=False)
    assert list(DocumentStore(tmp_path)) == TALES[:2]


def test_a_journal_line_that_a_crash_cut_does_not_count(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"next": 2, "sizes"')
    with StoreWriter(tmp_path) as writer:
        assert len(writer.entries) == 1
        add(writer, TALES[0])
        writer.commit({"next": 2}, durably=True)
    assert [entry["next"] for entry in DocumentStore(tmp_path).entries] == [1, 2]  # and hides nothing behind it


def test_a_file_shorter_than_its_journal_begins_anew_or_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / TEXTS).write_bytes(b"Once")
    with pytest.raises(DamagedFileError, match=r"texts\.bin has 4 bytes"):
        DocumentStore(tmp_path)
    with StoreWriter(tmp_path) as writer:
        assert writer.entries == []
        assert writer.text_bytes == 0
