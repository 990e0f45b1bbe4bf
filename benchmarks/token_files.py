"""Texts as token files: what every peer reads. `train.bin` and `val.bin` in nanoGPT's layout, and the bytes of each token.

The split is bajka's, so all are judged on the same validation text. `bytes.npy` says how many UTF-8 bytes each id stands
for; end-of-text stands for none, and is a target of nobody.
"""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness import python, run
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tokens:
    """A folder with train.bin, val.bin (raw uint16), meta.pkl for nanoGPT and bytes.npy; `name` says which texts."""

    folder: Path
    vocab_size: int
    name: str = ""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """UTF-8 bytes of each id (vocab_size,); 0: stands for no text, and is not judged."""
        return np.load(self.folder / "bytes.npy")

    def ids(self, part: str) -> NDArray[np.uint16]:
        """All ids of "train" or "val"."""
        return np.fromfile(self.folder / f"{part}.bin", dtype=np.uint16)


def prepare(texts: list[str], out: Path, **settings: object) -> Path:
    """The folder that `bajka prepare` makes of texts."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items() if value is not None]
    done = run(python("-m", "bajka", "prepare", *texts, "--out", out, *words))
    said = "\n".join(line for _, line in done.lines)
    assert "Prepared: " in said, said
    folders = [path.parent for path in out.glob("*/meta.json")]
    assert len(folders) == 1, f"{out} should hold one prepared corpus: {folders}"
    return folders[0]


def from_bajka(prepared: Path, out: Path) -> Tokens:
    """The same ids for the peers, links to the same files; the bytes of all tokens add up to those of the text."""
    from bajka.tokenizer import Tokenizer

    meta = json.loads((prepared / "meta.json").read_text(encoding="utf-8"))
    assert meta["vocab_size"] <= 65_536, "nanoGPT reads uint16"
    tokenizer = Tokenizer.load(prepared)
    names = [tokenizer.backend.id_to_token(number) or "" for number in range(meta["vocab_size"])]
    as_bytes = tokenizer.kind == "bpe"
    sizes = np.array([len(name) if as_bytes else len(name.encode()) for name in names], dtype=np.int64)
    sizes[[meta["end_of_text"], *meta.get("markers", {}).values()]] = 0
    out.mkdir(parents=True, exist_ok=True)
    for part in ("train.bin", "val.bin"):
        (out / part).unlink(missing_ok=True)
        (out / part).symlink_to((prepared / part).resolve())
    tokens = _described(out, sizes, prepared.name)
    counted = int(sizes[tokens.ids("val")].sum())
    assert counted == meta["val"]["bytes"], f"{counted:,} bytes by tokens, {meta['val']['bytes']:,} by meta.json"
    return tokens


def as_characters(prepared: Path, out: Path) -> Tokens:
    """The same split with every character a token, as nanoGPT's example of characters has it."""
    from bajka.tokenizer import Tokenizer

    meta = json.loads((prepared / "meta.json").read_text(encoding="utf-8"))
    tokenizer, end = Tokenizer.load(prepared), meta["end_of_text"]
    documents = {}
    for part in ("train", "val"):
        ids = np.fromfile(prepared / f"{part}.bin", dtype=np.uint16)
        cut = np.split(ids, np.flatnonzero(ids == end))[1:]
        documents[part] = [tokenizer.backend.decode(some[1:].tolist(), skip_special_tokens=False) for some in cut]
    letters = sorted(set("".join(documents["train"] + documents["val"])))
    number = {letter: place + 1 for place, letter in enumerate(letters)}  # 0 is end-of-text
    out.mkdir(parents=True, exist_ok=True)
    for part, texts in documents.items():
        ids = np.array([n for text in texts for n in (0, *map(number.__getitem__, text))], dtype=np.uint16)
        ids.tofile(out / f"{part}.bin")
    tokens = _described(
        out, np.array([0, *(len(letter.encode()) for letter in letters)], dtype=np.int64), prepared.name
    )
    counted = int(tokens.sizes[tokens.ids("val")].sum())
    assert counted == meta["val"]["bytes"], f"{counted:,} bytes by characters, {meta['val']['bytes']:,} by meta.json"
    return tokens


def from_nanogpt(folder: Path) -> Tokens:
    """What nanoGPT's own prepare.py made of characters; its meta.pkl is ours to trust, we have just made it."""
    meta = pickle.loads((folder / "meta.pkl").read_bytes())
    sizes = np.array([len(meta["itos"][number].encode()) for number in range(meta["vocab_size"])], dtype=np.int64)
    np.save(folder / "bytes.npy", sizes)
    return Tokens(folder, len(sizes))


def _described(folder: Path, sizes: NDArray[np.int64], name: str) -> Tokens:
    np.save(folder / "bytes.npy", sizes)
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(sizes)}))
    return Tokens(folder, len(sizes), name)
