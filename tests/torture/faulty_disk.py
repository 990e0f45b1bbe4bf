"""Work in forked processes above a disk that fails on request (faulty_disk.c), and the log of what it did to the disk.

One server process imports everything heavy once, with the faulty disk preloaded, and forks a child for every case, so
that a case costs its own work and no start. Linux with a C compiler (`why_not`).
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Fault = Literal["killed", "torn", "ENOSPC", "EIO", "short", "full"]
FAULTS: tuple[Fault, ...] = ("killed", "torn", "ENOSPC", "EIO", "short", "full")
"""killed before it; killed with half of a write done; refused once with "no space" or "input/output error"; a write that
did only half, as a system may; half of it done and the disk full from then on."""
OF_WRITES = ("torn", "short", "full")

_KINDS = {"killed": (1, 0), "torn": (2, 0), "ENOSPC": (3, 28), "EIO": (3, 5), "short": (4, 0), "full": (5, 0)}


@dataclass(frozen=True)
class Operation:
    """One entry of the log; `number` counts those that the system refused by itself, too."""

    number: int
    what: str
    path: str
    second: str
    offset: int
    data: bytes


@dataclass(frozen=True)
class Outcome:
    """How a case ended: "done", "killed", "refused" (one of our errors, with its exit code) or "broken" (a traceback)."""

    how: Literal["done", "killed", "refused", "broken"]
    answer: Any = None
    exit_code: int = 0
    hit: int = 0
    operations: tuple[Operation, ...] = ()

    @property
    def notes(self) -> list[str]:
        """What the work noted down before it ended."""
        return [one.path for one in self.operations if one.what == "note"]


class FaultyDisk:
    """A server that forks a child for each piece of work: functions of the module `scenes`."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "operations.log"
        environment = os.environ | {
            "LD_PRELOAD": str(_compiled(folder)),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TOKENIZERS_PARALLELISM": "false",
        }
        command = [sys.executable, "-c", "import faulty_disk; faulty_disk.serve()"]
        self._server = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End the server."""
        self._server.communicate()

    def run(
        self,
        work: str,
        folder: Path,
        *,
        at: int = 0,
        fault: Fault | None = None,
        bug: str | None = None,
        budget: int = -1,
        links: bool = True,
        **arguments: Any,
    ) -> Outcome:
        """Do `work(folder, **arguments)`, with `fault` at operation number `at` below `folder`, or with only `budget`
        bytes of room there, or without hard `links`; `bug` is planted first (see `seeded_bugs`)."""
        kind, number = _KINDS[fault] if fault else (0, 0)
        case = {"work": work, "folder": str(folder), "at": at, "kind": kind, "errno": number, "bug": bug}
        case |= {"budget": budget, "links": links, "log": str(self._log), "arguments": arguments}
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(case, default=str), file=self._server.stdin, flush=True)
        line = self._server.stdout.readline()
        assert line, "the server has died"
        return Outcome(**json.loads(line), operations=tuple(read_log(self._log)))


def why_not() -> str:
    """Why there can be no faulty disk here, or nothing."""
    if not sys.platform.startswith("linux"):
        return "the faulty disk stands before the system's own calls: Linux only"
    return "" if shutil.which("cc") else "there is no C compiler for the faulty disk"


def _compiled(folder: Path) -> Path:
    library = folder / "faulty_disk.so"
    source = Path(__file__).with_suffix(".c")
    command = ["cc", "-shared", "-fPIC", "-O1", "-U_FORTIFY_SOURCE", "-o", str(library), str(source), "-lpthread"]
    subprocess.run(command, check=True)
    return library


def read_log(path: Path) -> list[Operation]:
    """The entries of a log, up to one that was cut."""
    content, place, found = path.read_bytes(), 0, []
    while (end := content.find(b"\n", place)) >= 0:
        what, *numbers = content[place:end].decode().split()
        number, offset, first, second, length = map(int, numbers)
        place = end + 1
        parts = [content[place : place + first], content[place + first : place + first + second]]
        place += first + second
        found.append(
            Operation(number, what, parts[0].decode(), parts[1].decode(), offset, content[place : place + length])
        )
        place += length
    return found


# -- the server and its children -----------------------------------------------------------------------------------


def serve() -> None:
    """Fork a child for every line that comes, and answer how it ended."""
    scenes = importlib.import_module("scenes")
    scenes.warm_up()
    for line in sys.stdin:
        answer, outcome = tempfile.TemporaryFile(), {"how": "killed"}  # noqa: SIM115
        child = os.fork()
        if child == 0:
            _child(json.loads(line), scenes, answer.fileno())
        os.waitpid(child, 0)
        answer.seek(0)
        outcome |= json.loads(answer.read() or b"{}")
        answer.close()
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()


def _child(case: Mapping[str, Any], scenes: Any, answer: int) -> None:
    """One case in its own process, which never returns."""
    from bajka.errors import BajkaError

    shim = ctypes.CDLL(None)
    log = os.open(case["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if case["bug"]:
        importlib.import_module("seeded_bugs").plant(case["bug"])
    shim.faulty_disk_watch(case["folder"].encode(), log)
    shim.faulty_disk_fail(ctypes.c_long(case["at"]), case["kind"], case["errno"])
    if case["budget"] >= 0:
        shim.faulty_disk_budget(ctypes.c_long(case["budget"]))
    if not case["links"]:
        shim.faulty_disk_refuse_links()
    outcome: dict[str, Any] = {}
    try:
        outcome = {"how": "done", "answer": getattr(scenes, case["work"])(Path(case["folder"]), **case["arguments"])}
    except BajkaError as error:
        outcome = {"how": "refused", "answer": str(error), "exit_code": error.exit_code}
    except BaseException:
        outcome = {"how": "broken", "answer": traceback.format_exc()}
    finally:
        shim.faulty_disk_stop()
        os.write(answer, json.dumps(outcome | {"hit": shim.faulty_disk_hit()}).encode())
        os._exit(0)


def note(text: str) -> None:
    """Put a remark into the log of the child that this is; nothing elsewhere."""
    function = getattr(ctypes.CDLL(None), "faulty_disk_note", None)
    if function is not None:
        function(text.encode())
