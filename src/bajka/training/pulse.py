"""Whether the last sitting of a run died for lack of memory: on a CPU that is a SIGKILL, and nobody gets to say a word.

While a session trains, `sitting.json` in the run folder says every few seconds how much memory is left; it goes when
the session ends in any orderly way, errors included. A file that is still there at the next start belonged to a
process that was killed; what it says last tells whether memory was the reason. Other kills change nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bajka.checkpoint.run_folder import RunFolder
from bajka.container import memory_left, out_of_memory_kills
from bajka.errors import PeerError

_SECONDS = 2.0
_SCARCE = 0.06  # share of all memory that is left when a process is about to be killed


class Pulse:
    """While entered, `sitting.json` of a run tells how it goes; it is a hint and not made durable. Of the processes of a job
    one does, the others are `silent`; when one of them was killed, it stays.
    """

    def __init__(
        self,
        run: RunFolder,
        *,
        expected_bytes: int,
        silent: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.file, self._silent, self._now, self._last = _file(run), silent, now, -1e9
        self._facts: dict[str, Any] = {
            "expected_bytes": expected_bytes,
            "left_at_start": memory_left()[0],
            "kills": out_of_memory_kills(),
        }

    def __enter__(self) -> Pulse:
        self.beat(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self._silent and not (kind is not None and issubclass(kind, PeerError)):  # which may have been killed
            self._remove()

    def beat(self, steps: int) -> None:
        """`steps` updates of this sitting are done; written down at most every two seconds."""
        if self._silent or self._now() - self._last < _SECONDS:
            return
        self._last = self._now()
        left, whole = memory_left()
        text = json.dumps(self._facts | {"steps": steps, "left": left, "whole": whole})
        try:
            self.file.write_text(text, encoding="utf-8")
        except OSError:  # a full disk is told by what matters
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def died_of_memory(run: RunFolder) -> bool:
    """Whether the last sitting was killed while memory was short: the system counted a kill, little was left, or not
    one step was done by a model that needs more than half of what was free."""
    try:
        facts = json.loads(_file(run).read_text(encoding="utf-8"))
        if os.name != "nt" and out_of_memory_kills() > facts["kills"]:
            return True
        if facts["steps"] == 0 and facts["expected_bytes"] > facts["left_at_start"] / 2:
            return True
        return bool(facts["left"] < _SCARCE * facts["whole"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _file(run: RunFolder) -> Path:
    return run.path / "sitting.json"
