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
    └── Interrupted         130   Ctrl-C (130) or SIGTERM (143), after the state was saved

The number is the exit code of the command line. Each message says what is wrong, the value, and what to do.
"""

from __future__ import annotations

import errno
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
    """No space, no permission, or a failing disk."""


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
def disk_errors(doing: str, path: Path) -> Iterator[None]:
    """Turn an `OSError` raised inside into a `DiskError` that names `path` and what to do."""
    try:
        yield
    except OSError as error:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                advice = "the disk is full: free some space and run the same command again"
            case errno.EACCES | errno.EPERM | errno.EROFS:
                advice = "no permission to write there: choose another folder with --out or --output"
            case errno.ENOTDIR | errno.EEXIST | errno.EISDIR:
                advice = "something of another kind already has that name: choose another one"
            case _:
                advice = f"{error.strerror or error}: check the disk and try again"
        raise DiskError(f"Could not {doing} {path}: {advice}.") from error
