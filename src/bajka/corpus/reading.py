"""From paths to a corpus: find the files, read each, and keep account of what was skipped and why."""

from __future__ import annotations

from bajka.config import CorpusSettings
from bajka.corpus.document import Corpus, FileFacts, Skipped, UnreadableError
from bajka.corpus.encodings import Override, parse_overrides
from bajka.corpus.readers import read_file
from bajka.corpus.sources import READABLE, Source, find_sources
from bajka.errors import CorpusError, SettingsError

_REASONS_SHOWN = 3


def read_corpus(settings: CorpusSettings) -> Corpus:
    """Every document under `settings.texts`, decoded and cleaned, in sorted order.

    A file that gives no text is skipped with a reason. Raises `CorpusError` when a path is missing, when a file that
    was named itself needs a decision (a column, a field, a correct line), or when no text is left; `SettingsError` for
    an `encoding` that is ill-formed or fits no file.
    """
    overrides = parse_overrides(settings.encoding)
    if not settings.marker.strip():
        raise SettingsError("The marker is only white space. Give the line that separates documents, such as ---.")
    found = find_sources(settings.texts)
    _check_overrides(overrides, found)
    corpus = Corpus([], [], [])
    for source in found:
        if isinstance(source, Skipped):
            corpus.skipped.append(source)
        else:
            _add(source, corpus, settings, encoding=_overruled(source, overrides))
    if not corpus.documents:
        raise _nothing(settings, corpus.skipped)
    return corpus


def _add(source: Source, corpus: Corpus, settings: CorpusSettings, *, encoding: str | None) -> None:
    """Read one file into the lists of `corpus`."""
    try:
        content = read_file(source, settings, encoding=encoding)
    except UnreadableError as problem:
        if source.named and problem.asks:
            raise _unusable(source.name, problem.reason) from problem
        corpus.skipped.append(Skipped(source.name, problem.reason))
        return
    corpus.documents.extend(content.documents)
    corpus.files.append(
        FileFacts(
            path=str(source.path),
            name=source.name,
            bytes=content.bytes,
            encoding=content.encoding,
            documents=len(content.documents),
            note=content.note,
        )
    )


def _overruled(source: Source, overrides: list[Override]) -> str | None:
    """The encoding of the last pattern that fits."""
    return next((override.encoding for override in reversed(overrides) if override.matches(*source.names)), None)


def _check_overrides(overrides: list[Override], found: list[Source | Skipped]) -> None:
    sources = [source for source in found if isinstance(source, Source)]
    for override in overrides:
        if sources and not any(override.matches(*source.names) for source in sources):
            raise SettingsError(
                f'The encoding pattern "{override.pattern}" fits none of the {len(sources)} files, such as '
                f"{sources[0].name}. Correct it, or write *={override.encoding} for all files."
            )


def _nothing(settings: CorpusSettings, skipped: list[Skipped]) -> CorpusError:
    if len(skipped) == 1:
        return _unusable(skipped[0].name, skipped[0].reason)
    where = " and ".join(settings.texts)
    if not skipped:
        return CorpusError(f"There is no text in {where}: the folder is empty. Put files there: {READABLE}.")
    shown = "".join(f"\n  - {one.name}: {one.reason}" for one in skipped[:_REASONS_SHOWN])
    more = f"\n  - and {len(skipped) - _REASONS_SHOWN} more" if len(skipped) > _REASONS_SHOWN else ""
    return CorpusError(f"There is no text in {where}; all {len(skipped)} files were skipped:{shown}{more}")


def _unusable(name: str, reason: str) -> CorpusError:
    return CorpusError(f"{name} cannot be used: {reason}.")
