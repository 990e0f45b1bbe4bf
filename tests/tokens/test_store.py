"""Ids on disk: nanoGPT reads ours, they are counted rightly, and damage is a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bajka.corpus import Split
from bajka.errors import DamagedFileError
from bajka.formats import Document
from bajka.tokenizer import Tokenizer
from bajka.tokens import TokenData, open_token_data
from bajka.tokens.foreign import is_token_folder
from bajka.tokens.prepare import prepare
from bajka.tokens.store import id_type, token_set
from bajka.tokens.writing import TokenWriter
from tiny import byte_tokenizer

TRAIN = ["Once upon a time.", "Жила-была лиса.", "", "The end."]
VALIDATION = ["Bila jednom jedna lisica."]


def documents(texts: list[str]) -> list[Document]:
    return [Document(text, f"{n}.txt") for n, text in enumerate(texts)]


def prepared(parent: Path, train: list[str] = TRAIN, test: tuple[Document, ...] = ()) -> TokenData:
    split = Split(documents(train), documents(VALIDATION), how="as made", same_book=False, share=0.1, test=test)
    return prepare(split, byte_tokenizer().with_markers(["<|title|>"]), parent=parent, name="tales")


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
    marked = (Document("Foxes dig", "a", markers=((2, "<|title|>"),)),)
    stored, made = prepared(tmp_path, test=marked).test, token_set(marked, byte_tokenizer().with_markers(["<|title|>"]))
    assert stored is not None
    assert stored.control == made.control == (0, 257)
    assert np.array_equal(stored.ids, made.ids)
    assert np.array_equal(stored.starts, made.starts)
    assert (stored.content, stored.bytes, stored.letters) == (made.content, made.bytes, made.letters)


def test_texts_in_memory_are_documents_without_markers() -> None:
    tokenizer = byte_tokenizer()
    one, other = token_set(TRAIN, tokenizer), token_set(documents(TRAIN), tokenizer)
    assert one.ids.tolist() == other.ids.tolist()
    assert (one.content, one.bytes, one.letters, one.control) == (other.content, other.bytes, other.letters, (0,))


def test_content_counts_neither_end_of_text_nor_markers(tmp_path: Path) -> None:
    document = Document("FoxA fox.", "a", markers=((0, "<|title|>"), (3, "<|title|>")))
    test = prepared(tmp_path, test=(document,)).test
    assert test is not None
    assert test.ids.tolist() == [0, 257, *byte_tokenizer().encode("Fox"), 257, *byte_tokenizer().encode("A fox.")]
    assert (test.content, test.bytes, test.bytes_per_token) == (9, 9, 1.0)


def test_a_third_part_is_there_only_when_it_was_held_out(tmp_path: Path) -> None:
    assert prepared(tmp_path).test is None
    data = prepared(tmp_path, test=(Document("Kraj.", "k"),))
    assert data.test is not None
    assert data.test.ids.tolist() == [0, *byte_tokenizer().encode("Kraj.")]
    assert (data.folder / "test.bin").stat().st_size == 12


def test_no_texts_are_no_tokens() -> None:
    assert len(token_set([], byte_tokenizer())) == 0


def test_the_tokenizer_lies_beside_its_ids(tmp_path: Path) -> None:
    data = prepared(tmp_path)
    assert Tokenizer.load(data.folder).fingerprint == data.tokenizer_fingerprint
    assert is_token_folder(data.folder)
    assert not is_token_folder(tmp_path)


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
        alter_meta(vocab_size="258"),
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
    writer.write(documents(["a"]), [np.array([largest])])
    assert np.fromfile(tmp_path / "train.bin", dtype=dtype).tolist() == [0, largest]


def test_without_a_description_the_folder_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="is not whole"):
        open_token_data(tmp_path)
