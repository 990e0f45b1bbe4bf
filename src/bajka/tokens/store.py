"""Token ids on disk: `train.bin` and `val.bin` as nanoGPT writes them (raw, headerless), described by `meta.json`.

    data/alice-3f9c/  train.bin val.bin   raw uint16 ids, or uint32 when the vocabulary needs it
                      train.idx val.idx   raw uint64 beginnings of documents
                      meta.json           dtype, counts, fingerprints, how the text was split
                      tokenizer.json      what made the ids

Ids are checked against the vocabulary when a set is opened, so that a mismatch is a sentence and not a device assert.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bajka import durable
from bajka.errors import CorpusError, DamagedFileError, TokenizerError, disk_errors
from bajka.tokenizer import Tokenizer

FORMAT = 1


@dataclass(frozen=True)
class TokenSet:
    """One stream of ids. Every document begins with one end-of-text; `starts` are those places.

    `content` tokens are those that are not end-of-text; `bytes` (UTF-8) and `letters` are of the text they stand for.
    """

    ids: NDArray[np.unsignedinteger]
    starts: NDArray[np.uint64]
    content: int
    bytes: int
    letters: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes that one content token stands for, on average."""
        return self.bytes / max(1, self.content)

    @property
    def letters_per_token(self) -> float:
        """Letters that one content token stands for, on average."""
        return self.letters / max(1, self.content)


@dataclass(frozen=True)
class TokenData:
    """Training and validation ids of one corpus under one tokenizer."""

    folder: Path
    fingerprint: str
    vocab_size: int
    end_of_text: int
    tokenizer_fingerprint: str
    train: TokenSet
    validation: TokenSet
    meta: dict[str, Any]


def id_type(vocab_size: int) -> np.dtype[Any]:
    """uint16 where every id fits, else uint32: numpy would wrap a larger id silently."""
    return np.dtype(np.uint16 if vocab_size <= 65_536 else np.uint32)


class TokenWriter:
    """Appends documents to NAME.bin and NAME.idx in `folder`, checking every id; `facts` is for meta.json."""

    def __init__(self, folder: Path, name: str, *, vocab_size: int, end_of_text: int) -> None:
        self.folder, self.name = folder, name
        self.vocab_size, self.end_of_text = vocab_size, end_of_text
        self.type = id_type(vocab_size)
        self.tokens = self.bytes = self.letters = 0
        self.starts: list[int] = []
        self.path = folder / f"{name}.bin"
        with disk_errors("write", self.path):
            self.path.write_bytes(b"")  # a set without documents is an empty file, too

    def write(self, texts: Sequence[str], encoded: Iterable[NDArray[np.integer]]) -> None:
        """Append documents: their texts (for counting) and their content ids."""
        pieces = []
        for text, content in zip(texts, encoded, strict=True):
            self.starts.append(self.tokens)
            self.tokens += 1 + len(content)
            self.bytes += len(text.encode("utf-8"))
            self.letters += sum(map(str.isalpha, text))
            pieces += [np.array([self.end_of_text]), content]
        ids = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)
        assert not len(ids) or int(ids.max()) < self.vocab_size, "an id beyond the vocabulary"
        with disk_errors("write", self.path), self.path.open("ab") as file:
            file.write(ids.astype(self.type).tobytes())

    def finish(self) -> dict[str, int]:
        """Write the index; give tokens, documents, bytes and letters."""
        path = self.folder / f"{self.name}.idx"
        with disk_errors("write", path):
            path.write_bytes(np.array(self.starts, dtype=np.uint64).tobytes())
        counts = {"tokens": self.tokens, "documents": len(self.starts), "bytes": self.bytes, "letters": self.letters}
        return counts | {"content": self.tokens - len(self.starts)}


