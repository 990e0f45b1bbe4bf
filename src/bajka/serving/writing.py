"""What a request to the studio may ask, and the texts as they grow."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bajka.checkpoint.model_folder import LoadedModel
from bajka.errors import SettingsError
from bajka.generation.decode import decode, new_row
from bajka.generation.prompt import prompt_ids
from bajka.generation.sampling import Sampling
from bajka.generation.write import clamp
from bajka.tokenizer import TextStream

MOST_TEXTS, LONGEST, LONGEST_PROMPT = 6, 2_000, 20_000
"""Texts at once, new tokens of a text, characters of a prompt: what one request may ask of the page."""

_SHOW_SECONDS = 0.05  # between two showings of all texts: as fast as eyes are
_RANDOM_SEEDS = 2**31


@dataclass(frozen=True)
class Wish:
    """What one press of the button asks for."""

    prompt: str
    n: int
    sampling: Sampling


def read_wish(
    prompt: Any,
    n: Any,
    max_new_tokens: Any,
    temperature: Any,
    top_k: Any,
    top_p: Any,
    seed: Any,
    *,
    vocab_size: int,
) -> Wish:
    """The values of a request, checked; raises `SettingsError` with a sentence.

    top_k 0 and top_p 1 choose among all tokens; for seed -1 one is drawn.
    """
    prompt = "" if prompt is None else prompt
    if not isinstance(prompt, str) or len(prompt) > LONGEST_PROMPT:
        raise SettingsError(f"The beginning must be a text of at most {LONGEST_PROMPT:,} characters.")
    count = _whole("the number of texts", n, 1, MOST_TEXTS)
    seed = _whole("the seed", seed, -1, 2**53)
    sampling = Sampling(
        max_new_tokens=_whole("the length", max_new_tokens, 1, LONGEST),
        temperature=_number("the temperature", temperature),
        top_k=_whole("top-k", top_k, 0, 2**31) or None,
        top_p=_number("top-p", top_p),
        seed=random.randrange(_RANDOM_SEEDS) if seed == -1 else seed,
    )
    return Wish(prompt, count, clamp(sampling, vocab_size=vocab_size)[0])


def write_texts(loaded: LoadedModel, wish: Wish) -> Iterator[tuple[list[str], str]]:
    """All texts so far (each with its prompt) and a line about them, some twenty times a second and at the end.

    The last ones are what `bajka.generation.write.generate` gives for the same seed. Closing the iterator stops the work.
    """
    tokenizer, sampling = loaded.tokenizer, wish.sampling
    began = shown = time.monotonic()
    ids = prompt_ids(tokenizer, wish.prompt)
    rows = [new_row(number, ids, seed=sampling.seed) for number in range(wish.n)]
    streams = [TextStream(tokenizer) for _ in rows]
    texts, tokens = [wish.prompt] * wish.n, 0
    for event in decode(
        loaded.model, rows, sampling, end_of_text=tokenizer.end_of_text, vocab_size=tokenizer.text_vocab_size
    ):
        number = event.row.number
        if event.token is not None:
            texts[number] += streams[number].feed(event.token)
            tokens += 1
        if event.reason is not None:
            texts[number] += streams[number].finish()
        if time.monotonic() - shown >= _SHOW_SECONDS:
            yield list(texts), "Writing ..."
            shown = time.monotonic()
    speed = tokens / max(1e-9, time.monotonic() - began)
    yield texts, f"{tokens:,} tokens, {speed:,.0f} a second. Seed {sampling.seed}: the same seed writes the same again."


def _whole(name: str, value: Any, least: int, most: int) -> int:
    number = _number(name, value)
    if number != int(number) or not least <= number <= most:
        raise SettingsError(f"{name.capitalize()} is {number:g}, but must be a whole number from {least} to {most:,}.")
    return int(number)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SettingsError(f"{name.capitalize()} must be a number.")
    return float(value)
