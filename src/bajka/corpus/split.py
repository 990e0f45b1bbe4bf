"""What is held out for validation and test: decided before the tokenizer, never by minutes, seed or vocabulary.

Many short documents: whole ones, chosen by a hash of their text, so adding files moves nobody and equal texts land
together; validation has the lowest hashes and test the highest, so asking for a test leaves validation as it was.
Few or long ones: the tail of each long document, at a paragraph ("same book"), or of all characters; then the test is
the last part and validation stands before it. Each split is two character places per document: training before the
first, validation between them, test behind the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bajka.config import CorpusSettings
from bajka.corpus.document import Corpus, bytes_of, text_key
from bajka.corpus.selection import Selection
from bajka.errors import CorpusError, SettingsError
from bajka.formats import Document, cut_near

MANY_DOCUMENTS = 200
LARGEST_SHARE = 0.02
"""With at least `MANY_DOCUMENTS` different texts, none above this share of the bytes, whole documents are held out."""
SMALL, MIDDLE, LARGEST_VALIDATION = 5_000_000, 50_000_000, 5_000_000  # bytes
SHORTEST_TAIL = 200  # characters: a shorter tail says nothing about a text, so its document stays whole
LONG_ENOUGH = 0.25  # share of the text in long documents, below which their tails would be too little

LIKE_VALIDATION = "nearly equal to one in validation"
LIKE_TEST = "nearly equal to one in the test"
LIKE_EARLIER = "nearly equal to an earlier one"
HELD_OUT_TOO = "equal to a text that is held out"

Counts = NDArray[np.int64]
Ids = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Split:
    """Training, validation and test documents (no test unless it was asked for).

    `how` is a sentence, `same_book` warns that the sides come from the same texts, `share` is that of validation.
    `left_out` counts, by reason, the documents that are on no side; `sizes` are the UTF-8 bytes of the three sides
    where they are known without reading them.
    """

    train: Sequence[Document]
    validation: Sequence[Document]
    how: str
    same_book: bool
    share: float
    test: Sequence[Document] = ()
    left_out: dict[str, int] = field(default_factory=dict, hash=False)
    sizes: tuple[int, int, int] | None = None

    @property
    def dropped(self) -> int:
        """Documents that are on no side because of another one."""
        return sum(self.left_out.values())

    @property
    def train_bytes(self) -> int:
        """UTF-8 bytes of the training text."""
        return self.sizes[0] if self.sizes else bytes_of(self.train)

    @property
    def validation_bytes(self) -> int:
        """UTF-8 bytes of the validation text."""
        return self.sizes[1] if self.sizes else bytes_of(self.validation)

    @property
    def test_bytes(self) -> int:
        """UTF-8 bytes of the test text."""
        return self.sizes[2] if self.sizes else bytes_of(self.test)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Shares of the text held out; `test` is 0 when none is wanted."""

    validation: float
    test: float

    @property
    def least(self) -> float:
        return min(self.validation, self.test) if self.test else self.validation


@dataclass(frozen=True, slots=True)
class _Cuts:
    """The documents that stay, in order, where in each validation and test begin, and why the others go."""

    numbers: Counts
    validation_begins: Counts
    test_begins: Counts
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Side:
    """Parts of documents: characters from `begins` to before `ends`, with their size in bytes and their id."""

    numbers: Counts
    begins: Counts
    ends: Counts
    sizes: Counts
    ids: Ids

    def without(self, others: Ids) -> _Side:
        """Without the parts whose text is among `others`."""
        clean = ~np.isin(self.ids, others)
        places = self.numbers[clean], self.begins[clean], self.ends[clean]
        return _Side(*places, sizes=self.sizes[clean], ids=self.ids[clean])

    def selection(self, corpus: Corpus, suffix: str) -> Selection:
        return Selection(corpus.documents, self.numbers, self.begins, self.ends, suffix=suffix)


def split_documents(corpus: Corpus, settings: CorpusSettings) -> Split:
    """The split that `settings.split`, `.validation_share` and `.test_share` ask for, else worked out from the corpus.

    A pure function of the texts and these settings; no text is held in memory. Documents that are nearly equal to a
    held-out one are dropped from training, never the other way. Raises `CorpusError` when a side would be empty,
    `SettingsError` when the shares take everything.
    """
    shares = _Shares(settings.validation_share or default_share(corpus.bytes), settings.test_share or 0.0)
    if shares.validation + shares.test >= 1:
        raise SettingsError(
            f"--validation-share {shares.validation:.3g} and --test-share {shares.test:.3g} leave nothing for training. "
            "Choose shares that are less than 1 together."
        )
    match settings.split:
        case "documents":
            split = _by_documents(corpus, shares, "as asked")
        case "tail":
            split = _by_tails(corpus, shares, "as asked")
        case "characters":
            split = _by_characters(corpus, shares)
        case "auto":
            split = _automatic(corpus, shares)
    _check(split, shares)
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


