"""Whether texts were read before: files by their content, settings by their values, and what changed since."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.config import CleaningSettings, CorpusSettings
from bajka.corpus.sources import Source, find_sources
from bajka.datasets import is_hub_name
from bajka.errors import CorpusError
from bajka.formats import Skipped, is_file
from bajka.formats.kinds import may_hold_text
from bajka.progress import Progress, silent

FORMAT = 3
"""Raised when reading or cleaning gives other documents for the same files."""
_FILE = "sources.json"
_SPLITTING = {"texts", "split", "validation_share", "test_share"}  # settings that decide nothing about a document
_SHOWN = 3


@dataclass(frozen=True)
class Inputs:
    """What decides the documents: SHA-256 of each file by its name in the reports, and the settings of reading."""

    files: dict[str, str]
    settings: dict[str, Any]
    when: str
    format: int = FORMAT

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits."""
        decisive = json.dumps([self.format, list(self.files.items()), self.settings], sort_keys=True)
        return hashlib.sha256(decisive.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def write(self, folder: Path) -> None:
        """Keep it beside the documents."""
        durable.write_json(folder / _FILE, asdict(self))


def describe(
    found: Sequence[Source | Skipped], corpus: CorpusSettings, cleaning: CleaningSettings, progress: Progress
) -> Inputs:
    """The inputs of a reading; every file is read once for its hash."""
    sources = [one for one in found if isinstance(one, Source) and is_file(one.path)]
    total, done = sum(source.size() for source in sources), 0
    files: dict[str, str] = {}
    for source in sources:
        progress("looking for changes", done, total)
        name = (
            source.name if source.name not in files else f"{source.name} ({len(files)})"
        )  # in two folders of one name
        files[name] = _hash_of(source.path)
        done += source.size()
    settings = corpus.model_dump(mode="json", exclude=_SPLITTING) | cleaning.model_dump(mode="json")
    return Inputs(files, settings, datetime.now().astimezone().isoformat(timespec="seconds"))


def news_of(inputs: Inputs, keep: Path) -> str:
    """What changed since the texts of this name were read last, as a sentence; "" when they never were."""
    known = [one for folder in earlier_readings(keep) if (one := _read(folder / _FILE)) is not None]
    if not known:
        return ""
    same = next((one for one in known if one.fingerprint == inputs.fingerprint), None)
    if same:
        return f"The texts are as they were on {_day(same.when)}: not read again."
    last = max(known, key=lambda one: one.when)
    return f"Read again, because since {_day(last.when)} {_differences(last, inputs)}."


def earlier_readings(keep: Path) -> list[Path]:
    """The folders that hold documents which were read for `keep`: a person's own may have a name like theirs."""
    name = re.compile(rf"{re.escape(keep.name)}-texts-[0-9a-f]{{8}}")
    entries = keep.parent.iterdir() if keep.parent.is_dir() else ()
    return [one for one in entries if name.fullmatch(one.name) and (one / _FILE).is_file()]


def seen_of(texts: Sequence[str], progress: Progress = silent) -> dict[str, Any]:
    """What the files of `texts` look like now, for `changed_since`; datasets of the hub are left out.

    A hash of names and sizes, the newest time of a change (nanoseconds), a hash of names and content.
    """
    files = _files_of(texts)
    return _outside(files) | {"content": _content(files, progress)}


def changed_since(texts: Sequence[str], seen: Mapping[str, Any]) -> bool:
    """Whether the files of `texts` are others than those of `seen_of`; texts that are gone have not changed.

    They are read only when names and sizes are the same, but not the newest change.
    """
    try:
        files = _files_of(texts)
    except CorpusError:
        return False
    outside = _outside(files)
    if outside["sizes"] != seen["sizes"]:
        return True
    return bool(outside["newest"] != seen["newest"] and _content(files) != seen["content"])


def _files_of(texts: Sequence[str]) -> list[Source]:
    """The files that may hold texts: a picture, a README or a page of settings beside them changes nothing."""
    here = tuple(text for text in texts if not is_hub_name(text))
    found = find_sources(here) if here else []
    sources = (one for one in found if isinstance(one, Source) and is_file(one.path))
    return [one for one in sources if one.named or may_hold_text(one.name)]


def _outside(files: Sequence[Source]) -> dict[str, Any]:
    """What is known of files without reading them."""
    newest = max((_changed(one.path) for one in files), default=0)
    return {"sizes": _digest([(_within(one), one.size()) for one in files]), "newest": newest}


def _within(source: Source) -> str:
    """Its name within its folder, which may be called otherwise now."""
    return source.name.partition("/")[2] or source.name


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _content(files: Sequence[Source], progress: Progress = silent) -> str:
    facts, total, done = list[tuple[str, str]](), sum(one.size() for one in files), 0
    for one in files:
        progress("looking for changes", done, total)
        facts.append((_within(one), _hash_of(one.path)))
        done += one.size()
    return _digest(facts)


def _digest(facts: Sequence[tuple[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _hash_of(path: Path) -> str:
    try:
        facts = path.stat()
        return _sha256(os.path.realpath(path), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        return f"unreadable: {error.strerror}"


@lru_cache(maxsize=100_000)
def _sha256(path: str, size: int, changed: int) -> str:
    """The hash of a file; remembered until its size or its time of change is another."""
    return durable.sha256_of(Path(path))


def _differences(old: Inputs, new: Inputs) -> str:
    changed = [name for name in new.files if name in old.files and new.files[name] != old.files[name]]
    added = [name for name in new.files if name not in old.files]
    gone = [name for name in old.files if name not in new.files]
    settings = [name for name in new.settings if new.settings[name] != old.settings.get(name)]
    lists = (("changed", changed), ("new", added), ("gone", gone), ("settings changed", settings))
    said = [f"{what}: {_some(names)}" for what, names in lists if names]
    return "; ".join(said) or "bajka reads texts differently"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _day(when: str) -> str:
    return when[:16].replace("T", " ")


def _read(path: Path) -> Inputs | None:
    try:
        return Inputs(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
