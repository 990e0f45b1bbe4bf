"""Token ids on disk: `train.bin` and `val.bin` as nanoGPT writes them (raw, headerless), described by `meta.json`.

    data/alice-3f9c/  train.bin val.bin   raw uint16 ids, or uint32 when the vocabulary needs it
                      train.idx val.idx   raw uint64 beginnings of documents
                      test.bin test.idx   only when a third part was held out
                      meta.json           dtype, counts, fingerprints, how the text was split
                      tokenizer.json      what made the ids

Ids are checked against the vocabulary when a set is opened, so that a mismatch is a sentence and not a device assert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bajka.characters import count_text
from bajka.errors import DamagedFileError
from bajka.tokenizer import Tokenizer

if TYPE_CHECKING:
    from bajka.formats import Document

FORMAT = 1


@dataclass(frozen=True)
class TokenSet:
    """One stream of ids. Every document begins with one end-of-text; `starts` are those places.

    `control` are the ids that stand for no text (end-of-text, markers of a template), `content` counts the tokens that
    are none of these; `bytes` (UTF-8) and `letters` are of the text they stand for.
    """

    ids: NDArray[np.unsignedinteger]
    starts: NDArray[np.uint64]
    content: int
    bytes: int
    letters: int
    control: tuple[int, ...] = ()

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
    """Training and validation ids of one corpus under one tokenizer; `test` when a third part was held out."""

    folder: Path
    fingerprint: str
    vocab_size: int
    end_of_text: int
    tokenizer_fingerprint: str
    train: TokenSet
    validation: TokenSet
    meta: dict[str, Any]
    test: TokenSet | None = None


def id_type(vocab_size: int) -> np.dtype[Any]:
    """uint16 where every id fits, else uint32: numpy would wrap a larger id silently."""
    return np.dtype(np.uint16 if vocab_size <= 65_536 else np.uint32)


def open_token_data(folder: Path) -> TokenData:
    """Open a folder that bajka wrote; raises `DamagedFileError` when a file does not match its description."""
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        names = [name for name in ("train", "val", "test") if name != "test" or name in meta]
        sets = {name: _open_set(folder, name, meta) for name in names}
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
            test=sets.get("test"),
            meta=meta,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"The prepared data in {folder} is not whole ({error}). Delete that folder: it is made again from the texts."
        ) from error


def _open_set(folder: Path, name: str, meta: dict[str, Any]) -> TokenSet:
    facts, end_of_text = meta[name], meta["end_of_text"]
    ids = map_ids(folder / f"{name}.bin", id_type(meta["vocab_size"]))
    starts = np.fromfile(folder / f"{name}.idx", dtype=np.uint64)
    if len(ids) != facts["tokens"]:
        raise ValueError(f"{name}.bin has {len(ids):,} ids, meta.json says {facts['tokens']:,}")
    ordered = not len(starts) or (starts[0] == 0 and starts[-1] < len(ids) and bool((starts[1:] > starts[:-1]).all()))
    if len(starts) != facts["documents"] or not ordered or (ids[starts] != end_of_text).any():
        raise ValueError(f"{name}.idx does not hold the beginnings of {facts['documents']:,} documents")
    control = (end_of_text, *meta.get("markers", {}).values())
    return TokenSet(ids, starts, facts["content"], facts["bytes"], facts["letters"], control)


def map_ids(path: Path, dtype: np.dtype[Any], *, header: int = 0) -> NDArray[np.unsignedinteger]:
    """The ids of a file behind `header` bytes, not read yet; `ValueError` when its size is no whole number of them."""
    size = path.stat().st_size - header
    if size % dtype.itemsize:
        raise ValueError(f"{path.name} has {size:,} bytes, not a multiple of {dtype.itemsize}")
    return np.memmap(path, dtype=dtype, mode="r", offset=header) if size else np.zeros(0, dtype=dtype)


def token_set(documents: Iterable[Document | str], tokenizer: Tokenizer) -> TokenSet:
    """Documents, or texts without markers, encoded in memory, each after one end-of-text."""
    pieces, starts, place = [], [], 0
    size = letters = markers = 0
    for document in documents:
        text = document if isinstance(document, str) else document.text
        whole = tokenizer.encode_batch([text]) if isinstance(document, str) else tokenizer.encode_documents([document])
        starts.append(place)
        pieces += [np.array([tokenizer.end_of_text], dtype=np.uint32), *whole]
        place += 1 + len(whole[0])
        counted = count_text(text)
        size, letters = size + counted[0], letters + counted[1]
        markers += 0 if isinstance(document, str) else len(document.markers)
    every = np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.uint32)
    content = place - len(starts) - markers
    return TokenSet(every, np.array(starts, dtype=np.uint64), content, size, letters, tokenizer.control)