def open_token_data(folder: Path) -> TokenData:
    """Open a folder that bajka wrote; raises `DamagedFileError` when a file does not match its description."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        dtype = id_type(meta["vocab_size"])
        sets = {name: _open_set(folder, name, dtype, meta[name], meta["end_of_text"]) for name in ("train", "val")}
        for name, tokens in sets.items():
            largest = int(tokens.ids.max()) if len(tokens) else 0
            if largest >= meta["vocab_size"]:
                raise DamagedFileError(
                    f"{folder / name}.bin holds the id {largest}, beyond its vocabulary of {meta['vocab_size']}. "
                    "Delete the folder: it is made again from the texts."
                )
        return TokenData(
            folder=folder,
            fingerprint=meta["fingerprint"],
            vocab_size=meta["vocab_size"],
            end_of_text=meta["end_of_text"],
            tokenizer_fingerprint=meta["tokenizer_fingerprint"],
            train=sets["train"],
            validation=sets["val"],
            meta=meta,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"The prepared data in {folder} is not whole ({error}). Delete that folder: it is made again from the texts."
        ) from error


def _open_set(folder: Path, name: str, dtype: np.dtype[Any], facts: dict[str, int], end_of_text: int) -> TokenSet:
    ids = _map(folder / f"{name}.bin", dtype)
    starts = np.fromfile(folder / f"{name}.idx", dtype=np.uint64)
    if len(ids) != facts["tokens"]:
        raise ValueError(f"{name}.bin has {len(ids):,} ids, meta.json says {facts['tokens']:,}")
    ordered = not len(starts) or (starts[0] == 0 and starts[-1] < len(ids) and bool((starts[1:] > starts[:-1]).all()))
    if len(starts) != facts["documents"] or not ordered or (ids[starts] != end_of_text).any():
        raise ValueError(f"{name}.idx does not hold the beginnings of {facts['documents']:,} documents")
    return TokenSet(ids, starts, facts["content"], facts["bytes"], facts["letters"])


def _map(path: Path, dtype: np.dtype[Any]) -> NDArray[np.unsignedinteger]:
    size = path.stat().st_size
    if size % dtype.itemsize:
        raise ValueError(f"{path.name} has {size:,} bytes, not a multiple of {dtype.itemsize}")
    return np.memmap(path, dtype=dtype, mode="r") if size else np.zeros(0, dtype=dtype)


def token_set(texts: Sequence[str], tokenizer: Tokenizer) -> TokenSet:
    """Texts encoded in memory, each after one end-of-text."""
    pieces, starts, place = [], [], 0
    for ids in tokenizer.encode_batch(texts):
        starts.append(place)
        pieces += [np.array([tokenizer.end_of_text], dtype=np.uint32), ids]
        place += 1 + len(ids)
    every = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.uint32)
    letters = sum(sum(map(str.isalpha, text)) for text in texts)
    size = sum(len(text.encode("utf-8")) for text in texts)
    return TokenSet(every, np.array(starts, dtype=np.uint64), place - len(starts), size, letters)


def is_token_folder(path: Path) -> bool:
    """Whether `path` is a folder with `train.bin` and `val.bin`."""
    return (path / "train.bin").is_file() and (path / "val.bin").is_file()


def open_foreign_bins(
    folder: Path, *, vocab_size: int, end_of_text: int, tokenizer_fingerprint: str, decode: Any
) -> TokenData:
    """Open `train.bin` and `val.bin` written by nanoGPT or its kin (uint16 or uint32, no description).

    nanoGPT puts end-of-text after a document, we before it: the same stream but for its ends. `decode` (ids to text)
    counts the bytes and letters of the validation text. Raises `TokenizerError` when ids exceed the vocabulary.
    """
    sets, digest = {}, hashlib.sha256(tokenizer_fingerprint.encode())
    for name in ("train", "val"):
        path = folder / f"{name}.bin"
        try:
            ids = _map(path, foreign_type(path, vocab_size))
        except (OSError, ValueError) as error:
            raise DamagedFileError(f"{path} cannot be read as token ids: {error}.") from error
        if not len(ids):
            raise CorpusError(
                f"{path} is empty: there is nothing to {'learn from' if name == 'train' else 'validate on'}."
            )
        if int(ids.max()) >= vocab_size:
            raise TokenizerError(
                f"{path} holds the id {int(ids.max())}, but the tokenizer has only {vocab_size} entries: "
                "give the tokenizer that made these files with --tokenizer."
            )
        digest.update(durable.sha256_of(path).encode())
        sets[name] = _describe(ids, end_of_text, decode)
    fingerprint = digest.hexdigest()[:16]
    meta = {
        "fingerprint": fingerprint,
        "split": {"how": "the two files were given", "same_book": False},
        "sources": [str(folder)],
    }
    return TokenData(
        folder, fingerprint, vocab_size, end_of_text, tokenizer_fingerprint, sets["train"], sets["val"], meta
    )


def foreign_type(path: Path, vocab_size: int) -> np.dtype[Any]:
    """uint32 if the file's head, read so, lies in the vocabulary, else uint16: two of those, read as one, are huge."""
    head = np.fromfile(path, dtype=np.uint32, count=4096)
    wide = path.stat().st_size % 4 == 0 and len(head) > 0 and int(head.max()) < vocab_size
    return np.dtype(np.uint32 if wide else np.uint16)


def _describe(ids: NDArray[np.unsignedinteger], end_of_text: int, decode: Any) -> TokenSet:
    """A foreign stream with its documents found and its text counted (a sample of at most a million tokens, scaled)."""
    ends = np.flatnonzero(np.asarray(ids) == end_of_text)
    starts = np.unique(np.append(0, ends)).astype(np.uint64)
    sample = np.asarray(ids[:1_000_000])
    text = decode([int(i) for i in sample if i != end_of_text])
    content = len(ids) - len(ends)
    scale = content / max(1, int((sample != end_of_text).sum()))
    return TokenSet(
        ids, starts, content, round(len(text.encode("utf-8")) * scale), round(sum(map(str.isalpha, text)) * scale)
    )
