"""One pass over the sources: each is read, its documents cleaned and added to the store, or it is skipped by name."""

from __future__ import annotations

import difflib
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bajka.characters import count_text
from bajka.cleaning import Change, Cleaner, Place
from bajka.config import CleaningSettings, CorpusSettings
from bajka.corpus.document import FileFacts, text_key
from bajka.corpus.sources import Source, printable
from bajka.corpus.store import StoreWriter
from bajka.errors import CorpusError, SettingsError
from bajka.formats import (
    Account,
    Document,
    EncodingGuess,
    Opened,
    Skipped,
    Template,
    UnreadableError,
    cut_near,
    open_path,
    parse_overrides,
    read_opened,
)
from bajka.progress import Progress

_COMMIT_BYTES = 64_000_000
_COMMIT_SECONDS = 30.0
_TELL_SECONDS = 0.2


@dataclass
class Gathering:
    """What is to be said of the sources that were read.

    `changes` are plain forms of `Change` by step, `left_out` counts documents by reason, `patterns` are those of the
    encodings that fitted a file, and `fields` counts, with a template, the documents that have something in a field;
    `columns` are the names of all fields and columns that files have beside the text.
    """

    files: list[FileFacts] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    patterns: list[str] = field(default_factory=list)
    fields: dict[str, int] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)

    def add(self, other: Gathering) -> None:
        """Take in what was gathered from one more source."""
        self.files += other.files
        self.skipped += other.skipped
        for step, change in other.changes.items():
            total = Change(**self.changes.get(step, {}))
            total.add(Change(**change))
            self.changes[step] = asdict(total)
        self.left_out = dict(Counter(self.left_out) + Counter(other.left_out))
        self.patterns = sorted({*self.patterns, *other.patterns})
        self.fields = dict(Counter(self.fields) + Counter(other.fields))
        self.columns = list(dict.fromkeys([*self.columns, *other.columns]))

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Gathering:
        """What `plain` gave."""
        files = [FileFacts(**(one | {"encoding": EncodingGuess(**one["encoding"])})) for one in plain["files"]]
        skipped = [Skipped(**one) for one in plain["skipped"]]
        rest = {name: plain[name] for name in ("changes", "left_out", "patterns", "fields", "columns")}
        return cls(files, skipped, **rest)

    @classmethod
    def read(cls, path: Path) -> Gathering:
        """What was written to a file."""
        return cls.of(json.loads(path.read_text(encoding="utf-8")))


def gather(
    folder: Path,
    found: Sequence[Source | Skipped],
    settings: CorpusSettings,
    cleaning: CleaningSettings,
    progress: Progress,
    *,
    durably: bool,
) -> Gathering:
    """Read every source into the store in `folder`, going on where an earlier start was interrupted."""
    with StoreWriter(folder, sketching=cleaning.near_duplicates) as writer:
        if cleaning.duplicate_paragraphs and writer.entries:  # which paragraphs stood before is not in the journal
            writer.begin_anew()
        gathering = Gathering()
        for entry in writer.entries:
            gathering.add(Gathering.of(entry))
        first = writer.entries[-1]["next"] if writer.entries else 0
        reader = _Reader(writer, settings, cleaning, progress, found)
        recent, since = Gathering(), time.monotonic()
        for number, source in enumerate(found[first:], start=first + 1):
            recent.add(reader.read(source))
            done = reader.full or number == len(found)
            if done or writer.waiting > _COMMIT_BYTES or time.monotonic() - since > _COMMIT_SECONDS:
                writer.commit(recent.plain() | {"next": len(found) if reader.full else number}, durably=durably)
                gathering.add(recent)
                recent, since = Gathering(), time.monotonic()
            if done:
                break
        if not writer.entries:  # no source at all
            writer.commit(recent.plain() | {"next": 0}, durably=durably)
    if not reader.full:  # a pattern may be meant for a file beyond the limit
        _check_patterns(settings, gathering)
    _check_template(settings, gathering)
    return gathering


