"""Token files of others: nanoGPT's (raw ids) and those of llm.c and modded-nanogpt (ids behind a header).

A folder has one file for training and one for validation: `train.bin` and `val.bin`, or names as `story_train.bin`,
`story_val_000000.bin`. The header (llm.c, dev/data/data_common.py) is 256 little-endian int32: a magic number, a version,
the count of ids, zeros. nanoGPT puts end-of-text behind a document, llm.c and we before it: the same stream but for its
ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bajka import durable
from bajka.characters import count_text
from bajka.errors import CorpusError, DamagedFileError, TokenizerError
from bajka.tokens.store import TokenData, TokenSet, id_type, map_ids

HEADER = 256  # int32 numbers
_FORMS: dict[int, tuple[int, np.dtype[Any]]] = {20240520: (1, np.dtype(np.uint16)), 20240801: (7, np.dtype(np.uint32))}
"""Magic number: (version, type of the ids), for GPT-2's and for Llama 3's vocabulary."""


def is_token_folder(path: Path) -> bool:
    """Whether `path` is a folder with token files for training and for validation."""
    return all(_candidates(path, side) for side in ("train", "val"))


def open_foreign_bins(
    folder: Path, *, vocab_size: int, end_of_text: int, tokenizer_fingerprint: str, decode: Callable[[list[int]], str]
) -> TokenData:
    """Open the two token files of a folder without a description of ours; `decode` (ids to text) counts bytes and letters.

    Raises `DamagedFileError` for a file that is cut or has a wrong header, `TokenizerError` when ids exceed the
    vocabulary, `CorpusError` when a file is empty or there are several for one side.
    """
    sets, digest = {}, hashlib.sha256(tokenizer_fingerprint.encode())
    for side, purpose in (("train", "learn from"), ("val", "validate on")):
        path = _file_of(folder, side)
        ids = read_ids(path, vocab_size)
        if not len(ids):
            raise CorpusError(f"{path} is empty: there is nothing to {purpose}.")
        if int(ids.max()) >= vocab_size:
            raise TokenizerError(
                f"{path} holds the id {int(ids.max())}, but the tokenizer has only {vocab_size} entries: "
                "give the tokenizer that made these files with --tokenizer."
            )
        digest.update(durable.sha256_of(path).encode())
        sets[side] = _describe(ids, end_of_text, decode)
    fingerprint = digest.hexdigest()[:16]
    meta = {
        "fingerprint": fingerprint,
        "split": {"how": "the two files were given", "same_book": False},
        "sources": [str(folder)],
    }
    return TokenData(
        folder, fingerprint, vocab_size, end_of_text, tokenizer_fingerprint, sets["train"], sets["val"], meta
    )


def read_ids(path: Path, vocab_size: int) -> NDArray[np.unsignedinteger]:
    """The ids of a token file, with or without a header, not read yet; `DamagedFileError` when it is neither."""
    try:
        head = np.fromfile(path, dtype="<i4", count=HEADER)
        if not len(head) or int(head[0]) not in _FORMS:
            return map_ids(path, foreign_type(path, vocab_size))
        version, dtype = _FORMS[int(head[0])]
        if len(head) < HEADER or head[1] != version:
            raise ValueError(f"its header is cut, or has a version other than {version}")
        ids = map_ids(path, dtype, header=head.nbytes)
        if len(ids) != head[2]:
            raise ValueError(f"its header says {head[2]:,} ids, but {len(ids):,} follow. Copy or make it again")
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path} cannot be read as token ids: {error}.") from error
    return ids


def write_llm_c(data: TokenData, folder: Path) -> tuple[Path, Path]:
    """Write `NAME_train.bin` and `NAME_val.bin` as llm.c and modded-nanogpt read them; gives their paths.

    NAME is that of the data's folder. Raises `DiskError`.
    """
    paths = folder / f"{data.folder.name}_train.bin", folder / f"{data.folder.name}_val.bin"
    for path, tokens in zip(paths, (data.train, data.validation), strict=True):
        _write(path, tokens.ids, id_type(data.vocab_size))
    return paths


def foreign_type(path: Path, vocab_size: int) -> np.dtype[Any]:
    """uint32 if the file's head, read so, lies in the vocabulary, else uint16: two of those, read as one, are huge."""
    head = np.fromfile(path, dtype=np.uint32, count=4096)
    wide = path.stat().st_size % 4 == 0 and len(head) > 0 and int(head.max()) < vocab_size
    return np.dtype(np.uint32 if wide else np.uint16)


def _write(path: Path, ids: NDArray[np.unsignedinteger], dtype: np.dtype[Any]) -> None:
    magic, version = next((magic, version) for magic, (version, one) in _FORMS.items() if one == dtype)
    header = np.zeros(HEADER, dtype="<i4")
    header[:3] = magic, version, len(ids)

    def fill(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(header.tobytes())
            for start in range(0, len(ids), 1 << 24):
                file.write(np.asarray(ids[start : start + (1 << 24)], dtype=dtype).tobytes())

    durable.write_file(path, fill)


def _candidates(folder: Path, side: str) -> list[Path]:
    plain = folder / f"{side}.bin"
    return [plain] if plain.is_file() else sorted(folder.glob(f"*_{side}*.bin"))


def _file_of(folder: Path, side: str) -> Path:
    found = _candidates(folder, side)
    if len(found) > 1:
        names = ", ".join(path.name for path in found[:3])
        raise CorpusError(
            f"{folder} has {len(found)} token files for {side} ({names}{', ...' if len(found) > 3 else ''}): which one is "
            "meant? Leave one of them in the folder."
        )
    return found[0] if found else folder / f"{side}.bin"


def _describe(ids: NDArray[np.unsignedinteger], end_of_text: int, decode: Callable[[list[int]], str]) -> TokenSet:
    """A foreign stream with its documents found and its text counted (a sample of at most a million tokens, scaled)."""
    ends = np.flatnonzero(np.asarray(ids) == end_of_text)
    starts = np.unique(np.append(0, ends)).astype(np.uint64)
    sample = np.asarray(ids[:1_000_000])
    text = decode([int(i) for i in sample if i != end_of_text])
    size, letters = count_text(text)
    content = len(ids) - len(ends)
    scale = content / max(1, int((sample != end_of_text).sum()))
    return TokenSet(
        ids,
        starts,
        content,
        round(size * scale),
        round(letters * scale),
        (end_of_text,),
    )
