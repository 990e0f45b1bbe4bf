"""From paths to a corpus, one document at a time: find, read, clean, keep; account of all that was skipped and why.

The documents lie in a folder of their own (store.py). A folder that is kept is named by the content of the files and the
settings, so the same texts are read once; one that a kill left unfinished is gone on with, at the next source.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bajka import durable
from bajka.cleaning import Change
from bajka.config import CleaningSettings, CorpusSettings
from bajka.corpus.document import Corpus
from bajka.corpus.duplicates import find_duplicates, open_kept
from bajka.corpus.gathering import Gathering, gather
from bajka.corpus.selection import Selection
from bajka.corpus.sources import Source, find_sources
from bajka.corpus.store import DocumentStore
from bajka.corpus.unchanged import Inputs, describe, earlier_readings, news_of
from bajka.errors import CorpusError, DamagedFileError, DiskError, SettingsError
from bajka.formats import READABLE, Skipped, parse_overrides
from bajka.progress import Progress, silent

_REASONS_SHOWN = 3
_RESULT = "result.json"


def read_corpus(
    settings: CorpusSettings,
    cleaning: CleaningSettings | None = None,
    *,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Corpus:
    """Every document under `settings.texts`, decoded and cleaned, in sorted order.

    With `keep` (such as data/alice) the documents stay in data/alice-texts-FINGERPRINT/, else in a temporary folder that
    goes with the corpus. A file that gives no text is skipped with a reason. Raises `CorpusError` when a path is
    missing, when a file that was named itself needs a decision (a column, a field, a correct line), or when no text is
    left; `SettingsError` for an `encoding` that is ill-formed or fits no file; `DiskError`.
    """
    cleaning = cleaning or CleaningSettings()
    parse_overrides(settings.encoding)
    if not settings.marker.strip():
        raise SettingsError("The marker is only white space. Give the line that separates documents, such as ---.")
    found = find_sources(settings.texts, progress=progress)
    if keep is not None:
        return _kept(found, settings, cleaning, keep, progress)
    temporary = tempfile.TemporaryDirectory(prefix="bajka-", ignore_cleanup_errors=True)
    folder = Path(temporary.name)
    _fill(folder, found, settings, cleaning, progress, durably=False)
    return _open(folder, owner=temporary)


def _kept(
    found: Sequence[Source | Skipped],
    settings: CorpusSettings,
    cleaning: CleaningSettings,
    keep: Path,
    progress: Progress,
) -> Corpus:
    """The corpus in a folder beside `keep`: opened if these very texts were read before, else read into it."""
    inputs = describe(found, settings, cleaning, progress)
    folder = keep.with_name(f"{keep.name}-texts-{inputs.fingerprint[:8]}")
    with durable.alone(folder, lambda: progress("waiting for another process that reads these texts", 0, 0)):
        news = news_of(inputs, keep)
        if not folder.exists():
            _read_into(folder, found, inputs, settings, cleaning, progress)
            durable.remove_abandoned(folder)
        corpus = _open(folder, news=news)
    for old in earlier_readings(keep):
        if old != folder:
            with suppress(DiskError):  # another process reads it: it goes the next time
                durable.remove_folder(old)
    return corpus


def _read_into(
    folder: Path,
    found: Sequence[Source | Skipped],
    inputs: Inputs,
    settings: CorpusSettings,
    cleaning: CleaningSettings,
    progress: Progress,
) -> None:
    unfinished = folder.with_name(folder.name + durable.TEMPORARY)
    try:
        _fill(unfinished, found, settings, cleaning, progress, durably=True)
    except CorpusError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    inputs.write(unfinished)
    durable.publish_folder(unfinished, folder)


def _fill(
    folder: Path,
    found: Sequence[Source | Skipped],
    settings: CorpusSettings,
    cleaning: CleaningSettings,
    progress: Progress,
    *,
    durably: bool,
) -> None:
    """Read everything into `folder`, and find what stands there more than once."""
    gathering = gather(folder, found, settings, cleaning, progress, durably=durably)
    store = DocumentStore(folder)
    if not len(store):
        raise _nothing(settings, gathering)
    left_out = find_duplicates(store, cleaning, progress)
    durable.write_json(folder / _RESULT, gathering.plain() | {"left_out": {**gathering.left_out, **left_out}})


def _open(folder: Path, *, owner: object = None, news: str = "") -> Corpus:
    """The corpus that `_fill` left in `folder`; `owner` lives as long as its documents."""
    store = DocumentStore(folder, owner=owner)
    numbers, groups = open_kept(folder)
    gathering = Gathering.read(folder / _RESULT)
    rows = store.rows
    if len(numbers) and int(numbers[-1]) >= len(rows):
        raise DamagedFileError(f"The texts kept in {folder} do not fit together. Delete it: the texts are read again.")
    ends = rows["end"].astype(np.int64)
    sizes = ends - np.append(0, ends[:-1])
    return Corpus(
        Selection(store, numbers),
        gathering.files,
        gathering.skipped,
        sizes=sizes[numbers],
        lengths=rows["characters"][numbers].astype(np.int64),
        letter_counts=rows["letters"][numbers].astype(np.int64),
        digests=np.frombuffer(rows["key"][numbers].tobytes().hex().encode("ascii"), dtype="S32"),
        groups=groups,
        changes={step: Change(**change) for step, change in gathering.changes.items()},
        left_out=gathering.left_out,
        news=news,
    )


def _nothing(settings: CorpusSettings, gathering: Gathering) -> CorpusError:
    skipped = gathering.skipped
    if gathering.left_out:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in gathering.left_out.items())
        return CorpusError(f"There is no text left in {' and '.join(settings.texts)}: all documents are {reasons}.")
    if len(skipped) == 1:
        return CorpusError(f"{skipped[0].name} cannot be used: {skipped[0].reason}.")
    where = " and ".join(settings.texts)
    if not skipped:
        return CorpusError(f"There is no text in {where}: the folder is empty. Put files there: {READABLE}.")
    shown = "".join(f"\n  - {one.name}: {one.reason}" for one in skipped[:_REASONS_SHOWN])
    more = f"\n  - and {len(skipped) - _REASONS_SHOWN} more" if len(skipped) > _REASONS_SHOWN else ""
    return CorpusError(f"There is no text in {where}; all {len(skipped)} files were skipped:{shown}{more}")
