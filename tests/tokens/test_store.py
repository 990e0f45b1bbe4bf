"""Ids on disk: nanoGPT reads ours, we read nanoGPT's, and what does not belong together is a sentence."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bajka.corpus import Document, Split
from bajka.errors import BajkaError, CorpusError, DamagedFileError, DiskError, TokenizerError
from bajka.tokenizer import Tokenizer
from bajka.tokens import TokenData, open_token_data
from bajka.tokens.prepare import prepare
from bajka.tokens.store import TokenWriter, id_type, is_token_folder, open_foreign_bins, token_set
from tiny import byte_tokenizer

TRAIN = ["Once upon a time.", "Жила-была лиса.", "", "The end."]
VALIDATION = ["Bila jednom jedna lisica."]


def split_of(train: list[str], validation: list[str]) -> Split:
    documents = [[Document(text, f"{n}.txt") for n, text in enumerate(texts)] for texts in (train, validation)]
    return Split(documents[0], documents[1], how="as made", same_book=False, share=0.1)


def prepared(parent: Path, train: list[str] = TRAIN, validation: list[str] = VALIDATION) -> TokenData:
    return prepare(split_of(train, validation), byte_tokenizer(), parent=parent, name="tales")


def foreign(folder: Path, ids: list[int], dtype: type = np.uint16, vocab_size: int = 257) -> TokenData:
    """A folder as nanoGPT's prepare.py makes it: `ids` for both sets, nothing else."""
    for name in ("train", "val"):
        np.array(ids, dtype=dtype).tofile(folder / f"{name}.bin")
    return open_foreign(folder, vocab_size)


def open_foreign(folder: Path, vocab_size: int = 257) -> TokenData:
    return open_foreign_bins(
        folder, vocab_size=vocab_size, end_of_text=0, tokenizer_fingerprint="f", decode=byte_tokenizer().decode
    )


