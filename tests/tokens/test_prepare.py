"""Preparing: the same texts once, killed anywhere the same bytes, one process at a time, a full disk is a sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np
import pytest

from bajka import durable
from bajka.corpus import Split
from bajka.errors import DiskError
from bajka.formats import Document
from bajka.tokenizer import Tokenizer
from bajka.tokens import TokenData
from bajka.tokens.prepare import prepare
from tiny import byte_tokenizer

TRAIN = ["Once upon a time.", "Жила-была лиса.", "", "The end."]
VALIDATION = ["Bila jednom jedna lisica."]
KILLED = """
import os, sys
from pathlib import Path
from test_prepare import many, prepare, byte_tokenizer

calls = 0
def die(what, done, total):
    global calls
    calls += what == "encoding"
    if calls > int(sys.argv[2]):
        os._exit(9)

prepare(many(), byte_tokenizer(), parent=Path(sys.argv[1]), name="many", portion=1000, progress=die)
"""


def split_of(train: Sequence[str], validation: Sequence[str], test: Sequence[str] = ()) -> Split:
    parts = [[Document(text, f"{n}.txt") for n, text in enumerate(texts)] for texts in (train, validation, test)]
    sizes = (sum(map(len, train)), sum(map(len, validation)), sum(map(len, test)))
    return Split(parts[0], parts[1], how="as made", same_book=False, share=0.1, test=parts[2], sizes=sizes)


def many() -> Split:
    texts = [f"Tale {n}: жила-была лиса {'x' * (n % 50)}" for n in range(60)]
    return split_of(texts[:45], texts[45:55], texts[55:])


def prepared(parent: Path, train: Sequence[str] = TRAIN, validation: Sequence[str] = VALIDATION) -> TokenData:
    return prepare(split_of(train, validation), byte_tokenizer(), parent=parent, name="tales")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed(parent: Path, calls: int) -> None:
    """Another process that prepares `many` and ends without warning at a call of its progress."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(parent), str(calls)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 9


def test_the_same_texts_are_not_encoded_twice(tmp_path: Path) -> None:
    first = prepared(tmp_path)
    before = (first.folder / "train.bin").stat()
    again = prepared(tmp_path)
    assert (again.folder, again.fingerprint) == (first.folder, first.fingerprint)
    assert (first.folder / "train.bin").stat() == before


@pytest.mark.parametrize(
    ("train", "validation"),
    [(["Once"], VALIDATION), ([*TRAIN[1:], TRAIN[0]], VALIDATION), (TRAIN, ["Other."]), ([*TRAIN, *VALIDATION], [])],
    ids=["fewer", "another order", "another validation", "moved over"],
)
def test_other_texts_have_another_fingerprint(tmp_path: Path, train: list[str], validation: list[str]) -> None:
    assert prepared(tmp_path, train, validation).fingerprint != prepared(tmp_path).fingerprint


