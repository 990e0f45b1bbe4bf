"""What is held out for validation: decided before the tokenizer, never by minutes, seed or vocabulary.

Many short documents: whole ones, chosen by a hash of their text, so adding files moves nobody and equal texts land
together. Few or long ones: the tail of each long document, at a paragraph ("same book").
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from bajka.config import CorpusSettings
from bajka.corpus.cutting import cut_near
from bajka.corpus.document import Corpus, Document, bytes_of, text_key
from bajka.errors import CorpusError

MANY_DOCUMENTS = 200
LARGEST_SHARE = 0.02
"""With at least `MANY_DOCUMENTS` different texts, none above this share of the bytes, whole documents are held out."""
SMALL, MIDDLE, LARGEST_VALIDATION = 5_000_000, 50_000_000, 5_000_000  # bytes
SHORTEST_TAIL = 200  # characters: a shorter tail says nothing about a text, so its document stays whole
LONG_ENOUGH = 0.25  # share of the text in long documents, below which their tails would be too little


@dataclass(frozen=True, slots=True)
class Split:
    """Training and validation documents; `how` is a sentence, `same_book` warns that both come from the same texts.

    `dropped` counts documents left out of training because their text stands in validation.
    """

    train: list[Document]
    validation: list[Document]
    how: str
    same_book: bool
    share: float
    dropped: int = 0

    @property
    def train_bytes(self) -> int:
        """UTF-8 bytes of the training text."""
        return bytes_of(self.train)

    @property
    def validation_bytes(self) -> int:
        """UTF-8 bytes of the validation text."""
        return bytes_of(self.validation)


def split_documents(corpus: Corpus, settings: CorpusSettings) -> Split:
    """The split that `settings.split` and `settings.validation_share` ask for, by default worked out from the corpus.

    A pure function of the texts and these two settings. Raises `CorpusError` when a side would be empty.
    """
    share = settings.validation_share or default_share(corpus.bytes)
    match settings.split:
        case "documents":
            split = _by_documents(corpus, share, "as asked")
        case "tail":
            split = _by_tails(corpus, share, "as asked")
        case "characters":
            split = _by_characters(corpus, share)
        case "auto":
            split = _automatic(corpus, share)
    split = _without_leaks(split)
    _check(split)
    return split


def default_share(size: int) -> float:
    """Share held out of `size` bytes: 10 % below 5 MB, then 5 %, halved until at most 5 MB are held out.

    Halving (rather than 5 MB exactly) keeps the share, and so the place of every document, while a corpus grows.
    """
    if size < SMALL:
        return 0.1
    share = 0.05
    while size > MIDDLE and share * size > LARGEST_VALIDATION:
        share /= 2
    return share


def _automatic(corpus: Corpus, share: float) -> Split:
    sizes = _sizes_by_text(corpus)
    largest = max(sizes.values()) / corpus.bytes
    if len(sizes) >= MANY_DOCUMENTS and largest <= LARGEST_SHARE:
        return _by_documents(corpus, share, f"{len(sizes):,} different documents, none above {_percent(LARGEST_SHARE)}")
    long = sum(len(document.text) for document in corpus.documents if _is_long(document, share))
    if len(sizes) > 1 and long < LONG_ENOUGH * sum(len(document.text) for document in corpus.documents):
        return _by_documents(corpus, share, f"{len(sizes):,} documents too short to be cut")
    why = (
        f"fewer than {MANY_DOCUMENTS}" if len(sizes) < MANY_DOCUMENTS else f"one holds {_percent(largest)} of the text"
    )
    return _by_tails(corpus, share, f"{len(sizes):,} different document{'s' * (len(sizes) > 1)}, {why}")


def _sizes_by_text(corpus: Corpus) -> dict[str, int]:
    """UTF-8 bytes of each different text, its copies together."""
    sizes: defaultdict[str, int] = defaultdict(int)
    for key, document in zip(corpus.keys, corpus.documents, strict=True):
        sizes[key] += len(document.text.encode("utf-8"))
    return sizes


def _by_documents(corpus: Corpus, share: float, why: str) -> Split:
    """Texts whose hash, as a number in [0, 1), is below `share`; at least the one with the lowest."""
    limit = max(share, min(map(_place, corpus.keys)) + 2**-48)
    train: list[Document] = []
    validation: list[Document] = []
    for key, document in zip(corpus.keys, corpus.documents, strict=True):
        (validation if _place(key) < limit else train).append(document)
    how = f"{len(validation):,} whole documents (about {_percent(share)}) held out by a hash of their text ({why})"
    return Split(train, validation, how, same_book=False, share=share)


def _place(key: str) -> float:
    return int(key[:12], 16) / 2**48


def _by_tails(corpus: Corpus, share: float, why: str) -> Split:
    """The last `share` of every long document; when none is long, of the longest."""
    longest = max(corpus.documents, key=lambda document: len(document.text))
    train, validation = [], []
    for document in corpus.documents:
        if not (_is_long(document, share) or document is longest):
            train.append(document)
            continue
        tail = len(document.text) * share
        place = cut_near(document.text, int(len(document.text) - tail), within=max(1, int(tail / 2)))
        train.append(replace(document, text=document.text[:place]))
        validation.append(_tail(document, place))
    whose = f"{len(validation):,} long documents" if len(validation) > 1 else validation[0].name.removesuffix(" (tail)")
    how = f"the last {_percent(share)} of {whose} held out, cut at a paragraph if it has any: the same book ({why})"
    return Split(_filled(train), _filled(validation), how, same_book=True, share=share)


def _is_long(document: Document, share: float) -> bool:
    return len(document.text) * share >= SHORTEST_TAIL


def _by_characters(corpus: Corpus, share: float) -> Split:
    """Exactly the last `share` of all characters in order, nanoGPT's rule: a document at the cut is cut in two."""
    total = sum(len(document.text) for document in corpus.documents)
    left = int(total * (1 - share))
    train, validation = [], []
    for document in corpus.documents:
        here = min(max(left, 0), len(document.text))
        train.append(replace(document, text=document.text[:here]))
        validation.append(_tail(document, here) if here else document)
        left -= len(document.text)
    cut = total - int(total * (1 - share))
    how = f"exactly the last {cut:,} of {total:,} characters held out, as asked"
    same_book = any(0 < len(one.text) < len(all_.text) for one, all_ in zip(train, corpus.documents, strict=True))
    return Split(_filled(train), _filled(validation), how, same_book=same_book, share=share)


def _tail(document: Document, place: int) -> Document:
    return replace(document, text=document.text[place:], name=f"{document.name} (tail)")


def _filled(documents: list[Document]) -> list[Document]:
    """Without the documents of which nothing is left."""
    return [document for document in documents if document.text]


def _without_leaks(split: Split) -> Split:
    """Training texts that stand in validation too are dropped from training, never the other way."""
    held_out = {text_key(document.text) for document in split.validation}
    train = [document for document in split.train if text_key(document.text) not in held_out]
    return replace(split, train=train, dropped=len(split.train) - len(train))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _check(split: Split) -> None:
    for side, documents in (("training", split.train), ("validation", split.validation)):
        if not any(document.text.strip() for document in documents):
            raise CorpusError(
                f"Nothing is left for {side} ({split.how}). Give more or longer texts, "
                f"another --validation-share (now {split.share:.3g}), or another --split."
            )
