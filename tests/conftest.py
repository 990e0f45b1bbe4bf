"""One thread for torch in tests: small models are faster so, and results do not depend on the machine's cores."""

from __future__ import annotations

import os
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
    """Fixed examples, unless the torture is asked for."""
    settings.load_profile("drawn" if config.getoption("markexpr") == "torture" else "fixed")


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
