"""What the plan needs to know of prepared texts: counts, how predictable they are, their language."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bajka.planning.little import language_of
from bajka.planning.ngrams import COUNTED, ORDERS, foretold, sample_of
from bajka.planning.plan import CorpusFacts
from bajka.tokenizer import Tokenizer
from bajka.tokens.mixture import PARTS, weights_of
from bajka.tokens.store import TokenData, TokenSet

_HELD_OUT = 100_000  # ids of the validation text that are foretold
_COMPARED = 250_000  # ids of the training text that tell whether the held-out text is like it, a tenth of them in ...
_PIECES = 64
_READ = 4_000  # ids that tell the language


def facts_of(
    data: TokenData, others: Sequence[TokenData], shares: Sequence[float], tokenizer: Tokenizer
) -> CorpusFacts:
    """Counts for the plan, when training reads `others` too, in `shares`; how predictable the main text is, and its language.

    Training tokens and documents are what passes by while the main texts are read once: that is an epoch.
    """
    main = weights_of(shares)[0] / PARTS
    ngrams, share = ngrams_of(data.train.ids, data.validation, data.vocab_size)
    unlike, repeated = likeness(
        data.train.ids, data.validation.ids, data.vocab_size, data.validation.bytes_per_token or 1.0
    )
    return CorpusFacts(
        train_tokens=round(len(data.train) / main),
        validation_tokens=len(data.validation),
        documents=round(len(data.train.starts) / main),
        bytes=data.validation.bytes + sum(one.train.bytes for one in (data, *others)),
        vocab_size=data.vocab_size,
        validation_documents=len(data.validation.starts),
        same_book=bool(data.meta.get("split", {}).get("same_book")),
        bytes_per_token=data.validation.bytes_per_token,
        ngrams=ngrams,
        copied=share,
        unlike=unlike,
        repeated=repeated,
        language=language_of(
            tokenizer.decode(int(i) for i in sample_of(data.train.ids, _READ) if i != data.end_of_text)
        ),
    )


def ngrams_of(
    train: NDArray[np.unsignedinteger], held_out: TokenSet, vocab_size: int
) -> tuple[tuple[tuple[int, tuple[float, ...]], ...], float]:
    """Bits a byte of n-grams counted in a quarter and in all of (at most `COUNTED`) training ids, without passages that stand
    in both, and the share of these; a second at most."""
    if not held_out.bytes or len(held_out) < ORDERS:
        return (), 0.0
    target, counted = sample_of(held_out.ids, _HELD_OUT), sample_of(train, COUNTED)
    sizes = (max(1, len(counted) // 4), len(counted))
    losses, known = foretold(counted, target, vocab_size, held_out.bytes_per_token, sizes=sizes)
    bits = 1 / (math.log(2) * held_out.bytes_per_token)
    found = (tuple(round(loss * bits, 5) for loss in orders) for orders in losses)
    return tuple(zip(sizes, found, strict=True)), round(known, 4)


def likeness(
    train: NDArray[np.unsignedinteger], held_out: NDArray[np.unsignedinteger], vocab_size: int, bytes_per_token: float
) -> tuple[float, float]:
    """How many times as many nats a held-out token has under n-grams as one of the training text itself, of pieces that were
    not counted; and the share of these pieces that stands in the rest of the training text word for word.

    The first is about 1 in most texts, 1.3 for the New Testament after the Old, 2 for a speech in capitals.
    """
    counted = sample_of(train, _COMPARED)
    size = min(_COMPARED // 10, len(counted) // 10) // _PIECES
    if size < ORDERS or len(held_out) < ORDERS:
        return 1.0, 0.0
    inside = np.zeros(len(counted), dtype=bool)
    for begin in np.linspace(0, len(counted) - size, _PIECES).astype(np.int64):
        inside[begin : begin + size] = True
    rest, target = counted[~inside], sample_of(held_out, size * _PIECES)
    (here,), repeated = foretold(rest, counted[inside], vocab_size, bytes_per_token, sizes=[len(rest)])
    (there,), _ = foretold(rest, target, vocab_size, bytes_per_token, sizes=[len(rest)])
    return round(there[-1] / here[-1], 3) if here[-1] else 1.0, round(repeated, 4)
