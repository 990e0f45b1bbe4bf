"""What `bajka inspect` says about the texts, as plain data: the command line draws it, `model_dump_json` writes it."""

from __future__ import annotations

import statistics
from collections import Counter

from pydantic import BaseModel, ConfigDict

from bajka.corpus.characters import script_shares
from bajka.corpus.document import Corpus
from bajka.corpus.split import Split

_ENOUGH = (
    (100_000, "very little: a model will mostly learn these texts by heart; good for trying the tool out"),
    (1_000_000, "little, about a book: words, names and the sound of the text, and much learnt by heart"),
    (5_000_000, "a few books: mostly grammatical sentences in their style, with little that holds together"),
    (30_000_000, "a shelf of books: sentences and short passages in their style; simple stories hold together best"),
)
_ENOUGH_AND_MORE = "plenty for a small model: passages that stay on their subject; time and model size become the limit"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class UnsureEncoding(_Row):
    """A file whose encoding was guessed without being sure, with a line of it for a person to judge."""

    name: str
    encoding: str
    instead: str
    sample: str


class Lengths(_Row):
    """Lengths of the documents, in characters."""

    shortest: int
    median: float
    mean: float
    longest: int


class Duplicates(_Row):
    """Documents whose text stands in an earlier document, and their share of all documents."""

    documents: int
    share: float


class SkippedFile(_Row):
    """A file that gave no text, and why."""

    name: str
    reason: str


class SplitFacts(_Row):
    """The two sides, in documents and UTF-8 bytes; `dropped` documents are in neither."""

    how: str
    same_book: bool
    train_documents: int
    train_bytes: int
    validation_documents: int
    validation_bytes: int
    dropped: int


class CorpusReport(_Row):
    """The facts of a corpus; shares are between 0 and 1, `bytes` are UTF-8 bytes of the cleaned text."""

    files: int
    documents: int
    bytes: int
    characters: int
    letters: int
    words: int
    encodings: dict[str, int]
    unsure: tuple[UnsureEncoding, ...]
    scripts: dict[str, float]
    lengths: Lengths
    duplicates: Duplicates
    notes: dict[str, int]
    skipped: tuple[SkippedFile, ...]
    split: SplitFacts | None
    enough_for: str


def inspect_corpus(corpus: Corpus, split: Split | None = None) -> CorpusReport:
    """The report of a corpus that has documents; `split` is None when the texts could not be split.

    `words` are counted between white space, so they mean little in scripts that write without it. `notes` says what
    the readers had to choose or leave out, with the number of files.
    """
    duplicates = corpus.duplicates
    return CorpusReport(
        files=len(corpus.files),
        documents=len(corpus.documents),
        bytes=corpus.bytes,
        characters=sum(corpus.characters.values()),
        letters=corpus.letters,
        words=sum(len(document.text.split()) for document in corpus.documents),
        encodings=dict(Counter(file.encoding.name for file in corpus.files).most_common()),
        unsure=_unsure(corpus),
        scripts=script_shares(corpus.characters),
        lengths=_lengths(corpus),
        duplicates=Duplicates(documents=duplicates, share=duplicates / len(corpus.documents)),
        notes=dict(Counter(file.note for file in corpus.files if file.note).most_common()),
        skipped=tuple(SkippedFile(name=one.name, reason=one.reason) for one in corpus.skipped),
        split=_split_facts(split) if split else None,
        enough_for=enough_for(corpus.bytes),
    )


def enough_for(size: int) -> str:
    """A sentence on what `size` bytes of text teach a small model from scratch: rough guidance, not a measurement."""
    text = next((said for limit, said in _ENOUGH if size < limit), _ENOUGH_AND_MORE)
    return f"{text[0].upper()}{text[1:]} (rough guidance)."


def _unsure(corpus: Corpus) -> tuple[UnsureEncoding, ...]:
    return tuple(
        UnsureEncoding(
            name=file.name,
            encoding=file.encoding.name,
            instead=file.encoding.instead,
            sample=file.encoding.sample,
        )
        for file in corpus.files
        if not file.encoding.sure
    )


def _lengths(corpus: Corpus) -> Lengths:
    lengths = [len(document.text) for document in corpus.documents]
    return Lengths(
        shortest=min(lengths),
        median=statistics.median(lengths),
        mean=statistics.fmean(lengths),
        longest=max(lengths),
    )


def _split_facts(split: Split) -> SplitFacts:
    return SplitFacts(
        how=split.how,
        same_book=split.same_book,
        train_documents=len(split.train),
        train_bytes=split.train_bytes,
        validation_documents=len(split.validation),
        validation_bytes=split.validation_bytes,
        dropped=split.dropped,
    )
