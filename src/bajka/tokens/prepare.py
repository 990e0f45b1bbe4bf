"""From documents to `data/NAME-fingerprint/`: encoded once, named by what went in, never rewritten.

The folder grows under another name, portion by portion; `journal.jsonl` says what of it is surely on the disk. Killed, the
same call goes on there, and the result is the same to the last byte.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bajka import durable
from bajka.errors import disk_errors
from bajka.progress import Progress, silent
from bajka.tokenizer import Tokenizer
from bajka.tokenizer.fast import Ids
from bajka.tokens.store import FORMAT, TokenData, id_type, open_token_data
from bajka.tokens.writing import TokenWriter, Written, sizes

if TYPE_CHECKING:
    from bajka.corpus import Split
    from bajka.formats import Document

PORTION = 32_000_000
"""Characters that are made durable at once: what a kill may cost, some seconds."""
_ENCODED = 2_000_000  # characters that are encoded at once
_AT_ONCE = 2  # so many of them in other threads, while another is counted and written
_JOURNAL = "journal.jsonl"


def prepare(
    split: Split,
    tokenizer: Tokenizer,
    *,
    parent: Path,
    name: str,
    sources: Mapping[str, Any] | None = None,
    portion: int = PORTION,
    progress: Progress = silent,
) -> TokenData:
    """Encode the parts of `split` into a folder of `parent`, or open the folder if the same was prepared before.

    `sources` (where the texts came from) is kept in `meta.json`. `progress` is told bytes of text. Two processes that
    prepare the same take turns. Raises `DiskError`; what was done until then is gone on with at the next call.
    """
    with ThreadPoolExecutor(1) as pool:
        if sum(split.sizes or ()) > min(portion, _ENCODED):
            pool.submit(tokenizer.get_ready)
        fingerprint, total = _fingerprint(split, tokenizer, progress)
    folder = parent / f"{name}-{fingerprint[:8]}"
    with durable.alone(folder, lambda: progress("waiting for another process", 0, 0)):
        if not folder.exists():
            unfinished = folder.with_name(folder.name + durable.TEMPORARY)
            work = _Work(unfinished, tokenizer, fingerprint, portion=portion, progress=progress, total=total)
            facts = {side: work.encode(side, documents).facts() for side, documents in _parts(split)}
            meta = _meta(split, tokenizer, fingerprint, sources) | facts
            tokenizer.save(unfinished, context_length=1024)
            durable.write_json(unfinished / "meta.json", meta)
            with disk_errors("remove", work.journal):
                work.journal.unlink()
            durable.publish_folder(unfinished, folder)
            durable.remove_abandoned(folder)
    return open_token_data(folder)


class _Work:
    """An unfinished folder, new or found as a killed process left it."""

    def __init__(
        self, folder: Path, tokenizer: Tokenizer, fingerprint: str, *, portion: int, progress: Progress, total: int
    ) -> None:
        self.folder, self.tokenizer = folder, tokenizer
        self.portion, self.progress, self.total = portion, progress, total
        self.journal = folder / _JOURNAL
        self.type = id_type(tokenizer.vocab_size)
        self.done = self._found(fingerprint)
        if self.done is None:
            self.done = {}
            self._begin(fingerprint)

    def encode(self, side: str, documents: Sequence[Document]) -> Written:
        """Encode what is still missing of one part."""
        assert self.done is not None
        tokenizer, before = self.tokenizer, self.done.get(side)
        writer = TokenWriter(
            self.folder, side, vocab_size=tokenizer.vocab_size, end_of_text=tokenizer.end_of_text, written=before
        )
        self._tell()
        some = _portions(documents, start=writer.written.documents, size=min(self.portion, _ENCODED))
        for number, (portion, encoded) in enumerate(self._encoded(some), 1):
            writer.write(portion, encoded)
            self.done[side] = writer.written
            if number % max(1, self.portion // _ENCODED) == 0:
                self._commit(side, writer)
            self._tell()
        self._commit(side, writer)
        return writer.written

    def _commit(self, side: str, writer: TokenWriter) -> None:
        if writer.sync():
            self._note({"part": side, **vars(writer.written)})

    def _encoded(self, portions: Iterator[list[Document]]) -> Iterator[tuple[list[Document], list[Ids]]]:
        """Every portion with its ids; the next ones are encoded, in other threads, while one is counted and written."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            started = ((some, pool.submit(self.tokenizer.encode_documents, some)) for some in portions)
            waiting = deque(islice(started, _AT_ONCE))
            while waiting:
                some, encoding = waiting.popleft()
                encoded = encoding.result()
                waiting.extend(islice(started, 1))
                yield some, encoded

    def _begin(self, fingerprint: str) -> None:
        with disk_errors("write", self.folder):
            if self.folder.exists():
                shutil.rmtree(self.folder)
            durable.make_folder(self.folder)
        self._note({"fingerprint": fingerprint})
        with disk_errors("write", self.folder):
            durable.sync_folder(self.folder)

    def _found(self, fingerprint: str) -> dict[str, Written] | None:
        """What the journal says is done; None when there is none, or when anything about it is odd."""
        try:
            lines = self.journal.read_bytes().split(b"\n")[:-1]  # behind the last newline: cut by a crash
            head, *entries = [json.loads(line) for line in lines]
            done = {entry.pop("part"): Written(**entry) for entry in entries}
            files = [sizes(self.folder, side, written, self.type) for side, written in done.items()]
            whole = all(path.stat().st_size >= size for some in files for path, size in some.items())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return done if whole and head == {"fingerprint": fingerprint} else None

    def _note(self, entry: dict[str, Any]) -> None:
        durable.append_line(self.journal, json.dumps(entry))
        with disk_errors("write", self.journal):
            durable.sync_file(self.journal)

    def _tell(self) -> None:
        assert self.done is not None
        self.progress("encoding", sum(written.bytes for written in self.done.values()), self.total)


