"""What `bajka inspect` says about the texts, as plain data: the command line draws it, `model_dump_json` writes it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from pydantic import BaseModel, ConfigDict

from bajka.characters import script_shares
from bajka.corpus.contained import also_in_training
from bajka.corpus.document import Corpus
from bajka.corpus.duplicates import EQUAL
from bajka.corpus.split import Split
from bajka.corpus.words import word_facts
from bajka.formats import Document

_MANY, _EXCERPT_OF_MANY = 500, 40_000  # documents, and characters of each, whose words are counted
_EXCERPTS, _EXCERPT, _PAIRS = 6, 700, 10

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


class LengthBin(_Row):
    """How many documents have at least `least` characters, and fewer than the next bin's."""

    least: int
    documents: int


class Duplicates(_Row):
    """Documents left out because an earlier one is equal, and those that are nearly equal to an earlier one."""

    equal: int
    nearly_equal: int
    examples: tuple[tuple[str, str], ...]


class CleaningStep(_Row):
    """What a step of cleaning did: documents changed, characters removed or altered, and (before, after) excerpts."""

    step: str
    documents: int
    characters: int
    examples: tuple[tuple[str, str], ...]


class Words(_Row):
    """Of a sample: the commonest words, documents by language, words of two alphabets, signs of old spelling."""

    commonest: tuple[tuple[str, int], ...]
    languages: dict[str, int]
    mixed_alphabets: int
    mixed_examples: tuple[str, ...]
    old_spelling: dict[str, tuple[str, ...]]


class Excerpt(_Row):
    """The beginning of a document."""

    name: str
    text: str


class SkippedFile(_Row):
    """A file that gave no text, and why."""

    name: str
    reason: str


class SplitFacts(_Row):
    """The sides, in documents and UTF-8 bytes; `left_out` counts, by reason, documents that are on none.

    `also_in_training` is a sentence on held-out text that training reads inside other documents, "" when it does not.
    """

    how: str
    same_book: bool
    train_documents: int
    train_bytes: int
    validation_documents: int
    validation_bytes: int
    test_documents: int
    test_bytes: int
    left_out: dict[str, int]
    also_in_training: str


class CorpusReport(_Row):
    """The facts of a corpus; shares are between 0 and 1, `bytes` are UTF-8 bytes of the cleaned text.

    `bytes_read` are those of the files (unpacked), `left_out` counts documents by reason.
    """

    files: int
    bytes_read: int
    documents: int
    bytes: int
    characters: int
    letters: int
    words: int
    encodings: dict[str, int]
    unsure: tuple[UnsureEncoding, ...]
    scripts: dict[str, float]
    lengths: Lengths
    histogram: tuple[LengthBin, ...]
    duplicates: Duplicates
    cleaning: tuple[CleaningStep, ...]
    left_out: dict[str, int]
    vocabulary: Words
    excerpts: tuple[Excerpt, ...]
    notes: dict[str, int]
    skipped: tuple[SkippedFile, ...]
    split: SplitFacts | None
    enough_for: str


def inspect_corpus(corpus: Corpus, split: Split | None = None) -> CorpusReport:
    """The report of a corpus that has documents; `split` is None when the texts could not be split.

    `words` are counted between white space, so they mean little in scripts that write without it. `notes` says what
    the readers had to choose or leave out, with the number of files.
    """
    facts = word_facts(document.text[:_EXCERPT_OF_MANY] for document in _spread(corpus.documents, _MANY))
    return CorpusReport(
        files=len(corpus.files),
        bytes_read=sum(file.bytes for file in corpus.files),
        documents=len(corpus.documents),
        bytes=corpus.bytes,
        characters=int(corpus.lengths.sum()),
        letters=corpus.letters,
        words=sum(len(document.text.split()) for document in corpus.documents),
        encodings=dict(Counter(file.encoding.name for file in corpus.files).most_common()),
        unsure=_unsure(corpus),
        scripts=script_shares(corpus.characters),
        lengths=_lengths(corpus),
        histogram=_histogram(corpus),
        duplicates=_duplicates(corpus),
        cleaning=tuple(
            CleaningStep(step=step, documents=one.documents, characters=one.characters, examples=tuple(one.examples))
            for step, one in corpus.changes.items()
        ),
        left_out=corpus.left_out,
        vocabulary=Words(
            commonest=tuple(facts.commonest),
            languages=facts.languages,
            mixed_alphabets=facts.mixed_count,
            mixed_examples=tuple(facts.mixed),
            old_spelling={name: tuple(words) for name, words in facts.old_spelling.items()},
        ),
        excerpts=tuple(
            Excerpt(name=document.name, text=document.text[:_EXCERPT]) for document in _at_random(corpus.documents)
        ),
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
    lengths = corpus.lengths
    return Lengths(
        shortest=int(lengths.min()),
        median=float(np.median(lengths)),
        mean=float(lengths.mean()),
        longest=int(lengths.max()),
    )


def _histogram(corpus: Corpus) -> tuple[LengthBin, ...]:
    """Documents by length, in steps of 1, 2, 5, 10, 20, 50 ..., from the shortest to the longest."""
    edges = [step * 10**power for power in range(10) for step in (1, 2, 5)]
    places = np.searchsorted(edges, corpus.lengths, side="right") - 1
    counts = np.bincount(np.maximum(places, 0), minlength=len(edges))
    filled = np.flatnonzero(counts)
    return tuple(
        LengthBin(least=edges[place], documents=int(counts[place])) for place in range(filled[0], filled[-1] + 1)
    )


def _duplicates(corpus: Corpus) -> Duplicates:
    near = np.flatnonzero(corpus.groups != np.arange(len(corpus.groups)))
    pairs = ((corpus.documents[int(corpus.groups[one])].name, corpus.documents[int(one)].name) for one in near[:_PAIRS])
    return Duplicates(equal=corpus.left_out.get(EQUAL, 0), nearly_equal=len(near), examples=tuple(pairs))


def _spread(documents: Sequence[Document], most: int) -> Iterator[Document]:
    """At most `most` documents, evenly from all."""
    step = max(1, -(-len(documents) // most))
    return (documents[number] for number in range(0, len(documents), step))


def _at_random(documents: Sequence[Document]) -> list[Document]:
    """A few documents, the same ones at every look."""
    numbers = random.Random(0).sample(range(len(documents)), min(_EXCERPTS, len(documents)))
    return [documents[number] for number in sorted(numbers)]


def _split_facts(split: Split) -> SplitFacts:
    return SplitFacts(
        how=split.how,
        same_book=split.same_book,
        train_documents=len(split.train),
        train_bytes=split.train_bytes,
        validation_documents=len(split.validation),
        validation_bytes=split.validation_bytes,
        test_documents=len(split.test),
        test_bytes=split.test_bytes,
        left_out=dict(split.left_out),
        also_in_training=also_in_training(chain(split.validation, split.test), split.train),
    )