def _automatic(corpus: Corpus, shares: _Shares) -> Split:
    sizes = _sizes_by_text(corpus)
    count, largest = len(sizes), int(sizes.max()) / max(corpus.bytes, 1)
    if count >= MANY_DOCUMENTS and largest <= LARGEST_SHARE:
        return _by_documents(corpus, shares, f"{count:,} different documents, none above {_percent(LARGEST_SHARE)}")
    if count > 1 and corpus.lengths[_are_long(corpus, shares)].sum() < LONG_ENOUGH * corpus.lengths.sum():
        return _by_documents(corpus, shares, f"{count:,} documents too short to be cut")
    why = f"fewer than {MANY_DOCUMENTS}" if count < MANY_DOCUMENTS else f"one holds {_percent(largest)} of the text"
    return _by_tails(corpus, shares, f"{count:,} different document{'s' * (count > 1)}, {why}")


def _sizes_by_text(corpus: Corpus) -> Counts:
    """UTF-8 bytes of each different text, its copies and those nearly equal to it together."""
    _, which = np.unique(_ids(corpus.digests)[corpus.groups], return_inverse=True)
    return np.bincount(which, weights=corpus.sizes).astype(np.int64)


def _by_documents(corpus: Corpus, shares: _Shares, why: str) -> Split:
    """Texts whose hash, as a number in [0, 1), is below the share; at least the one with the lowest."""
    places = (_ids(corpus.digests) >> np.uint64(16)) / 2**48
    validation = places < max(shares.validation, float(places.min()) + 2**-48)
    test = (places >= min(1 - shares.test, float(places.max()))) & ~validation & (shares.test > 0)
    kept, left_out = _without_near_duplicates(corpus.groups, validation, test)
    numbers = np.flatnonzero(kept)
    lengths = corpus.lengths[numbers]
    cuts = _Cuts(
        numbers,
        validation_begins=np.where(validation[numbers] | test[numbers], 0, lengths),
        test_begins=np.where(test[numbers], 0, lengths),
        left_out=left_out,
    )
    share, held_out = _percent(shares.validation), int(validation[kept].sum())
    how = f"{held_out:,} whole documents (about {share}) held out by a hash of their text"
    if shares.test:
        how += f", {int(test.sum()):,} more (about {_percent(shares.test)}) for the test"
    return _split(corpus, cuts, shares, f"{how} ({why})")


def _ids(digests: NDArray[np.bytes_]) -> Ids:
    """The first 16 of the hexadecimal digits of each text as a number: equal texts have equal ids."""
    digits = digests.astype("S16").tobytes().decode("ascii")
    return np.frombuffer(bytes.fromhex(digits), dtype=">u8").astype(np.uint64)


