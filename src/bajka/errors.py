"""Everything that can go wrong for a person, as one tree.

    BajkaError
    ├── InputError            2   something given to us is wrong: a path, a setting, a text
    │   ├── SettingsError     2   an unknown, ill-typed or impossible setting
    │   ├── CorpusError       2   texts that are missing, empty, unreadable or too few
    │   ├── TokenizerError    2   a tokenizer that is missing or does not fit
    │   ├── ModelError        2   a model folder or name that cannot be used
    │   └── RunError          2   a folder that is no run, or a run in the wrong state
    ├── ResourceError         3   the machine has not enough of something, or lacks a library
    │   ├── DiskError         3   no space, no permission, a failing disk
    │   └── MissingExtraError 3   an optional library is not installed
    ├── DamagedFileError      4   a file is cut, altered or hostile
    ├── NumericsError         5   a loss or a weight stopped being a number
    ├── PeerError             1   another process of the job ended: its exit code, 1 if it just vanished
    └── Interrupted         130   Ctrl-C (130), SIGTERM (143) or a closed terminal (129), after the state was saved

The number is the exit code of the command line. Each message says what is wrong, the value, and what to do.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BajkaError(Exception):
    """Base of all errors that a person can cause or meet; `exit_code` is the command line's."""

    exit_code = 1


class InputError(BajkaError):
    """Something given to us is wrong."""

    exit_code = 2


class SettingsError(InputError):
    """An unknown, ill-typed or impossible setting."""


class CorpusError(InputError):
    """Texts that are missing, empty, unreadable or too few."""


class TokenizerError(InputError):
    """A tokenizer that is missing or does not fit its data or model."""


class ModelError(InputError):
    """A model folder or hub name that cannot be used."""


class RunError(InputError):
    """A folder that is no run, or a run in the wrong state for what was asked."""


class ResourceError(BajkaError):
    """The machine has not enough of something."""

    exit_code = 3


class DiskError(ResourceError):
    """No space, no permission, or a failing disk; `full` is what could not be done if only space was missing."""

    def __init__(self, message: str, *, full: str | None = None) -> None:
        super().__init__(message)
        self.full = full


class MissingExtraError(ResourceError):
    """An optional library is not installed; the message says the pip line."""

    def __init__(self, what: str, *, extra: str) -> None:
        super().__init__(f"{what} needs an optional part of bajka. Install it with: pip install 'bajka[{extra}]'")


class DamagedFileError(BajkaError):
    """A file is cut, altered or hostile."""

    exit_code = 4


class NumericsError(BajkaError):
    """A loss or a weight stopped being a number."""

    exit_code = 5


class PeerError(BajkaError):
    """Another process of the same job ended, so this one does; `exit_code` is the other's where it is known."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Interrupted(BajkaError):
    """Stopped by a signal after the state was saved; `exit_code` is 128 plus the signal's number."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


_SAID = "(told by another process of this job)"


def mark_said(error: BaseException) -> None:
    """Note that another process tells the person of `error`."""
    error.add_note(_SAID)


def was_said(error: BaseException) -> bool:
    """Whether another process tells the person of `error`, so that this one keeps silent."""
    return _SAID in getattr(error, "__notes__", ())


@contextmanager
def disk_errors(doing: str, path: Path, *, needs: int | None = None) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `DiskError` that names `path` and what to do.

    On a full disk it tells the bytes that are needed and free; around several files, `needs` (of them all) is told with
    the name of the file for which there was no space.
    """
    try:
        yield
    except DiskError as error:
        if error.full is None or needs is None:
            raise
        raise DiskError(_full(error.full, path, needs), full=error.full) from error
    except OSError as error:
        task = f"Could not {doing} {path}"
        match error.errno:
            case errno.ENOSPC:
                raise DiskError(_full(task, path, needs), full=task) from error
            case errno.EDQUOT:
                advice = "your share of the disk is used up: delete something of yours and run the same command again"
            case errno.EFBIG:
                advice = "the disk holds no file so large: choose another folder with --out or --output"
            case _ if getattr(error, "winerror", None) in (32, 33):
                advice = "another program has it open: close that one and run the same command again"
            case errno.EACCES | errno.EPERM | errno.EROFS:
                advice = "no permission to write there: choose another folder with --out or --output"
            case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
                advice = "something of another kind already has that name: choose another one"
            case _:
                advice = f"{error.strerror or error}: check the disk and try again"
        raise DiskError(f"{task}: {advice}.") from error


def _full(task: str, path: Path, needs: int | None) -> str:
    needed = "" if needs is None else f"about {readable(needs)} are needed, "
    return (
        f"{task}: the disk is full: free some space and run the same command again "
        f"({needed}{readable(free_space(path))} are free)."
    )


def free_space(path: Path) -> int:
    """Bytes that may still be written to the disk of `path`, which need not exist yet."""
    there = next((folder for folder in (path, *path.absolute().parents) if folder.exists()), Path())
    return shutil.disk_usage(there).free


def readable(size: int) -> str:
    """A number of bytes for people: 2.3 GB."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
