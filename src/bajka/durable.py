"""The one module that writes files which must survive a crash: temporary name, fsync, rename, fsync of the folder.

A reader sees the old file or the new one, never a part. `os.replace` is atomic on POSIX and Windows; Windows refuses it
while a virus scanner or another reader holds the file, so it is retried there for a bounded time.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from filelock import BaseFileLock, FileLock, Timeout

from bajka.errors import disk_errors

TEMPORARY = ".tmp"
_RETRY_SECONDS = 10.0  # of what reads a file, or something in a folder, to its end: a virus scanner, a backup
_WINDOWS_BUSY = (5, 32, 33)  # access denied, sharing violation, lock violation


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that after any crash the old or the new file is there, whole."""
    write_file(path, lambda temporary: _write_all(temporary, content), needs=len(content))


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8 with newlines as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """`write_text` of indented JSON; numbers that JSON lacks (NaN) are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_file(path: Path, write: Callable[[Path], object], *, needs: int | None = None) -> None:
    """Let `write` fill a temporary file beside `path`, make it durable, and put it in place of `path`.

    `needs` is how many bytes it will write: a full disk is told with it.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    with disk_errors("write", path, needs=needs):
        make_folder(path.parent)
        try:
            write(temporary)
            sync_file(temporary)
            replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def publish_folder(temporary: Path, final: Path) -> None:
    """Make every file of the folder `temporary` durable, then rename it to `final`, which must not exist."""
    files = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
    with disk_errors("write", final, needs=sum(path.stat().st_size for path in files)):
        for path in files:
            sync_file(path)
        for path in [*(p for p in temporary.rglob("*") if p.is_dir()), temporary]:
            sync_folder(path)
        replace(temporary, final)
        sync_folder(final.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing. Without their names on the disk, what lies in them is lost."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def replace(source: Path, target: Path) -> None:
    """`os.replace`, retried for a bounded time while Windows says that the file is in use."""
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            os.replace(source, target)
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in _WINDOWS_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def link_or_copy(source: Path, target: Path) -> None:
    """Put `source`'s content at `target` atomically: a hard link where the file system has them, else a copy."""
    temporary = target.with_name(target.name + TEMPORARY)
    with disk_errors("write", target, needs=source.stat().st_size):
        make_folder(target.parent)
        temporary.unlink(missing_ok=True)
        try:
            _link_else_copy(source, temporary)
            replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)  # POSIX: renaming one link of a file onto another leaves both names
        sync_folder(target.parent)


def append_line(path: Path, line: str) -> None:
    """Append one line; a crash may cut it: readers of logs skip a line that is cut, and the next begins after it.

    When the disk refuses, nothing of the line stays, so that it can be appended again.
    """
    content = line.rstrip("\n").encode("utf-8") + b"\n"
    # Unbuffered: a buffer that could not be written would be written once more when the file is closed.
    with disk_errors("write", path, needs=len(content)), path.open("ab+", buffering=0) as file:
        size = file.tell()
        file.seek(max(0, size - 1))
        before = b"" if file.read(1) in (b"", b"\n") else b"\n"
        try:
            _write_whole(file, before + content)
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


@contextmanager
def alone(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Keep other processes from making `folder` at the same time; one that has to wait calls `on_wait` first.

    The lock's file goes with the work, once the folder is there.
    """
    lock = _lock_of(folder)
    with disk_errors("write", folder):
        make_folder(folder.parent)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
        if folder.exists():  # nobody writes any more: whoever waits, or comes, opens it
            with suppress(OSError):
                Path(lock.lock_file).unlink()


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left of work like that on `folder`: neighbours that are named like it but for the
    fingerprint at the end, are temporary, and that nobody has to himself (`alone`).

    Their locks stay, empty: who waits for one at this moment must not get another file than who comes later.
    """
    kind = re.escape(folder.name.rpartition("-")[0])
    unfinished = re.compile(rf"{kind}-[0-9a-f]{{8}}{re.escape(TEMPORARY)}")
    for path in list(folder.parent.iterdir()):
        if unfinished.fullmatch(path.name):
            with (
                suppress(Timeout, OSError),
                _lock_of(path.with_name(path.name.removesuffix(TEMPORARY))).acquire(timeout=0),
            ):
                shutil.rmtree(path)


def _lock_of(folder: Path) -> BaseFileLock:
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def remove_folder(path: Path) -> None:
    """Remove a folder in two steps, so that a crash leaves no folder that looks whole: rename, then delete.

    Without the sync between them a loss of power may bring the old name back, with half of the files.
    """
    if not path.exists():
        return
    with disk_errors("remove", path):
        doomed = path.with_name(path.name + TEMPORARY)
        if doomed.exists():
            shutil.rmtree(doomed)
        replace(path, doomed)
        sync_folder(path.parent)
        shutil.rmtree(doomed)


def sync_file(path: Path) -> None:
    """Ask the system to put the file's content on the disk."""
    with path.open("rb+") as file:
        _sync(file.fileno())


def sync_folder(path: Path) -> None:
    """Ask the system to put the folder's names on the disk, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _sync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # some network disks do it for files only
            raise
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """fsync; a Mac's only hands the content to the drive, which may write it later and in another order."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        with suppress(OSError):  # a disk that cannot
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_else_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync_file(target)


def _write_all(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def _write_whole(file: FileIO, content: bytes) -> None:
    while content:  # the system may take only a part
        content = content[file.write(content) :]
