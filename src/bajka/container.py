"""What this process may use of the system's memory and processors, within what a container allows it.

Linux limits a container by control groups, of which torch and the system's own figures know nothing. Those of version 2
and of version 1 are read, from the process' own group up to the root; the tightest limit counts. `system` is the root of
the file system.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")
_MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Files with the limit and with what is used, and the word in memory.stat for what is given back when it is needed."""


def processors(system: Path = _ROOT) -> int:
    """Processors that this process may use: those it is bound to, or as many as its container's share of time is worth."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([bound, *(math.ceil(share) for share in _shares(system))])


def memory_left(system: Path = _ROOT) -> tuple[int, int]:
    """Bytes of system memory that this process can still use, and all it may use: the machine's, or its container's."""
    machine, free = _memory_of_the_machine()
    whole, left = machine, _available(system) or free
    for folder in _groups("memory", system):
        for most, current, given_back in _MEMORY:
            limit, used = _number(folder / most), _number(folder / current)
            if limit is not None and used is not None and limit < machine:
                cache = _number(folder / "memory.stat", after=given_back) or 0
                left, whole = min(left, limit - used + cache), min(whole, limit)
    return max(0, left), whole


def out_of_memory_kills(system: Path = _ROOT) -> int:
    """How often the system killed for lack of memory in this process' group; 0 where it does not count."""
    for folder in _groups("memory", system):
        for file in ("memory.events", "memory.oom_control"):
            if (kills := _number(folder / file, after="oom_kill")) is not None:
                return kills
    return 0


def waited_seconds(system: Path = _ROOT) -> float:
    """Seconds that the threads of this process, all together, were ready to run while something else had the processors.

    0 where the system does not count them (Linux does).
    """
    tasks = (system / "proc/self/task").glob("*/schedstat")
    return sum(_number(task, word=1) or 0 for task in tasks) / 1e9


def _shares(system: Path) -> Iterator[float]:
    """Processors that each limit of time is worth."""
    for folder in _groups("cpu", system):
        quota, period = _number(folder / "cpu.max"), _number(folder / "cpu.max", word=1)
        if quota is None:
            quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:  # version 1 writes -1 for no limit
            yield quota / period


def _groups(controller: str, system: Path) -> Iterator[Path]:
    """Folders of the control groups this process is in, its own first. In a container the names may be those of the
    host, so that only the root exists."""
    try:
        lines = (system / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = system / "sys/fs/cgroup" / (controller if controllers else "")
        own = root / name.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(root) and folder.is_dir())


def _available(system: Path) -> int | None:
    """Bytes that Linux says can be used now."""
    kilobytes = _number(system / "proc/meminfo", after="MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _memory_of_the_machine() -> tuple[int, int]:
    """Bytes of memory, and of what is free of them: half, where only Linux would tell more."""
    if os.name == "nt":
        status = _MemoryStatus(size=ctypes.sizeof(_MemoryStatus))
        ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))  # type: ignore[attr-defined,unused-ignore]
        return status.whole, status.free
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return whole, whole // 2


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of Windows."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("whole", ctypes.c_uint64),
        ("free", ctypes.c_uint64),
        ("others", ctypes.c_uint64 * 5),
    )


def _number(file: Path, *, word: int = 0, after: str = "") -> int | None:
    """A number in a file: the word at that place, or the one `after` a name; None where there is none, or "max"."""
    try:
        words = file.read_text(encoding="utf-8").split()
        return int(words[words.index(after) + 1 if after else word])
    except (OSError, ValueError, IndexError):
        return None