class _Reader:
    """Reads one source after the other into `writer`; `full` once the limit is reached."""

    def __init__(
        self,
        writer: StoreWriter,
        settings: CorpusSettings,
        cleaning: CleaningSettings,
        progress: Progress,
        found: Sequence[Source | Skipped],
    ) -> None:
        self.writer, self.cleaning, self.progress = writer, cleaning, progress
        self.template = Template.parse(settings.template) if settings.template else None
        self.settings = settings
        self.overrides = parse_overrides(settings.encoding)
        self.cleaner = Cleaner(cleaning)
        self.limit = settings.limit_bytes
        self.full = self.limit is not None and writer.text_bytes >= self.limit
        sizes = {one.path: one.size() for one in found if isinstance(one, Source)}
        self.total, self.done, self.sizes, self.told = sum(sizes.values()), 0, sizes, 0.0

    def read(self, source: Source | Skipped) -> Gathering:
        """What one source gave; its documents are in the store, or none of them."""
        if isinstance(source, Skipped):
            return Gathering(skipped=[source])
        place, gathered = self._place(), Gathering()
        try:
            with closing(open_path(source.path, source.name, named=source.named)) as members:
                for member in members:
                    if isinstance(member, Skipped):
                        gathered.skipped.append(member)
                    else:
                        self._read_member(member, gathered)
                    if self.full:
                        break
        except UnreadableError as problem:
            self._take_back(place)
            if source.named and problem.asks:
                raise CorpusError(f"{source.name} cannot be used: {problem.reason}.") from problem
            gathered = Gathering(skipped=[Skipped(source.name, problem.reason)])
        else:
            gathered.changes = {step: asdict(change) for step, change in self.cleaner.changes.items()}
        self.cleaner.changes.clear()
        self.done += self.sizes.get(source.path, 0)
        self.progress("reading", self.done, self.total)
        return gathered

    def _read_member(self, member: Opened, gathered: Gathering) -> None:
        """Add the documents of one file, or of one member of an archive; `gathered` says what came of it."""
        place, account, counts, fields = self._place(), Account(), Counter[str](), Counter[str]()
        encoding = self._overruled(member, gathered)
        try:
            with closing(read_opened(member, self.settings, account, encoding=encoding)) as documents:
                for document in documents:
                    counts[self._add(document)] += 1
                    if self.template:
                        fields.update(name for name, value in document.fields.items() if value.strip())
                    self._tell(member)
                    if self.full:
                        break
        except UnreadableError as problem:
            if member.named and problem.asks:
                raise
            self._take_back(place)
            gathered.skipped.append(Skipped(member.name, problem.reason))
            return
        kept = counts.pop("", 0)
        gathered.files.append(
            FileFacts(printable(str(member.path)), member.name, member.size, account.encoding, kept, account.note)
        )
        gathered.left_out = dict(Counter(gathered.left_out) + counts)
        gathered.fields = dict(Counter(gathered.fields) + fields)
        others = [name for name in account.columns if self.template and name != account.text_field]
        gathered.columns = list(dict.fromkeys([*gathered.columns, *others]))

    def _place(self) -> tuple[dict[str, int], Place]:
        return self.writer.place, self.cleaner.place

    def _take_back(self, place: tuple[dict[str, int], Place]) -> None:
        """Forget the documents that were added after `place`, and what cleaning knows of them."""
        self.writer.take_back(place[0])
        self.cleaner.take_back(place[1])

    def _add(self, document: Document) -> str:
        """Clean a document and put it into the store; the reason when it was left out, else ""."""
        if self.template:
            document = self.template.apply(document, self.cleaner.clean)
        else:
            document = replace(document, text=self.cleaner.clean(document.text))
        if reason := self._too_short_or_long(document.text):
            return reason
        document = self._within_limit(document)
        if not document.text.strip():
            return "beyond the limit"
        self.writer.add(
            document,
            letters=count_text(document.text)[1],
            key=bytes.fromhex(text_key(document.text)),
        )
        return ""

    def _too_short_or_long(self, text: str) -> str:
        least, most = self.cleaning.minimum_characters, self.cleaning.maximum_characters
        if not text.strip():
            return "empty"
        if least and len(text) < least:
            return f"shorter than {least:,} characters"
        return f"longer than {most:,} characters" if most and len(text) > most else ""

    def _within_limit(self, document: Document) -> Document:
        """The document, or what of it is still wanted, cut at a paragraph: then `full` is set."""
        if self.limit is None:
            return document
        left = self.limit - self.writer.text_bytes
        size = len(document.text.encode("utf-8"))
        self.full = size >= left
        if size <= left:
            return document
        wished = len(document.text.encode("utf-8")[:left].decode("utf-8", "ignore"))
        place = cut_near(document.text, wished, within=max(1, min(wished, 2_000)))
        markers = tuple((at, marker) for at, marker in document.markers if at < place)
        return replace(document, text=document.text[:place], markers=markers)

    def _overruled(self, member: Opened, gathered: Gathering) -> str | None:
        """The encoding of the last pattern that fits a name of the file: as shown, within its folder, its own."""
        names = (member.name, member.name.partition("/")[2] or member.name, member.name.rpartition("/")[2])
        fitting = [override for override in self.overrides if override.matches(*names)]
        gathered.patterns += [override.pattern for override in fitting]
        return fitting[-1].encoding if fitting else None

    def _tell(self, member: Opened) -> None:
        """Say how far the reading is, now and then."""
        now = time.monotonic()
        if now - self.told > _TELL_SECONDS:
            self.told = now
            share = min(1.0, member.file.tell() / member.size) if member.size else 0.0
            self.progress("reading", self.done + int(share * self.sizes.get(member.path, 0)), self.total)


def _check_template(settings: CorpusSettings, gathering: Gathering) -> None:
    """Raise `SettingsError` for a misspelt field: one that no file has, though some have more than the text."""
    there = {name.casefold(): name for name in (*gathering.columns, *gathering.fields)}
    if not settings.template or not there:
        return
    for name in Template.parse(settings.template).fields[:-1]:
        if name.casefold() not in there:
            close = difflib.get_close_matches(name.casefold(), there, n=1, cutoff=0.5)
            hint = f"Did you mean {there[close[0]]}?" if close else f"They have {', '.join(there.values())}."
            raise SettingsError(f"The template names the field {name}, which no document has. {hint}")


def _check_patterns(settings: CorpusSettings, gathering: Gathering) -> None:
    for override in parse_overrides(settings.encoding):
        if gathering.files and override.pattern not in gathering.patterns:
            raise SettingsError(
                f'The encoding pattern "{override.pattern}" fits none of the {len(gathering.files)} files, such as '
                f"{gathering.files[0].name}. Correct it, or write *={override.encoding} for all files."
            )