def _without_near_duplicates(
    groups: Counts, validation: NDArray[np.bool_], test: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which whole documents stay, and how many go for what reason: what is held out for longer wins.

    In training the first of a group stays.
    """
    in_test, in_validation = np.zeros(len(groups), dtype=bool), np.zeros(len(groups), dtype=bool)
    in_test[groups[test]] = True
    in_validation[groups[validation]] = True
    train = ~validation & ~test
    like_test = in_test[groups] & ~test
    like_validation = in_validation[groups] & train & ~like_test
    open_ = np.flatnonzero(train & ~like_test & ~like_validation)
    like_earlier = np.zeros(len(groups), dtype=bool)
    like_earlier[np.delete(open_, np.unique(groups[open_], return_index=True)[1])] = True
    counts = {
        LIKE_TEST: int(like_test.sum()),
        LIKE_VALIDATION: int(like_validation.sum()),
        LIKE_EARLIER: int(like_earlier.sum()),
    }
    return ~(like_test | like_validation | like_earlier), {reason: count for reason, count in counts.items() if count}


def _by_tails(corpus: Corpus, shares: _Shares, why: str) -> Split:
    """The last part of every long document; when none is long, of the longest."""
    numbers, left_out = _first_of_each_group(corpus)
    lengths = corpus.lengths[numbers]
    cuts = _Cuts(numbers, lengths.copy(), lengths.copy(), left_out)
    chosen = np.flatnonzero(_are_long(corpus, shares)[numbers])
    if not len(chosen):
        chosen = np.array([lengths.argmax()])
    for place in chosen.tolist():
        text = corpus.documents[int(numbers[place])].text
        cuts.validation_begins[place], cuts.test_begins[place] = _tail_places(text, shares)
    whose = f"{len(chosen):,} long documents" if len(chosen) > 1 else corpus.documents[int(numbers[chosen[0]])].name
    how = f"the last {_percent(shares.validation + shares.test)} of {whose} held out"
    if shares.test:
        how += f", the very last {_percent(shares.test)} for the test"
    return _split(corpus, cuts, shares, f"{how}, cut at a paragraph if it has any: the same book ({why})")


def _tail_places(text: str, shares: _Shares) -> tuple[int, int]:
    """Where validation and test begin in a text; the test at its end when there is none."""
    within = max(1, int(len(text) * shares.least / 2))
    held_out = len(text) * (shares.validation + shares.test)
    validation = cut_near(text, int(len(text) - held_out), within=within)
    if not shares.test:
        return validation, len(text)
    return validation, max(validation, cut_near(text, int(len(text) * (1 - shares.test)), within=within))


def _are_long(corpus: Corpus, shares: _Shares) -> NDArray[np.bool_]:
    return np.asarray(corpus.lengths * shares.least >= SHORTEST_TAIL)


def _by_characters(corpus: Corpus, shares: _Shares) -> Split:
    """Exactly the last share of all characters in order, nanoGPT's rule: a document at the cut is cut in two."""
    numbers, left_out = _first_of_each_group(corpus)
    lengths = corpus.lengths[numbers]
    total, starts = int(lengths.sum()), np.cumsum(lengths) - lengths
    validation = int(total * (1 - shares.validation - shares.test))
    test = int(total * (1 - shares.test))
    begins = [np.clip(place - starts, 0, lengths) for place in (validation, test)]
    cuts = _Cuts(numbers, begins[0], begins[1], left_out)
    how = f"exactly the last {total - validation:,} of {total:,} characters held out"
    if shares.test:
        how += f", the very last {total - test:,} for the test"
    return _split(corpus, cuts, shares, f"{how}, as asked")


def _first_of_each_group(corpus: Corpus) -> tuple[Counts, dict[str, int]]:
    """Numbers of the documents without those nearly equal to an earlier one, and how many those are."""
    numbers = np.flatnonzero(corpus.groups == np.arange(len(corpus.groups)))
    dropped = len(corpus.groups) - len(numbers)
    return numbers, {LIKE_EARLIER: dropped} if dropped else {}


def _split(corpus: Corpus, cuts: _Cuts, shares: _Shares, how: str) -> Split:
    """The three sides; training texts that stand on another side too are dropped, and validation texts in the test."""
    lengths = corpus.lengths[cuts.numbers]
    all_train = _side(corpus, cuts.numbers, np.zeros_like(lengths), cuts.validation_begins)
    all_validation = _side(corpus, cuts.numbers, cuts.validation_begins, cuts.test_begins)
    test = _side(corpus, cuts.numbers, cuts.test_begins, lengths)
    validation = all_validation.without(test.ids)
    train = all_train.without(np.append(all_validation.ids, test.ids))
    leaks = len(all_train.numbers) + len(all_validation.numbers) - len(train.numbers) - len(validation.numbers)
    return Split(
        train.selection(corpus, ""),
        validation.selection(corpus, " (tail)"),
        how=how,
        same_book=any(bool((side.begins > 0).any()) for side in (validation, test)),
        share=shares.validation,
        test=test.selection(corpus, " (end)") if shares.test else (),
        left_out=cuts.left_out | ({HELD_OUT_TOO: leaks} if leaks else {}),
        sizes=(int(train.sizes.sum()), int(validation.sizes.sum()), int(test.sizes.sum())),
    )


def _side(corpus: Corpus, numbers: Counts, begins: Counts, ends: Counts) -> _Side:
    """The parts that hold something; sizes and ids of those that were cut are taken from their texts."""
    some = begins < ends
    numbers, begins, ends = numbers[some], begins[some], ends[some]
    side = _Side(numbers, begins, ends, corpus.sizes[numbers], _ids(corpus.digests[numbers]))
    for place in np.flatnonzero((begins > 0) | (ends < corpus.lengths[numbers])).tolist():
        text = corpus.documents[int(numbers[place])].text[int(begins[place]) : int(ends[place])]
        side.sizes[place] = len(text.encode("utf-8"))
        side.ids[place] = int(text_key(text)[:16], 16)
    return side


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _check(split: Split, shares: _Shares) -> None:
    sides, wish = {"training": split.train, "validation": split.validation}, ""
    if shares.test:
        sides["the test"], wish = split.test, f", another --test-share (now {shares.test:.3g})"
    for side, documents in sides.items():
        if not any(document.text.strip() for document in documents):
            raise CorpusError(
                f"Nothing is left for {side} ({split.how}). Give more or longer texts, "
                f"another --validation-share (now {shares.validation:.3g}){wish}, or another --split."
            )
