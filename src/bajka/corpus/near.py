"""Near-duplicates: documents that share most of their shingles, whatever their case, punctuation and line breaks.

A token is a word, or four letters in a row where a script writes no spaces; a shingle is a hash of five tokens in a
row. A sketch holds 64 samples of a document's shingles, so that two sketches agree in about as many places as the
share of shingles that the documents have in common (Broder 1997). Documents whose sketches agree in a whole band of
places are compared exactly, so an unlucky sketch can hide a pair but never join two different texts.
"""

from __future__ import annotations

import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bajka.progress import Progress, silent

SKETCH_SIZE = 64
WORDS = 5  # tokens of a shingle
LETTERS = 4  # letters of a token where no spaces are written: a shingle covers eight of them
EMPTY = np.uint32(0xFFFFFFFF)  # all that is in the sketch of a document without letters

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_PIECE = 250_000  # characters worked on at once
_CODES = 0x40000  # letters stand below this code point
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),  # Han, here and in the last three
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # narrow kana
    (0x20000, 0x3FFFF),
)
_WORD, _RUN = 1, 2  # kinds of letters: of words, and of scripts without spaces
_BASE = np.uint64(0x9E3779B97F4A7C15)
_SCATTERED_TURNS = 16
_LEADERS = 4  # documents of a bucket that the others are compared with
_DOUBT = 3.0  # standard deviations by which a sketch may understate the similarity
_CACHED = 8_000_000  # shingles kept for comparing, 64 MB


def sketch(text: str) -> NDArray[np.uint32]:
    """The MinHash signature of a text, shape (SKETCH_SIZE,): the same on every machine."""
    return np.asarray(sketches([text])[0])