def test_nanogpt_reads_our_file(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    ids = np.memmap(data.folder / "train.bin", dtype=np.uint16, mode="r")
    tokenizer = byte_tokenizer()
    assert ids.tolist() == [one for text in TRAIN for one in tokenizer.encode_prompt(text)]


def test_every_document_begins_with_exactly_one_end_of_text(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    for tokens, texts in ((data.train, TRAIN), (data.validation, VALIDATION)):
        assert np.flatnonzero(tokens.ids == data.end_of_text).tolist() == tokens.starts.tolist()
        assert len(tokens.starts) == len(texts)


def test_text_that_contains_the_marker_stays_text(tmp_path: Path) -> None:
    data = prepared(tmp_path, ["a<|endoftext|>b"])
    assert (data.train.ids == data.end_of_text).sum() == 1


def test_bytes_and_letters_are_those_of_the_text(tmp_path: Path) -> None:
    train = prepared(tmp_path).train
    assert train.bytes == sum(len(text.encode()) for text in TRAIN)
    assert train.letters == sum(letter.isalpha() for text in TRAIN for letter in text)
    assert train.content == len(train) - len(TRAIN)
    assert train.bytes_per_token == 1.0
    assert train.letters_per_token == pytest.approx(train.letters / train.content)


def test_tokens_in_memory_are_those_on_the_disk(tmp_path: Path) -> None:
    stored, made = prepared(tmp_path).train, token_set(TRAIN, byte_tokenizer())
    assert np.array_equal(stored.ids, made.ids)
    assert np.array_equal(stored.starts, made.starts)
    assert (stored.content, stored.bytes, stored.letters) == (made.content, made.bytes, made.letters)


def test_no_texts_are_no_tokens() -> None:
    assert len(token_set([], byte_tokenizer())) == 0


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


def test_progress_ends_at_one(tmp_path: Path) -> None:
    shares: list[float] = []
    prepare(split_of(TRAIN, VALIDATION), byte_tokenizer(), parent=tmp_path, name="t", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_texts_are_encoded_in_portions_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = prepared(tmp_path / "a").train
    monkeypatch.setattr("bajka.tokens.prepare._CHARACTERS_AT_ONCE", 10)
    parts = prepared(tmp_path / "b").train
    assert np.array_equal(whole.ids, parts.ids)
    assert np.array_equal(whole.starts, parts.starts)


def test_the_tokenizer_lies_beside_its_ids(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert Tokenizer.load(data.folder).fingerprint == data.tokenizer_fingerprint
    assert is_token_folder(data.folder)
    assert not is_token_folder(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_nothing(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DiskError, match="the disk is full"):
        prepared(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_the_disk_cannot_hold_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DiskError, match=r"Could not write .*train\.bin"):
            prepared(tmp_path, ["long " * 1000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a").folder
    left = tmp_path / "b" / f"{folder.name}.tmp"
    left.mkdir(parents=True)
    (left / "train.bin").write_bytes(b"half")
    assert len(prepared(tmp_path / "b").train) == len(prepared(tmp_path / "a").train)
    assert not left.exists()


def alter(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def alter_meta(**changes: object) -> Callable[[Path], object]:
    return alter("meta.json", lambda raw: json.dumps(json.loads(raw) | changes).encode())


@pytest.mark.parametrize(
    "damage",
    [
        alter("train.bin", lambda raw: raw[:-2]),
        alter("train.bin", lambda raw: raw[:-1]),
        alter("val.bin", lambda raw: raw + b"\0\0"),
        alter("val.bin", lambda raw: raw[:-2] + b"\xff\xff"),
        alter("train.bin", lambda raw: raw[2:] + raw[:2]),
        alter("train.idx", lambda raw: raw[:-8]),
        alter("train.idx", lambda raw: raw[:8] + raw[16:] + raw[8:16]),
        alter("train.idx", lambda raw: raw[:-8] + b"\xff" * 8),
        alter("meta.json", lambda raw: raw[:-9]),
        alter("meta.json", lambda raw: b"[]"),
        alter_meta(vocab_size=70_000),
        alter_meta(vocab_size="257"),
        alter_meta(train={"tokens": 3}),
        lambda folder: (folder / "val.bin").unlink(),
        lambda folder: (folder / "meta.json").unlink(),
    ],
    ids=[
        "train.bin cut", "train.bin odd", "val.bin longer", "id beyond the vocabulary", "ids moved", "index cut",
        "index out of order", "index beyond the end", "meta cut", "meta no object", "another vocabulary",
        "vocabulary no number", "facts missing", "val.bin gone", "meta gone",
    ],
)  # fmt: skip
def test_damage_is_seen_and_the_way_out_is_said(damage: Callable[[Path], object], tmp_path: Path) -> None:
    damage(prepared(tmp_path).folder)
    with pytest.raises(DamagedFileError, match=r"Delete (that|the) folder: it is made again from the texts") as caught:
        prepared(tmp_path)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("vocab_size", "dtype"), [(257, "uint16"), (65_536, "uint16"), (65_537, "uint32")])
def test_ids_take_two_bytes_while_they_fit(vocab_size: int, dtype: str, tmp_path: Path) -> None:
    assert id_type(vocab_size) == dtype
    largest = vocab_size - 1
    writer = TokenWriter(tmp_path, "train", vocab_size=vocab_size, end_of_text=0)
    writer.write(["a"], [np.array([largest])])
    assert np.fromfile(tmp_path / "train.bin", dtype=dtype).tolist() == [0, largest]


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_files_of_nanogpt_open(dtype: type, tmp_path: Path) -> None:
    ids = [*byte_tokenizer().encode("Once upon a time."), 0, *byte_tokenizer().encode("Лиса."), 0]
    data = foreign(tmp_path, ids, dtype)
    assert data.train.ids.tolist() == ids
    assert data.train.starts.tolist() == [0, 17, 27]
    assert (data.train.content, data.train.bytes, data.train.letters) == (26, 26, 17)
    assert open_foreign(tmp_path).fingerprint == data.fingerprint


def test_large_vocabularies_are_read_in_four_bytes(tmp_path: Path) -> None:
    ids = [99_999, 70_000, 5, 0, 65_536]
    for name in ("train", "val"):
        np.array(ids, dtype=np.uint32).tofile(tmp_path / f"{name}.bin")
    data = open_foreign_bins(
        tmp_path, vocab_size=100_000, end_of_text=0, tokenizer_fingerprint="f", decode=lambda ids: "text"
    )
    assert data.train.ids.tolist() == ids


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (b"\x01\x00\x02", DamagedFileError, r"train\.bin cannot be read as token ids: .* 3 bytes"),
        (b"", CorpusError, r"train\.bin is empty: there is nothing to learn from"),
        (b"\x01\x00\x01\x01", TokenizerError, "holds the id 257, but the tokenizer has only 257 entries"),
    ],
)
def test_foreign_files_that_do_not_fit_are_a_sentence(
    content: bytes, error: type[BajkaError], sentence: str, tmp_path: Path
) -> None:
    foreign(tmp_path, [1, 2])
    (tmp_path / "train.bin").write_bytes(content)
    with pytest.raises(error, match=sentence):
        open_foreign(tmp_path)


def test_a_missing_foreign_file_is_a_sentence(tmp_path: Path) -> None:
    foreign(tmp_path, [1, 2])
    (tmp_path / "val.bin").unlink()
    with pytest.raises(DamagedFileError, match=r"val\.bin cannot be read"):
        open_foreign(tmp_path)


def test_without_a_description_the_folder_is_not_ours(tmp_path: Path) -> None:
    foreign(tmp_path, [1, 2])
    with pytest.raises(DamagedFileError, match="is not whole"):
        open_token_data(tmp_path)
