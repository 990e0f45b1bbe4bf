"""Whether texts were read before: files by their content, settings by their values, and what changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.config import CleaningSettings, CorpusSettings
from bajka.corpus.sources import Source
from bajka.formats import Skipped, is_file
from bajka.progress import Progress

FORMAT = 2
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
        try:
            files[name] = durable.sha256_of(source.path)
        except OSError as error:
            files[name] = f"unreadable: {error.strerror}"
        done += source.size()
    settings = corpus.model_dump(mode="json", exclude=_SPLITTING) | cleaning.model_dump(mode="json")
    return Inputs(files, settings, datetime.now().astimezone().isoformat(timespec="seconds"))


def news_of(inputs: Inputs, keep: Path) -> str:
    """What changed since the texts of this name were read last, as a sentence; "" when they never were."""
    earlier = [_read(folder / _FILE) for folder in keep.parent.glob(f"{keep.name}-texts-????????")]
    known = [one for one in earlier if one is not None]
    if not known:
        return ""
    same = next((one for one in known if one.fingerprint == inputs.fingerprint), None)
    if same:
        return f"The texts are as they were on {_day(same.when)}: not read again."
    last = max(known, key=lambda one: one.when)
    return f"Read again, because since {_day(last.when)} {_differences(last, inputs)}."


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
