"""Paths as people type them. `Path`'s own questions raise for "~$novel.docx" and for a whole sentence where a name belongs."""

from __future__ import annotations

import os
from pathlib import Path


def typed(name: str | os.PathLike[str]) -> Path:
    """The path that was meant: a leading "~" is the home folder, unless there is nobody of that name."""
    return Path(os.path.expanduser(name))  # noqa: PTH111


def holds(folder: Path, *names: str) -> bool:
    """Whether `folder` holds all entries of these names; never raises."""
    return all(os.path.lexists(folder / name) for name in names)


def is_folder(path: Path) -> bool:
    """Whether it is a folder; never raises."""
    return os.path.isdir(path)  # noqa: PTH112


def absolute(name: str) -> str:
    """A path that means the same from everywhere; what is no path here (a name of the hub or the catalog) as it is."""
    path = typed(name)
    return os.path.realpath(path) if os.path.exists(path) else name  # noqa: PTH110
