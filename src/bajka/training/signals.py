"""Ctrl-C, SIGTERM and a closed terminal while training: the first is noted and obeyed at the next step.

A Ctrl-C after it ends at once. Other repetitions mean no more than the first: who closes a terminal sends SIGHUP twice,
the system once and the shell once, and a machine that shuts down sends SIGTERM and SIGHUP.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

_OBEYED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has SIGBREAK instead of SIGHUP


class Signals:
    """While entered, `received` is the number of the first signal (which may have come before), or 0.

    Outside the main thread nothing is caught, and what was ignored before stays so (`nohup` ignores SIGHUP).
    """

    def __init__(self, received: int = 0) -> None:
        self.received = received
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            numbers = [int(getattr(signal, name)) for name in _OBEYED if hasattr(signal, name)]
            for number in (one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number