def sketches(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The signature of each text, shape (texts, SKETCH_SIZE); for short texts far faster than one by one.

    Each place holds the smallest hash among the shingles that fell into it. Places that none fell into are filled by
    hashing all shingles again with another seed, in the end by a seed for that place alone: so short texts are
    sampled as well as long ones (Dahlgaard, Knudsen, Thorup 2017, "Fast Similarity Sketching"). The number of the
    turn stands in the highest bits, so that the least of two sketches is the sketch of both texts together.
    """
    if not texts:
        return np.zeros((0, SKETCH_SIZE), dtype=np.uint32)
    pieces = [_pieces(text) for text in texts]
    parts = np.concatenate([_sketched(batch) for batch in _batches(list(chain.from_iterable(pieces)))])
    counts = np.array([len(some) for some in pieces])
    return np.minimum.reduceat(parts, np.cumsum(counts) - counts)


def near_duplicate_groups(
    sketches: NDArray[np.uint32],
    text_of: Callable[[int], str],
    *,
    similarity: float,
    progress: Progress = silent,
) -> Places:
    """For each document the number of the first document of its group, its own when it is alone; shape (documents,).

    Documents with at least `similarity` of their shingles in common (Jaccard) are in one group, and so are those that
    are joined by others. Those shorter than a shingle must be equal but for case and punctuation; those without
    letters are alone.
    """
    first = np.arange(len(sketches))
    least = SKETCH_SIZE * (similarity - _DOUBT * np.sqrt(similarity * (1 - similarity) / SKETCH_SIZE))
    rows = 4 if similarity >= 0.7 else 2  # finds 99 % of the pairs at 0.7, with two rows 95 % of those at 0.3
    texts = _Texts(text_of)
    for begin in range(0, SKETCH_SIZE, rows):
        progress("looking for near-duplicates", begin * len(first) // SKETCH_SIZE, len(first))
        members, buckets = _crowded(*_sorted_by_bucket(sketches[:, begin : begin + rows]))
        for _ in range(_LEADERS):
            if not len(members):
                break
            leaders = _leaders(members, buckets)
            near = first[members] == first[leaders]
            for place in _likely(sketches, members, leaders, ~near, least):
                one, other = int(leaders[place]), int(members[place])
                near[place] = _find(first, one) == _find(first, other) or texts.similarity(one, other) >= similarity
                if near[place]:
                    _join(first, one, other)
            _flatten(first)
            members, buckets = _crowded(members[~near], buckets[~near])
    progress("looking for near-duplicates", len(first), len(first))
    return first


def shingles(text: str) -> Hashes:
    """The different shingles of a text as sorted hashes; one for a text of fewer than `WORDS` tokens."""
    return np.unique(np.concatenate([_shingles([piece])[0] for piece in _pieces(text)]))


class _Texts:
    """Compares texts by their shingles, which are kept for those that were compared last."""

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self._kept: OrderedDict[int, Hashes] = OrderedDict()
        self._size = 0

    def similarity(self, one: int, other: int) -> float:
        """Share of all their shingles that two documents have in common (Jaccard), at least one having some."""
        ours, theirs = self._shingles(one), self._shingles(other)
        common = len(np.intersect1d(ours, theirs, assume_unique=True))
        return common / (len(ours) + len(theirs) - common)

    def _shingles(self, number: int) -> Hashes:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        found = self._kept[number] = shingles(self._text_of(number))
        self._size += len(found)
        while self._size > _CACHED and len(self._kept) > 1:
            self._size -= len(self._kept.popitem(last=False)[1])
        return found


def _sorted_by_bucket(band: NDArray[np.uint32]) -> tuple[Places, Hashes]:
    """Documents ordered by the hash of their part of the sketch, then by number; without those that have no letters."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = _mixed(keys + column)
    members = np.flatnonzero(band[:, 0] != EMPTY)
    members = members[np.argsort(keys[members], kind="stable")]
    return members, keys[members]


def _crowded(members: Places, buckets: Hashes) -> tuple[Places, Hashes]:
    """Without the buckets that hold a single document."""
    new = _changes(buckets)
    crowded = ~(new & np.append(new[1:], True)[: len(new)])
    return members[crowded], buckets[crowded]


def _leaders(members: Places, buckets: Hashes) -> Places:
    """For each member the first one of its bucket."""
    starts = np.flatnonzero(_changes(buckets))
    return np.repeat(members[starts], np.diff(starts, append=len(members)))


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value is not the one before it; the first always is."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def _likely(
    sketches: NDArray[np.uint32], members: Places, leaders: Places, asked: NDArray[np.bool_], least: float
) -> Iterator[int]:
    """Places among those `asked` where the sketches of member and leader agree in at least `least` values."""
    places = np.flatnonzero(asked)
    for begin in range(0, len(places), 20_000):
        some = places[begin : begin + 20_000]
        agreeing = (sketches[members[some]] == sketches[leaders[some]]).sum(axis=1)
        yield from some[agreeing >= least].tolist()


def _find(first: Places, number: int) -> int:
    while first[number] != number:
        number = int(first[number])
    return number


def _join(first: Places, one: int, other: int) -> None:
    low, high = sorted((_find(first, one), _find(first, other)))
    first[high] = low


def _flatten(first: Places) -> None:
    """Make every document point at the first one of its group, without steps between."""
    while not np.array_equal(first, further := first[first]):
        first[:] = further


def _pieces(text: str) -> list[str]:
    """A long text in pieces that are worked on one by one; the few shingles across their borders are given up."""
    return [text[at : at + _PIECE] for at in range(0, max(len(text), 1), _PIECE)]


def _batches(pieces: Sequence[str]) -> Iterator[Sequence[str]]:
    """Pieces in runs that have together, with a character between them, at most `_PIECE` characters."""
    begin, size = 0, 0
    for number, piece in enumerate(pieces):
        if size + len(piece) > _PIECE:
            yield pieces[begin:number]
            begin, size = number, 0
        size += len(piece) + 1
    yield pieces[begin:]


