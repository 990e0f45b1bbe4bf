"""Which files the person meant: paths walked in sorted order, names of datasets resolved, hidden names left out."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bajka.datasets import fetched, hub_files, is_hub_name
from bajka.errors import CorpusError
from bajka.formats import Skipped
from bajka.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read; `name` is how reports show it ("tales/a.txt"), `named` says that the person named it itself."""

    path: Path
    name: str
    named: bool


def find_sources(texts: tuple[str, ...], *, progress: Progress = silent) -> list[Source | Skipped]:
    """The files under the given paths in sorted order, each once, between them what was skipped and why.

    A name like hf:user/dataset is downloaded first. Raises `CorpusError` when a path does not exist or none was given.
    """
    if not texts:
        raise CorpusError("No texts were given. Name a file or a folder of texts, as in: bajka train my-texts/")
    seen: set[Path] = set()
    found: list[Source | Skipped] = []
    for text in texts:
        if is_hub_name(text):
            files = hub_files(text, progress=progress)
            found += [Source(path, f"{text}/{path.name}", named=True) for path in files if _first_time(path, seen)]
        else:
            found += _under(_existing(text), seen)
    return found


def _existing(text: str) -> Path:
    path = Path(text).expanduser()
    if path.exists():
        return path
    if here := fetched(text):
        return here
    parent = path.parent
    names = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() and os.access(parent, os.R_OK) else []
    close = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if close:
        raise CorpusError(f"There is no file or folder {text}. Did you mean {parent / close[0]}?")
    raise CorpusError(f"There is no file or folder {text}. Check the spelling of the path.")


def _under(root: Path, seen: set[Path]) -> Iterator[Source | Skipped]:
    if not root.is_dir():
        if _first_time(root, seen):
            yield Source(root, root.name, named=True)
        return
    top = root.resolve()
    for entry in _walk(root, seen):
        if isinstance(entry, Skipped):
            yield entry
        else:
            yield Source(entry, f"{top.name}/{entry.relative_to(root).as_posix()}", named=False)


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
