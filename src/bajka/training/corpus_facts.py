"""What the plan needs to know of prepared texts: counts, how predictable they are, their language."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bajka.planning.little import language_of
from bajka.planning.ngrams import COUNTED, ORDERS, ngram_losses, sample_of
from bajka.planning.plan import CorpusFacts
from bajka.tokenizer import Tokenizer
from bajka.tokens.mixture import PARTS, weights_of
from bajka.tokens.store import TokenData, TokenSet

_HELD_OUT = 100_000  # ids of the validation text that are foretold
_READ = 4_000  # ids that tell the language


def facts_of(
    data: TokenData, others: Sequence[TokenData], shares: Sequence[float], tokenizer: Tokenizer
) -> CorpusFacts:
    """Counts for the plan, when training reads `others` too, in `shares`; how predictable the main text is, and its language.

    Training tokens and documents are what passes by while the main texts are read once: that is an epoch.
    """
    main = weights_of(shares)[0] / PARTS
    return CorpusFacts(
        train_tokens=round(len(data.train) / main),
        validation_tokens=len(data.validation),
        documents=round(len(data.train.starts) / main),
        bytes=data.validation.bytes + sum(one.train.bytes for one in (data, *others)),
        vocab_size=data.vocab_size,
        validation_documents=len(data.validation.starts),
        same_book=bool(data.meta.get("split", {}).get("same_book")),
        bytes_per_token=data.validation.bytes_per_token,
        ngrams=ngrams_of(data.train.ids, data.validation, data.vocab_size),
        language=language_of(
            tokenizer.decode(int(i) for i in sample_of(data.train.ids, _READ) if i != data.end_of_text)
        ),
    )


def ngrams_of(
    train: NDArray[np.unsignedinteger], held_out: TokenSet, vocab_size: int
) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """Bits a byte of n-grams counted in a quarter and in all of (at most `COUNTED`) training ids; a second at most."""
    if not held_out.bytes or len(held_out) < ORDERS:
        return ()
    bits = 1 / (math.log(2) * held_out.bytes_per_token)
    target, counted = sample_of(held_out.ids, _HELD_OUT), sample_of(train, COUNTED)
    found = []
    for some in (sample_of(counted, max(1, len(counted) // 4)), counted):
        losses = ngram_losses(some, target, vocab_size)
        found.append((len(some), tuple(round(loss * bits, 5) for loss in losses)))
    return tuple(found)
