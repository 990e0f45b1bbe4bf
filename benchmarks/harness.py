"""What all benchmarks share: results as JSON lines that can be gone on from, programs with a time stamp on every line, medians.

A `Timed` program is run as a person would run it. Its clock begins before the process does; nothing of the program is
changed to measure it: the stamps are those of the lines that it prints.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass
class Timed:
    """What a program printed, each line with the seconds since its start; `seconds` is the whole of it."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    seconds: float = 0.0


def run(
    command: list[str],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    seen: Callable[[float, str], None] = lambda seconds, line: None,
) -> Timed:
    """Run a program to its end; `seen` is called with each line as it comes. A failing one ends the benchmark."""
    found, began = Timed(), time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found.lines.append((time.perf_counter() - began, line.rstrip("\n")))
            seen(*found.lines[-1])
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
    found.seconds = time.perf_counter() - began
    if code:
        tail = "\n".join(line for _, line in found.lines[-25:])
        sys.exit(f"{' '.join(command)}\nended with {code}:\n{tail}")
    return found


def python(*words: object) -> list[str]:
    """A command line of this Python."""
    return [sys.executable, *map(str, words)]


def cold(folder: Path, *, threads: int | None = None) -> dict[str, str]:
    """An environment whose caches are empty: compiled code, and whatever a program keeps in the user's cache folder."""
    found = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "XDG_CACHE_HOME": str(folder / "user-cache")}
    return found | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})


class Results:
    """Runs that were made, one JSON line each; what is recorded with the same script, name and settings is not repeated."""

    def __init__(self, path: Path | None, script: str) -> None:
        self.path, self.script = path, script
        self.lines = read_lines(path)

    def once(self, name: str, settings: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What was measured for these settings, now or in an earlier sitting."""
        key = json.loads(json.dumps({"script": self.script, "name": name, "settings": dict(settings)}))
        for line in self.lines:
            if all(line.get(part) == value for part, value in key.items()):
                print(f"{name}: recorded on {line['date']}, not repeated", flush=True)
                return line
        found = json.loads(json.dumps(key | dict(measure()) | {"machine": machine(), "date": now()}))
        self.lines.append(found)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
        return found  # type: ignore[no-any-return]


def read_lines(path: Path | None) -> list[dict[str, Any]]:
    """The recorded lines of a file that may not be there yet."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def now() -> str:
    """The local date and minute."""
    return datetime.datetime.now().astimezone().isoformat(timespec="minutes")


def machine() -> dict[str, Any]:
    """Processor, cores, load after the measurement, and versions: what a figure depends on."""
    import torch

    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text(encoding="utf-8").splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }


def code() -> str:
    """Eight digits that change with any line of bajka or of its data, and of these benchmarks: a result of other code is never
    taken for one of this."""
    spec = importlib.util.find_spec("bajka")
    assert spec is not None, "bajka is not installed here: run this with the project's Python"
    assert spec.origin is not None
    package = Path(spec.origin).parent
    data = (path for ending in ("json", "toml") for path in package.rglob(f"*.{ending}"))
    return digest_of([*package.rglob("*.py"), *data, *HERE.glob("*.py")])


def text_key(text: Path) -> str:
    """The name of a text or folder of texts, and eight digits of what it holds."""
    return f"{text.stem} {digest_of(path for path in [text, *text.rglob('*')] if path.is_file())}"


def peer_key(checkout: Path | None) -> str:
    """Eight digits of the programs of nanoGPT's checkout; without one, of the other peers' programs, which stand here."""
    return digest_of(HERE.glob("peer_*.py") if checkout is None else checkout.rglob("*.py"))


def digest_of(files: Iterable[Path]) -> str:
    """Eight digits of the names and contents of files."""
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def parser(about: str | None) -> argparse.ArgumentParser:
    """A command line with the options that every benchmark has."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--results", type=Path, help="JSON lines to append to, and to go on from")
    found.add_argument("--rounds", type=int, default=1, help="how often each is measured, in turn")
    return found


def medians(lines: list[dict[str, Any]], *names: str) -> dict[str, float]:
    """The median of each of these figures over the lines that have it."""
    found = {}
    for name in names:
        values = [line[name] for line in lines if line.get(name) is not None]
        if values:
            found[name] = statistics.median(values)
    return found


def show(name: str, line: Mapping[str, Any]) -> None:
    """One measured run as a line for people."""
    figures = {key: value for key, value in line.items() if isinstance(value, int | float)}
    print(f"{name:34}  " + "  ".join(f"{key} {value:,.4g}" for key, value in figures.items()), flush=True)
