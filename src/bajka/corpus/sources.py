"""Which files the person meant: paths walked in sorted order, hidden names left out, the rest named with a reason."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bajka.corpus.document import Skipped
from bajka.errors import CorpusError

Kind = Literal["text", "json", "jsonl", "csv"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys((".txt", ".text", ".md"), "text"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    ".json": "json",
}
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar", ".tar", ".tgz", ".lzma"}
_FORMATS = {".epub", ".fb2", ".mobi", ".html", ".htm", ".pdf", ".doc", ".docx", ".odt", ".rtf", ".parquet", ".xlsx"}
READABLE = ".txt, .text, .md, .json, .jsonl, .ndjson, .csv and .tsv"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read; `name` is how reports show it ("tales/a.txt"), `named` says that the person named it itself."""

    path: Path
    name: str
    kind: Kind
    named: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What an `--encoding` pattern may match: with the folder that was given, within it, the file's own name."""
        return (self.name, self.name.partition("/")[2] or self.name, self.path.name)


def find_sources(texts: tuple[str, ...]) -> list[Source | Skipped]:
    """The files under the given paths in sorted order, each once, between them what was skipped and why.

    Raises `CorpusError` when a path does not exist or none was given.
    """
    if not texts:
        raise CorpusError("No texts were given. Name a file or a folder of texts, as in: bajka train my-texts/")
    roots = [_existing(text) for text in texts]
    seen: set[Path] = set()
    return [found for root in roots for found in _under(root, seen)]


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    parent = path.parent
    names = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() and os.access(parent, os.R_OK) else []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if close:
        raise CorpusError(f"There is no file or folder {text}. Did you mean {parent / close[0]}?")
    raise CorpusError(f"There is no file or folder {text}. Check the spelling of the path.")


def _under(root: Path, seen: set[Path]) -> Iterator[Source | Skipped]:
    if not root.is_dir():
        if _first_time(root, seen):
            yield _source(root, root.name, named=True)
        return
    top = root.resolve()
    for entry in _walk(root, seen):
        if isinstance(entry, Skipped):
            yield entry
        else:
            yield _source(entry, f"{top.name}/{entry.relative_to(root).as_posix()}", named=False)


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path | Skipped]:
    """Files below `folder`, sorted; a folder reached twice (a link in a circle) is walked once."""
    if not _first_time(folder, seen):
        return
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        yield Skipped(folder.name, f"the folder cannot be opened ({error.strerror})")
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif _first_time(entry, seen):
            yield entry


def _first_time(path: Path, seen: set[Path]) -> bool:
    real = Path(os.path.realpath(path))
    new = real not in seen
    seen.add(real)
    return new


def _source(path: Path, name: str, *, named: bool) -> Source | Skipped:
    """A file that was named itself is tried as text whatever its ending, unless that says it is another format."""
    suffix = path.suffix.lower()
    if not path.is_file():
        return Skipped(name, "it is a link to nothing" if path.is_symlink() else "it is not a regular file")
    if suffix in _COMPRESSED:
        return Skipped(name, f"it is compressed ({suffix}): unpack it first")
    if suffix in _FORMATS:
        return Skipped(name, f"{suffix} files are not read: save it as .txt first")
    if suffix in _KINDS or named:
        return Source(path, name, _KINDS.get(suffix, "text"), named)
    return Skipped(name, f"its ending ({suffix or 'none'}) is not one of {READABLE}")
