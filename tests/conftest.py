"""One thread for torch in tests: small models are faster so, and results do not depend on the machine's cores."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

# The same examples on every run: a red test is about the change, not about luck. `make torture` draws new ones.
settings.register_profile("fixed", derandomize=True)
settings.register_profile("drawn", derandomize=False, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    """Fixed examples, unless the torture is asked for; signals as in a terminal."""
    _hear_signals()
    settings.load_profile("drawn" if config.getoption("markexpr") == "torture" else "fixed")


def _hear_signals() -> None:
    """Under nohup or behind a shell's "&" signals are ignored, and children inherit that: runs here shall hear them."""
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all faults that tests injected (`record_property("injected", 60)`) and that were survived."""
    totals: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name in ("injected", "survived") and report.when == "call":
                    totals[name] += value
    if totals:
        terminalreporter.write_line(f"faults: {totals['injected']:,} injected, {totals['survived']:,} survived")