def _sketched(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The sketches of one batch."""
    hashes, counts = _shingles(texts)
    result = np.full(len(texts) * SKETCH_SIZE, EMPTY, dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)) * SKETCH_SIZE, counts)
    for turn in range(_SCATTERED_TURNS + SKETCH_SIZE):
        turned = _mixed(hashes + np.uint64(turn * int(_BASE) % 2**64))
        place = (turned >> np.uint64(58)).astype(np.int64) if turn < _SCATTERED_TURNS else turn - _SCATTERED_TURNS
        values = np.uint32(turn << 25) | (turned.astype(np.uint32) >> np.uint32(7))
        np.minimum.at(result, owners + place, values)
        unfinished = (result.reshape(-1, SKETCH_SIZE) == EMPTY).any(axis=1)[owners // SKETCH_SIZE]
        hashes, owners = hashes[unfinished], owners[unfinished]
        if not len(hashes):
            break
    return result.reshape(-1, SKETCH_SIZE)


def _shingles(texts: Sequence[str]) -> tuple[Hashes, Places]:
    """The shingles of all texts in order, and how many each has: one if it has tokens, but too few."""
    tokens, starts = _tokens("\n".join(texts))
    ends = np.cumsum([len(text) + 1 for text in texts])
    counts = np.diff(np.searchsorted(starts, ends), prepend=0)
    windows = np.maximum(counts - WORDS + 1, np.minimum(counts, 1))
    texts_of = np.repeat(np.arange(len(texts)), counts)
    places = np.arange(len(tokens)) + (WORDS - 1) * texts_of
    padded = np.zeros(len(tokens) + (WORDS - 1) * len(texts), dtype=np.uint64)
    padded[places] = tokens
    places_in_text = np.arange(len(tokens)) - (np.cumsum(counts) - counts)[texts_of]
    places = places[places_in_text < windows[texts_of]]
    total = np.zeros(len(places), dtype=np.uint64)
    for step in range(WORDS):
        total = total * _BASE + padded[places + step]
    return _mixed(total), windows


def _tokens(piece: str) -> tuple[Hashes, Places]:
    """The hashes of the tokens and where they begin: differences of running sums of letter * base ** place."""
    codes = np.minimum(np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), dtype=np.uint32), _CODES - 1)
    letters, kinds = _letters()
    kind = kinds[codes]
    edges = np.append(np.flatnonzero(_changes(kind)), len(kind))
    runs = np.flatnonzero(kind[edges[:-1]])
    starts, ends = edges[runs], edges[runs + 1]
    if (kind[starts] == _RUN).any():
        counts = np.where(kind[starts] == _RUN, ends - starts, 1)
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts, ends = np.repeat(starts, counts) + steps, np.repeat(ends, counts)
        ends = np.where(kind[starts] == _RUN, np.minimum(ends, starts + LETTERS), ends)
    powers, inverses = _powers()
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(letters[codes] * powers[: len(codes)], out=sums[1:])
    return _mixed((sums[ends] - sums[starts]) * inverses[starts]), starts


@cache
def _letters() -> tuple[Hashes, NDArray[np.uint8]]:
    """By code point: a hash of the letter in lower case (0 for what is no letter, mark or digit), and its kind."""
    folded, kinds = np.zeros(_CODES, dtype=np.uint64), np.zeros(_CODES, dtype=np.uint8)
    for code in range(_CODES):
        letter = chr(code)
        if letter.isalnum() or unicodedata.category(letter).startswith("M"):
            one = [form for form in (letter.casefold(), letter.lower(), letter) if len(form) == 1]
            folded[code], kinds[code] = ord(one[0]), _WORD
    for low, high in _WITHOUT_SPACES:
        kinds[low : high + 1] *= _RUN
    return np.where(kinds > 0, _mixed(folded), np.uint64(0)), kinds


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Powers of the base and of its inverse modulo 2**64, for every place in a piece."""
    inverse = pow(int(_BASE), -1, 2**64)
    powers = [np.full(_PIECE, base, dtype=np.uint64) for base in (_BASE, np.uint64(inverse))]
    for values in powers:
        values[0] = 1
        np.cumprod(values, out=values)
    return powers[0], powers[1]


def _mixed(values: Hashes) -> Hashes:
    """Values with every bit spread over all bits: the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