def _parts(split: Split) -> list[tuple[str, Sequence[Document]]]:
    parts = [("train", split.train), ("val", split.validation)]
    return [*parts, ("test", split.test)] if len(split.test) else parts


def _meta(split: Split, tokenizer: Tokenizer, fingerprint: str, sources: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "dtype": str(id_type(tokenizer.vocab_size)),
        "vocab_size": tokenizer.vocab_size,
        "end_of_text": tokenizer.end_of_text,
        "markers": tokenizer.markers,
        "template": tokenizer.template,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "split": {"how": split.how, "same_book": split.same_book},
        "sources": dict(sources or {}),
    }


def _portions(documents: Sequence[Document], *, start: int, size: int) -> Iterator[list[Document]]:
    """The documents from number `start` in lists of about `size` characters, so that memory does not grow with them."""
    some: list[Document] = []
    waiting = 0
    for number in range(start, len(documents)):
        some.append(documents[number])
        waiting += len(some[-1].text) + 64  # empty documents take place, too
        if waiting >= size:
            yield some
            some, waiting = [], 0
    if some:
        yield some


def _fingerprint(split: Split, tokenizer: Tokenizer, progress: Progress) -> tuple[str, int]:
    """Hash of everything that decides the ids (format, tokenizer, every text in its place), and the bytes of text."""
    texts, shape = hashlib.sha256(), hashlib.sha256(f"{FORMAT} {tokenizer.fingerprint}".encode())
    total = 0
    for _, documents in _parts(split):
        shape.update(b"set\n")
        for some in _portions(documents, start=0, size=_ENCODED):
            raw = "".join([one.text for one in some]).encode("utf-8")
            texts.update(raw)
            shape.update("".join([f"{len(one.text)} {one.markers or ''}\n" for one in some]).encode("utf-8"))
            total += len(raw)
            progress("comparing", total, 0)
    shape.update(texts.digest())
    return shape.hexdigest()[:16], total