def test_progress_counts_bytes_of_text(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        if what == "encoding":
            told.append((done, total))

    prepare(split_of(TRAIN, VALIDATION), byte_tokenizer(), parent=tmp_path, name="t", progress=progress)
    assert told == sorted(told)
    assert told[-1] == (sum(len(text.encode()) for text in (*TRAIN, *VALIDATION)),) * 2


def test_texts_are_encoded_in_portions_with_the_same_result(tmp_path: Path) -> None:
    one, other = (
        prepare(many(), byte_tokenizer(), parent=tmp_path / str(portion), name="t", portion=portion)
        for portion in (10, 1_000_000)
    )
    assert files(one.folder) == files(other.folder)


@pytest.mark.parametrize("calls", [3, 5, 9])
def test_killed_anywhere_it_goes_on_to_the_same_bytes(calls: int, tmp_path: Path) -> None:
    whole = prepare(many(), byte_tokenizer(), parent=tmp_path / "whole", name="many")
    killed(tmp_path / "killed", calls)
    killed(tmp_path / "killed", 1)
    again: list[int] = []
    data = prepare(
        many(),
        byte_tokenizer(),
        parent=tmp_path / "killed",
        name="many",
        portion=1000,
        progress=lambda what, done, total: again.append(done) if what == "encoding" else None,
    )
    assert again[0] > 0  # it did not begin anew
    assert files(data.folder) == files(whole.folder)
    assert [path.name for path in (tmp_path / "killed").iterdir()] == [data.folder.name]


def garbage_behind(folder: Path) -> None:
    for name in ("train.bin", "train.idx"):
        with (folder / name).open("ab") as file:
            file.write(b"half a portion")
    with (folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"part": "train", "docum')


def shorter(folder: Path) -> None:
    (folder / "train.bin").write_bytes((folder / "train.bin").read_bytes()[:-2])


def journal(content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "journal.jsonl").write_bytes(content)


@pytest.mark.parametrize(
    ("change", "begins_anew"),
    [
        (garbage_behind, False),
        (shorter, True),
        (journal(b""), True),
        (journal(b"[]\n"), True),
        (journal(b'{"fingerprint": "other"}\n'), True),
        (journal(b'{"fingerprint": "x"}\n{"part": "train", "pages": 3}\n'), True),
        (lambda folder: (folder / "train.idx").unlink(), True),
    ],
)
def test_what_a_crash_left_is_cut_off_or_made_anew(
    change: Callable[[Path], object], begins_anew: bool, tmp_path: Path
) -> None:
    whole = prepare(many(), byte_tokenizer(), parent=tmp_path / "whole", name="many")
    killed(tmp_path / "killed", 4)
    change(next((tmp_path / "killed").glob("*.tmp")))
    told: list[int] = []
    data = prepare(
        many(),
        byte_tokenizer(),
        parent=tmp_path / "killed",
        name="many",
        progress=lambda what, done, total: told.append(done) if what == "encoding" else None,
    )
    assert (told[0] == 0) == begins_anew
    assert files(data.folder) == files(whole.folder)


def test_two_processes_take_turns(tmp_path: Path) -> None:
    told: list[str] = []
    code = KILLED.replace("os._exit(9)", "print('writing', flush=True), sys.stdin.readline()")
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "1"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()

        def progress(what: str, done: int, total: int) -> None:
            told.append(what)
            if what.startswith("waiting"):
                assert other.stdin is not None
                other.stdin.close()  # the other one may go on

        data = prepare(many(), byte_tokenizer(), parent=tmp_path, name="many", progress=progress)
    assert "waiting for another process" in told
    assert "encoding" not in told
    assert len(data.train.starts) == 45


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_after_a_full_disk_the_same_call_goes_on(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(DiskError, match="the disk is full"):
            prepared(tmp_path)
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".") and path.suffix != ".tmp"]
    assert len(prepared(tmp_path).train.starts) == len(TRAIN)


def test_a_file_the_disk_cannot_hold_is_named_and_older_data_stay(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    older = prepared(tmp_path)
    before = files(older.folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DiskError, match=r"Could not write .*train\.bin"):
            prepared(tmp_path, ["long " * 1000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(older.folder) == before
    assert len(prepared(tmp_path, ["long " * 1000]).train) == 5001


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a").folder
    left = tmp_path / "b" / f"{folder.name}.tmp"
    left.mkdir(parents=True)
    (left / "train.bin").write_bytes(b"half")
    assert len(prepared(tmp_path / "b").train) == len(prepared(tmp_path / "a").train)
    assert not left.exists()


def test_what_was_left_of_other_work_of_this_name_goes_unless_somebody_works_on_it(tmp_path: Path) -> None:
    names = ("tales-0123abcd", "tales-4567cdef", "tales-texts-89abcdef", "other-0123abcd")
    for name in names:
        (tmp_path / f"{name}.tmp").mkdir()
    with durable.alone(tmp_path / "tales-4567cdef", lambda: None):
        folder = prepared(tmp_path).folder
    there = {path.name for path in tmp_path.iterdir() if path.is_dir()}
    assert there == {folder.name, *(f"{name}.tmp" for name in names[1:])}
    prepared(tmp_path, ["Other texts."])
    assert not (tmp_path / "tales-4567cdef.tmp").exists()


def test_a_lazy_corpus_is_read_document_by_document(tmp_path: Path) -> None:
    class Lazy(Sequence[Document]):
        """Documents that exist only while somebody looks."""

        @overload
        def __getitem__(self, number: int) -> Document: ...
        @overload
        def __getitem__(self, number: slice) -> Sequence[Document]: ...
        def __getitem__(self, number: int | slice) -> Document | Sequence[Document]:
            assert isinstance(number, int)
            if number >= len(self):
                raise IndexError
            return Document(f"tale {number}", str(number))

        def __len__(self) -> int:
            return 500

    split = Split(Lazy(), Lazy(), how="lazy", same_book=False, share=0.1)
    data = prepare(split, byte_tokenizer(), parent=tmp_path, name="lazy", portion=2000)
    assert len(data.train.starts) == 500
    assert byte_tokenizer().decode(data.train.ids[data.train.starts[499] :]) == "tale 499"


def test_what_was_prepared_says_where_it_came_from(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer().with_markers(["<|title|>"], template="<|title|>{title}")
    sources = {"texts": ["tales"], "files": 3}
    data = prepare(split_of(TRAIN, VALIDATION), tokenizer, parent=tmp_path, name="t", sources=sources)
    meta = json.loads((data.folder / "meta.json").read_text(encoding="utf-8"))
    assert (meta["sources"], meta["template"], meta["markers"]) == (sources, "<|title|>{title}", {"<|title|>": 257})
    assert data.train.control == (0, 257)
    assert Tokenizer.load(data.folder).template == tokenizer.template


def test_markers_at_other_places_are_other_data(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer().with_markers(["<|title|>"])
    fingerprints = set()
    for markers in ((), ((0, "<|title|>"),), ((1, "<|title|>"),)):
        train = [Document("Fox", "a", markers=markers)]
        split = Split(train, train, how="as made", same_book=True, share=0.1)
        fingerprints.add(prepare(split, tokenizer, parent=tmp_path, name="t").fingerprint)
    assert len(fingerprints) == 3


@pytest.mark.parametrize("kind", ["no documents", "empty documents"])
def test_an_empty_corpus_is_empty_files(kind: str, tmp_path: Path) -> None:
    texts = [] if kind == "no documents" else ["", ""]
    data = prepared(tmp_path, texts, texts)
    assert (len(data.train), data.train.content, data.train.bytes_per_token) == (len(texts), 0, 0.0)


def test_a_corpus_without_spaces_and_a_long_line_are_whole(tmp_path: Path) -> None:
    texts = ["西遊記第一回靈根育孕源流出心性修持大道生" * 20_000, "x" * 700_000, " " * 700_000]
    data = prepared(tmp_path, texts)
    decode, starts = byte_tokenizer().decode, [*data.train.starts, len(data.train)]
    parts = [data.train.ids[int(start) : int(end)] for start, end in pairwise(starts)]
    assert [decode(np.asarray(part)) for part in parts] == texts
