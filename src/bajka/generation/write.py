"""`generate`: prompts in, finished texts out. `stream`: one text, piece by piece as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bajka.errors import SettingsError
from bajka.generation.decode import Reason, Row, decode, new_row
from bajka.generation.prompt import prompt_ids
from bajka.generation.sampling import Sampling
from bajka.model.transformer import Transformer
from bajka.tokenizer import TextStream, Tokenizer


@dataclass(frozen=True)
class Text:
    """One written text. `text` is what follows `prompt`; `reason` is "stop" (it ended) or "length" (it was cut).

    `number` counts the texts of one call from 0, prompt by prompt; with `seed` it decides the random numbers.
    """

    prompt: str
    text: str
    ids: tuple[int, ...]
    reason: Reason
    number: int
    seed: int

    @property
    def whole(self) -> str:
        """Prompt and text together."""
        return self.prompt + self.text


def generate(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    *,
    n: int = 1,
    fields: Mapping[str, str] | None = None,
    sampling: Sampling | None = None,
    rows_at_once: int = 32,
    on_piece: Callable[[int, str], None] | None = None,
    on_done: Callable[[Text], None] | None = None,
) -> list[Text]:
    """Write `n` texts for each of `prompts`, in their order; the same seed gives the same texts.

    `on_piece(number, piece)` is told new letters of a text, `on_done` finished texts, as they come. An empty prompt
    begins a new text; `fields` stand before each (see `prompt_ids`). Raises `SettingsError` when `n` is below 1,
    `InputError` for fields that the model does not know.
    """
    sampling = sampling or Sampling()
    if n < 1:
        raise SettingsError(f"n = {n}: ask for at least 1 text per prompt.")
    asked = [prompt for prompt in prompts for _ in range(n)]
    encoded = {prompt: prompt_ids(tokenizer, prompt, fields) for prompt in set(prompts)}
    rows = [new_row(number, encoded[prompt], seed=sampling.seed) for number, prompt in enumerate(asked)]
    pens = [_Pen(tokenizer, sampling.stop) for _ in rows]
    done: dict[int, Text] = {}
    for event in decode(
        model,
        rows,
        sampling,
        end_of_text=tokenizer.end_of_text,
        vocab_size=tokenizer.text_vocab_size,
        rows_at_once=rows_at_once,
    ):
        row, pen = event.row, pens[event.row.number]
        piece = "" if event.token is None else pen.feed(event.token)
        if pen.stopped or event.reason is not None:
            row.cancelled = True
            piece += pen.finish()  # which may end in a stop string, too
            reason: Reason = "length" if event.reason == "length" and not pen.stopped else "stop"
            done[row.number] = _text(row, asked[row.number], pen, reason, sampling)
        if piece and on_piece:
            on_piece(row.number, piece)
        if row.number in done and on_done:
            on_done(done[row.number])
    return [done[number] for number in range(len(rows))]


def stream(model: Transformer, tokenizer: Tokenizer, prompt: str, *, sampling: Sampling | None = None) -> Iterator[str]:
    """The pieces of one text as they are written: joined, they are the text that `generate` gives."""
    sampling = sampling or Sampling()
    row = new_row(0, prompt_ids(tokenizer, prompt), seed=sampling.seed)
    pen = _Pen(tokenizer, sampling.stop)
    for event in decode(
        model, [row], sampling, end_of_text=tokenizer.end_of_text, vocab_size=tokenizer.text_vocab_size, rows_at_once=1
    ):
        if event.token is not None and (piece := pen.feed(event.token)):
            yield piece
        if pen.stopped:
            row.cancelled = True
    if rest := pen.finish():
        yield rest


def clamp(sampling: Sampling, *, vocab_size: int) -> tuple[Sampling, str | None]:
    """`sampling` with top-k within the vocabulary, and a sentence when it had to be lowered."""
    if sampling.top_k is not None and sampling.top_k > vocab_size:
        said = f"top_k = {sampling.top_k} is more than the vocabulary has: using all {vocab_size} tokens."
        return replace(sampling, top_k=vocab_size), said
    return sampling, None


def _text(row: Row, prompt: str, pen: _Pen, reason: Reason, sampling: Sampling) -> Text:
    return Text(prompt, pen.text, tuple(row.new_ids), reason, row.number, sampling.seed)


class _Pen:
    """Turns ids into shown text, holding back half letters and what may be the beginning of a stop string."""

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...]) -> None:
        self._stream, self._stop = TextStream(tokenizer), stop
        self._held = ""
        self.text = ""
        self.stopped = False

    def feed(self, token: int) -> str:
        """New text that is certain, given one more id."""
        return "" if self.stopped else self._release(self._stream.feed(token), last=False)

    def finish(self) -> str:
        """What was held back, when no more ids come."""
        return "" if self.stopped else self._release(self._stream.finish(), last=True)

    def _release(self, new: str, *, last: bool) -> str:
        self._held += new
        found = [place for s in self._stop if (place := self._held.find(s)) >= 0]
        if found:
            self.stopped, cut = True, min(found)
        else:
            cut = len(self._held) if last else len(self._held) - self._possible_beginning()
        shown, self._held = self._held[:cut], self._held[cut:]
        self.text += shown
        return shown

    def _possible_beginning(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = 0
        for s in self._stop:
            for length in range(1, min(len(s), len(self._held) + 1)):
                if self._held.endswith(s[:length]):
                    longest = max(longest, length)
        return longest


def measure_speed(model: Transformer, tokenizer: Tokenizer, *, tokens: int = 64) -> float:
    """Tokens per second of one greedy text, the prompt's encoding included."""
    sampling = Sampling(max_new_tokens=tokens, temperature=0)
    row = new_row(0, [tokenizer.end_of_text], seed=0)
    began, count = time.perf_counter(), 0
    for event in decode(model, [row], sampling, end_of_text=-1, rows_at_once=1):
        count += event.token is not None
    return count / max(1e-9, time.perf_counter() - began)
