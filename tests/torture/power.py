"""What a disk may hold after a loss of power, worked out from the log of operations.

Content that was not synced may be there, empty, cut, or zeros of the right length; names made, moved or removed since the
last sync of their folder are so, or not yet, in order within a folder and independently between folders. That is what
POSIX leaves open; real file systems promise more.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from faulty_disk import Operation


@dataclass(eq=False)
class File:
    """Content as programs see it, and as it lay on the disk at the last sync."""

    now: bytearray = field(default_factory=bytearray)
    safe: bytes = b""

    def after_crash(self, draw: random.Random) -> bytes:
        """One of the contents that may be found."""
        if self.now == self.safe:
            return self.safe
        grown = bytes(max(0, len(self.now) - len(self.safe)))
        half = (len(self.safe) + len(self.now)) // 2
        return draw.choice([self.safe, bytes(self.now), self.safe + grown, bytes(self.now[:half]), bytes(self.now)[:1]])


@dataclass(eq=False)
class Folder:
    """Names as programs see them, those on the disk at the last sync, and what happened since."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    safe: dict[str, File | Folder] = field(default_factory=dict)
    since: list[Mapping[str, File | Folder | None]] = field(default_factory=list)

    def change(self, changes: Mapping[str, File | Folder | None]) -> None:
        """Names that are set or taken away (None) at once."""
        _apply(self.now, changes)
        self.since.append(changes)

    def after_crash(self, draw: random.Random) -> dict[str, File | Folder]:
        """One of the sets of names that may be found."""
        found, count = dict(self.safe), draw.choice([0, len(self.since), draw.randint(0, len(self.since))])
        for changes in self.since[:count]:
            _apply(found, changes)
        return found


def _apply(names: dict[str, File | Folder], changes: Mapping[str, File | Folder | None]) -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """A disk that follows a log; it begins with the content of `before`, all of it safe."""

    def __init__(self, before: Path) -> None:
        self.root = _read(before)

    def follow(self, one: Operation) -> None:
        """Do one operation of the log (paths relative to the disk)."""
        where = PurePosixPath(one.path)
        parent = self._find(where.parent)
        if one.what in ("fsync", "write", "truncate") and isinstance(parent, Folder) and where.name:
            _see_unlogged(parent, where.name)
        match one.what:
            case "fsync":
                node = self._find(where)
                if isinstance(node, File):
                    node.safe = bytes(node.now)
                else:
                    node.safe, node.since = dict(node.now), []
            case "write" | "truncate":
                content = self._find(where)
                assert isinstance(content, File)
                if one.what == "write":
                    content.now.extend(bytes(max(0, one.offset - len(content.now))))
                    content.now[one.offset : one.offset + len(one.data)] = one.data
                else:
                    content.now = content.now[: one.offset].ljust(one.offset, b"\0")
            case _:
                assert isinstance(parent, Folder)
                self._rename(one, parent, where.name)

    def _rename(self, one: Operation, parent: Folder, name: str) -> None:
        second = PurePosixPath(one.second)
        match one.what:
            case "create":
                parent.change({name: File()})
            case "mkdir":
                parent.change({name: Folder()})
            case "unlink" | "rmdir":
                parent.change({name: None})
            case "rename":
                assert second.parent == PurePosixPath(one.path).parent, "names move within their folder"
                parent.change({name: None, second.name: parent.now[name]})
            case "link":
                target = self._find(second.parent)
                assert isinstance(target, Folder)
                target.change({second.name: parent.now[name]})

    def _find(self, path: PurePosixPath) -> File | Folder:
        node: File | Folder = self.root
        for part in path.parts:
            assert isinstance(node, Folder)
            node = node.now[part]
        return node

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, _contents(self.root).values()))

    def crash(self, onto: Path, draw: random.Random) -> None:
        """Write one of the states that the disk may be in without power."""
        _write(self.root, onto, draw, {})


def _contents(folder: Folder) -> dict[int, bytearray]:
    """Every file once, however many names it has."""
    found = {}
    for node in folder.now.values():
        found |= _contents(node) if isinstance(node, Folder) else {id(node): node.now}
    return found


def _see_unlogged(parent: Folder, name: str) -> None:
    """safetensors makes `.tmpXXXXXX` and renames it by calls that no preloaded library sees: their traces show them."""
    if name not in parent.now:
        hidden = next((one for one in parent.now if one.startswith(".tmp")), None)
        parent.change({name: File()} if hidden is None else {hidden: None, name: parent.now[hidden]})


def _read(path: Path) -> Folder:
    found: dict[str, File | Folder] = {}
    for one in path.iterdir():
        found[one.name] = _read(one) if one.is_dir() else File(bytearray(one.read_bytes()), one.read_bytes())
    return Folder(dict(found), dict(found))


def _write(folder: Folder, onto: Path, draw: random.Random, known: dict[int, bytes]) -> None:
    """`known`: a file of two names has one content."""
    onto.mkdir(parents=True)
    for name, node in folder.after_crash(draw).items():
        if isinstance(node, Folder):
            _write(node, onto / name, draw, known)
        else:
            (onto / name).write_bytes(known.setdefault(id(node), node.after_crash(draw)))


def peak(before: Path, operations: Iterable[Operation]) -> int:
    """Bytes that the disk must have free for all of the operations."""
    disk = Disk(before)
    empty, most = disk.size, 0
    for one in operations:
        follow(disk, [one])
        most = max(most, disk.size - empty)
    return most


def follow(disk: Disk, operations: Iterable[Operation]) -> list[str]:
    """Do these operations; gives the notes between them."""
    notes = []
    for one in operations:
        if one.what == "note":
            notes.append(one.path)
        else:
            disk.follow(one)
    return notes
