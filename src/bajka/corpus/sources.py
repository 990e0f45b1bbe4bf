"""Which files the person meant: paths walked in sorted order, names of datasets resolved, hidden names and what bajka wrote
itself left out."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bajka.corpus.ours import our_file, our_folder
from bajka.datasets import fetched, hub_files, is_hub_name
from bajka.errors import CorpusError
from bajka.formats import Skipped, is_file
from bajka.paths import typed
from bajka.progress import Progress, silent

_LONGEST_SHOWN = 300  # characters of a path that is not there


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read; `name` is how reports show it ("tales/a.txt"), `named` says that the person named it itself."""

    path: Path
    name: str
    named: bool

    def size(self) -> int:
        """Bytes of the file as it is now; 0 for what is no file, or is gone."""
        try:
            return self.path.stat().st_size if is_file(self.path) else 0
        except OSError:
            return 0


def find_sources(texts: tuple[str, ...], *, progress: Progress = silent) -> list[Source | Skipped]:
    """The files under the given paths in sorted order, each once, between them what was skipped and why.

    A name like hf:user/dataset is downloaded first. Raises `CorpusError` when a path does not exist or none was given.
    """
    if not texts:
        raise CorpusError("No texts were given. Name a file or a folder of texts, as in: bajka train my-texts/")
    seen: set[str] = set()
    found: list[Source | Skipped] = []
    for text in texts:
        if is_hub_name(text):
            files = hub_files(text, progress=progress)
            found += [
                Source(path, f"{text}/{path.name}", named=True)
                for path in files
                if _first_time(os.path.realpath(path), seen)
            ]
        else:
            found += _under(_existing(text), seen)
    return found


def _existing(text: str) -> Path:
    if not text:
        raise CorpusError("There is no file or folder with an empty name. Name a file or a folder of texts.")
    path = typed(text)
    if os.path.exists(path):  # noqa: PTH110 - Path's own raises for a name that is too long, or a closed folder
        return path
    if here := fetched(text):
        return here
    shown = printable(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")
    try:
        names = sorted(printable(entry.name) for entry in path.parent.iterdir())
    except (OSError, ValueError):
        names = []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if close:
        raise CorpusError(f"There is no file or folder {shown}. Did you mean {path.parent / close[0]}?")
    raise CorpusError(f"There is no file or folder {shown}. Check the spelling of the path.")


def _under(root: Path, seen: set[str]) -> Iterator[Source | Skipped]:
    if not root.is_dir():
        if _first_time(os.path.realpath(root), seen):
            yield Source(root, printable(root.name), named=True)
        return
    yield from _walk(root, printable(root.resolve().name), seen)


def _walk(root: Path, name: str, seen: set[str]) -> Iterator[Source | Skipped]:
    """Files below a folder, sorted; a folder reached twice (a link in a circle) is walked once.

    Not recursive, and only links are resolved: folders may lie a thousand deep.
    """
    waiting = [(root, name, os.path.realpath(root))]
    while waiting:
        path, name, real = waiting.pop()
        if not _first_time(real, seen):
            continue
        if not os.path.isdir(path):  # noqa: PTH112 - Path's own raises for what is in a closed folder
            yield Skipped(name, "bajka wrote it") if our_file(path) else Source(path, name, named=False)
            continue
        try:
            entries = sorted(path.iterdir(), key=_place, reverse=True)
        except OSError as error:
            yield Skipped(name, f"the folder cannot be opened ({error.strerror})")
            continue
        if ours := our_folder(path.name, {entry.name for entry in entries}):
            if path == root:
                raise CorpusError(f"{printable(str(root))} is {ours}, not a text. Name files or folders of texts.")
            yield Skipped(name, f"it is {ours}, not a text")
            continue
        for entry in entries:
            if not entry.name.startswith("."):
                target = os.path.realpath(entry) if entry.is_symlink() else os.path.join(real, entry.name)  # noqa: PTH118
                waiting.append((entry, f"{name}/{printable(entry.name)}", target))


def _place(entry: Path) -> str:
    """By what entries are sorted: their name, composed, as not every Mac keeps it."""
    return unicodedata.normalize("NFC", entry.name)


def _first_time(real: str, seen: set[str]) -> bool:
    new = real not in seen
    seen.add(real)
    return new


def printable(name: str) -> str:
    """A name or path as reports and JSON can hold it: bytes that are not UTF-8 are written as "\\xff"."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
