"""What a person should know of texts that were read, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from bajka.corpus.document import Corpus

_SHOWN = 10  # files named one by one


def what_was_read(corpus: Corpus) -> Iterator[str]:
    """Counts, notes on files, guessed encodings that are not sure, what was skipped, cleaned and left out."""
    if corpus.news:
        yield corpus.news
    yield f"Read {len(corpus.documents):,} documents, {corpus.bytes:,} bytes, {corpus.letters:,} letters."
    noted = [file for file in corpus.files if file.note]
    for file in noted[:_SHOWN]:
        yield f"  {file.name}: {file.note}"
    if len(noted) > _SHOWN:
        yield f"  ... and notes on {len(noted) - _SHOWN:,} more files; `bajka inspect` lists them all."
    for file in corpus.files:
        if not file.encoding.sure:
            yield f"  UNSURE: {file.name} was read as {file.encoding.name}: {file.encoding.sample}"
    for skipped in corpus.skipped[:_SHOWN]:
        yield f"  Skipped {skipped.name}: {skipped.reason}"
    if len(corpus.skipped) > _SHOWN:
        yield f"  ... and {len(corpus.skipped) - _SHOWN:,} more; `bajka inspect` lists them all."
    if corpus.changes:
        changed = (f"{step} {change.documents:,}" for step, change in corpus.changes.items())
        yield f"Cleaned (documents changed): {', '.join(changed)}."
    for reason, count in corpus.left_out.items():
        yield f"Left out: {count:,} documents, {reason}."
