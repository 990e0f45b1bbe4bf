"""From documents to `data/NAME-fingerprint/`: encoded once, named by what went in, never rewritten."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from bajka import durable
from bajka.corpus import Document, Split
from bajka.errors import disk_errors
from bajka.tokenizer import Tokenizer
from bajka.tokens.store import FORMAT, TokenData, TokenWriter, id_type, open_token_data

_CHARACTERS_AT_ONCE = 2_000_000


def prepare(
    split: Split,
    tokenizer: Tokenizer,
    *,
    parent: Path,
    name: str,
    progress: Callable[[float], None] = lambda share: None,
) -> TokenData:
    """Encode both sides of `split` into a folder of `parent`, or open the folder if the same was prepared before.

    `progress` is told the share done, from 0 to 1. A crash leaves no folder that looks whole.
    """
    fingerprint = _fingerprint(split, tokenizer)
    folder = parent / f"{name}-{fingerprint[:8]}"
    if folder.exists():
        return open_token_data(folder)
    temporary = folder.with_name(folder.name + durable.TEMPORARY)
    with disk_errors("write", temporary):
        if temporary.exists():
            shutil.rmtree(temporary)
        temporary.mkdir(parents=True)
    try:
        _write(split, tokenizer, temporary, fingerprint, progress)
        durable.publish_folder(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return open_token_data(folder)


def _write(
    split: Split, tokenizer: Tokenizer, folder: Path, fingerprint: str, progress: Callable[[float], None]
) -> None:
    total = sum(len(d.text) for d in (*split.train, *split.validation)) or 1
    done, facts = 0, {}
    for name, documents in (("train", split.train), ("val", split.validation)):
        writer = TokenWriter(folder, name, vocab_size=tokenizer.vocab_size, end_of_text=tokenizer.end_of_text)
        for texts in _portions(documents):
            writer.write(texts, tokenizer.encode_batch(texts))
            done += sum(map(len, texts))
            progress(done / total)
        facts[name] = writer.finish()
    tokenizer.save(folder, context_length=1024)
    meta = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "dtype": str(id_type(tokenizer.vocab_size)),
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": tokenizer.end_of_text,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "split": {"how": split.how, "same_book": split.same_book},
        **facts,
    }
    durable.write_json(folder / "meta.json", meta)


def _portions(documents: Iterable[Document]) -> Iterable[list[str]]:
    """Texts in portions of a bounded size, so that memory does not grow with the corpus."""
    portion: list[str] = []
    size = 0
    for document in documents:
        portion.append(document.text)
        size += len(document.text)
        if size >= _CHARACTERS_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _fingerprint(split: Split, tokenizer: Tokenizer) -> str:
    """Hash of everything that decides the ids: format, tokenizer, and every text in its place."""
    digest = hashlib.sha256(f"{FORMAT} {tokenizer.fingerprint}".encode())
    for documents in (split.train, split.validation):
        digest.update(b"\x00set")
        for document in documents:
            raw = document.text.encode("utf-8")
            digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:16]
