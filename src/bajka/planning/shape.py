"""The shape of a new network, or the one that comes with given weights: the one that text and time teach best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bajka.config import Settings
from bajka.errors import CorpusError, ModelError, SettingsError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.estimate import parameters
from bajka.model.families import feed_forward_width, preset
from bajka.planning.schedule import planned_minutes

SHAPES = (
    *((2, 64), (2, 128), (3, 128), (4, 128), (4, 192), (4, 256), (5, 256), (5, 320), (6, 384), (7, 448), (8, 512)),
    *((10, 640), (12, 768), (16, 1024)),
)
"""Depth and width from about 0.1 to 200 million weights in blocks, from 3 x 128 on each at most 1.8 times as slow as the one
before; heads are 64 wide (32 below a width of 192)."""

TOKENS_A_WEIGHT = 1.75
"""A shape is taken while the time lets it see this many tokens for each of its weights (docs/experiments.md, "Shapes")."""

READINGS = 2.75
"""... or read the text so often: on little text a larger network that reads it about three times is better than a smaller
one that reads it more often (docs/experiments.md, "Little text")."""

READINGS_WITH_TEACHER = 8.0
"""... or so often where a teacher pays: its own three readings, and most of the five that follow, each a fifth dearer. A shape
that has time for both learns more than one three times as slow alone (docs/experiments.md, "A teacher")."""

MOST_READINGS = 3.0
"""A run in minutes ends after so many readings of the text, however much time is left (docs/experiments.md, "Little text")."""

MOST_READINGS_TAUGHT = 5.0
"""The same for a run that learns from a teacher too (docs/experiments.md, "A teacher")."""

MOST_READINGS_FROM_WEIGHTS = 6.0
"""The same for a run from given weights: more readings brought nothing (docs/experiments.md, "A base first")."""

MOST_WEIGHTS = 31_000
"""No network has more weights than this times the square root of its text's bytes. Of 20 KB one of 3.4 million weights
learned more than one of 11, of 150 KB 11 were better than 3.4 (docs/experiments.md, "Little text"); elsewhere a first rule."""

MOST_WEIGHTS_OF_TOKENS = 0.03
"""... nor more than this times the square of its training tokens, which is less below 20 KB: of 2 and 4 KB 2 x 64 learned most,
of 8 KB 3 x 128 (docs/experiments.md, "Tiny texts")."""

SHORT_MINUTES = 8
"""Runs on a CPU below it learn sooner with a short context (docs/experiments.md, "The recipe"); its place is a first rule."""

SMALLEST_CONTEXT = 32
TRAINING_WINDOWS, VALIDATION_WINDOWS = 200, 8


@dataclass(frozen=True)
class CorpusFacts:
    """What the plan needs to know of the texts, in tokens of the chosen tokenizer.

    `ngrams`: how predictable the text is, for expectations: so many training tokens were counted, and the held-out text
    then has so many bits a byte under their n-grams, the shortest first; smallest count first. Passages that stand in both are
    left out: `copied` is their share of the held-out tokens. `unlike`: how many times as many bits the held-out text has under
    n-grams as pieces of the training text that were not counted; `repeated`: the share of these that the rest of it holds.
    """

    train_tokens: int
    validation_tokens: int
    documents: int
    bytes: int
    vocab_size: int
    same_book: bool = False
    bytes_per_token: float = 0.0
    ngrams: tuple[tuple[int, tuple[float, ...]], ...] = ()
    language: str = ""
    validation_documents: int = 0
    copied: float = 0.0
    unlike: float = 1.0
    repeated: float = 0.0


@dataclass(frozen=True)
class Judge:
    """What a shape can be judged by before it is trained.

    `tokens` gives how many of the text's tokens it would see, again and again counted (None: the length is not in minutes),
    `shown` how many an epoch shows, `fits` whether it fits into memory; `teacher` whether one pays if time is left for it,
    `must_be_taught` that it was asked for in any case.
    """

    tokens: Callable[[ModelConfig], float] | None
    shown: Callable[[ModelConfig], float]
    fits: Callable[[ModelConfig], bool]
    teacher: Callable[[ModelConfig], bool]
    must_be_taught: bool = False


LARGEST_STEP = {"cpu": 4096, "gpu": 16_384}
"""The most tokens of a planned step; so many has a run in steps, for time is not what limits it, and more tokens teach more."""

YOURS = "you set it"
"""The reason of what the person set."""


class Choices:
    """Collects numbers and their reasons; what the person set wins."""

    def __init__(self) -> None:
        self.reasons: dict[str, str] = {}

    def take(self, name: str, wish: Any, planned: Any, reason: str) -> Any:
        """`wish` if there is one, else `planned`; remembers why."""
        if wish is not None:
            self.reasons[name] = YOURS
            return wish
        self.reasons[name] = reason
        return planned


def largest_step(machine: Machine) -> int:
    """`LARGEST_STEP` of this machine."""
    return LARGEST_STEP["cpu" if machine.kind == "cpu" else "gpu"]


def most_weights(facts: CorpusFacts) -> float:
    """The most weights of a network for so little text."""
    return min(MOST_WEIGHTS * math.sqrt(facts.bytes), MOST_WEIGHTS_OF_TOKENS * facts.train_tokens**2)


def choose_shape(settings: Settings, facts: CorpusFacts, machine: Machine, judge: Judge, c: Choices) -> ModelConfig:
    """The largest sensible shape that the time lets see enough tokens, or that the text does not starve."""
    wish = settings.model
    context = _context(settings, facts, machine, c)
    shapes = _shapes(settings, facts, context)
    small = [one for one in shapes if parameters(one) <= most_weights(facts)] or shapes[:1]
    fitting = [one for one in small if judge.fits(one)] or shapes[:1]
    model, reason = (
        _taught_by_time(fitting, judge) if judge.tokens else _taught_by_text(fitting, settings, facts, machine)
    )
    if len(shapes) == 1:
        reason = "the only usual shape that agrees with what you set"
    elif model is fitting[-1] and model is not shapes[-1]:
        reason = "the largest for so little text" if model is small[-1] else "the largest that fits into memory"
    elif model is shapes[-1]:
        reason = "the largest of the usual shapes"
    c.take("n_layer", wish.n_layer, model.n_layer, reason)
    c.take("n_embd", wish.n_embd, model.n_embd, reason)
    c.take("n_head", wish.n_head, model.n_head, f"heads of {model.head_dim}")
    c.take("n_kv_head", wish.n_kv_head, model.n_kv_head, "one for each head")
    c.take("n_inner", wish.n_inner, model.n_inner, "the family's usual ratio to n_embd")
    tied = "as the stock architecture" if model.is_gpt else "embedding and head share one matrix from 16,384 entries on"
    c.take("tie_embeddings", wish.tie_embeddings, model.tie_embeddings, tied)
    return model


def _taught_by_time(shapes: list[ModelConfig], judge: Judge) -> tuple[ModelConfig, str]:
    """The largest shape that sees enough tokens in the time, or reads all of the text often enough."""
    assert judge.tokens is not None
    taught = shapes if judge.must_be_taught else [one for one in shapes if judge.teacher(one)]
    reading = [one for one in taught if judge.tokens(one) >= READINGS_WITH_TEACHER * judge.shown(one)]
    if judge.must_be_taught and not reading:
        return shapes[0], "the smallest shape, so that there is time for its teacher too"
    if reading:
        why = f"the largest shape that can read all of the text {READINGS_WITH_TEACHER:g} times in this time, with its teacher"
        return max(reading, key=parameters), why
    seeing = [
        one
        for one in shapes
        if judge.tokens(one) >= min(TOKENS_A_WEIGHT * parameters(one), READINGS * judge.shown(one))
    ]
    if not seeing:
        why = f"the smallest shape: even it sees fewer than {TOKENS_A_WEIGHT} tokens for each weight in this time"
        return shapes[0], why
    model = max(seeing, key=parameters)
    if READINGS * judge.shown(model) < TOKENS_A_WEIGHT * parameters(model):
        return model, f"the largest shape that can read all of the text {READINGS:g} times in this time"
    return model, f"the largest shape that sees {TOKENS_A_WEIGHT} tokens for each weight in this time"


def _taught_by_text(
    shapes: list[ModelConfig], settings: Settings, facts: CorpusFacts, machine: Machine
) -> tuple[ModelConfig, str]:
    """For a run in steps or epochs, whose time is not known: the largest shape with two different training tokens a weight,
    of those that it sees."""
    length, context = settings.schedule, shapes[0].context_length
    seen = facts.train_tokens * (1.0 if length.epochs is None else min(1.0, length.epochs))
    if length.steps is not None:
        rows = settings.train.global_batch_size or max(1, largest_step(machine) // context)
        seen = min(seen, length.steps * rows * context)
    whose = "the text has" if seen == facts.train_tokens else "the run sees"
    taught = [one for one in shapes if parameters(one) <= seen / 2]
    if not taught:
        return shapes[0], f"the smallest shape: {whose} fewer than two tokens for each of its weights"
    return taught[-1], f"the largest shape that has at most half as many weights as {whose} tokens"


def _shapes(settings: Settings, facts: CorpusFacts, context: int) -> list[ModelConfig]:
    """The sensible shapes that can be with the person's wishes in them; `ModelError` when none can."""
    found, refused = [], None
    for depth, width in _candidates(settings):
        try:
            found.append(_configuration(settings, facts, context, depth, width))
        except ModelError as error:  # as three heads with n_kv_head = 2, where a wider shape has four
            refused = error
    if not found and refused is not None:
        raise refused
    return found


def _candidates(settings: Settings) -> list[tuple[int, int]]:
    """Depth and width of the sensible shapes that agree with the person's depth, width and number of heads."""
    wish = settings.model
    shapes = dict.fromkeys((wish.n_layer or depth, wish.n_embd or width) for depth, width in SHAPES)
    found = [(depth, width) for depth, width in shapes if wish.n_head is None or width % wish.n_head == 0]
    if found or wish.n_embd is not None:
        return found or list(shapes)
    raise SettingsError(
        f"n_head = {wish.n_head} divides none of the usual widths ({', '.join(str(width) for _, width in SHAPES)}). "
        f"Set n_embd too, for example {32 * (wish.n_head or 1)}."
    )


def _configuration(settings: Settings, facts: CorpusFacts, context: int, depth: int, width: int) -> ModelConfig:
    """A full shape of this depth and width with the person's wishes in it."""
    wish = settings.model
    n_head = wish.n_head or usual_heads(width)
    base = preset(wish.family)
    base |= {"tie_embeddings": wish.family in ("gpt2", "gpt1") or facts.vocab_size >= 16_384}
    base |= {
        name: value
        for name in ("positions", "rope_theta", "activation", "tie_embeddings", "bias")
        if (value := getattr(wish, name)) is not None
    }
    if width % n_head:
        even = 1 if wish.family in ("gpt2", "gpt1") else 2  # rotations turn pairs of a head's values
        near = max(1, round(width / (even * n_head))) * even * n_head
        heads = max((h for h in range(1, n_head + 1) if width % (even * h) == 0), default=None)
        raise SettingsError(
            f"n_head = {n_head} does not divide n_embd = {width}. Choose n_embd = {near}"
            f"{'' if heads is None else f', or n_head = {heads}'}."
        )
    return ModelConfig(
        family=wish.family,
        vocab_size=facts.vocab_size,
        context_length=context,
        n_layer=depth,
        n_head=n_head,
        n_kv_head=wish.n_kv_head or n_head,
        n_embd=width,
        n_inner=wish.n_inner or feed_forward_width(wish.family, width),
        head_dim=width // n_head,
        attention_dropout=wish.attention_dropout,
        **base,
    )


def usual_heads(width: int) -> int:
    """As many heads of about 64 (32 below a width of 192) as divide the width, each of an even width."""
    most = max(1, width // (64 if width >= 192 else 32))
    return max((heads for heads in range(1, most + 1) if width % (2 * heads) == 0), default=1)


def _context(settings: Settings, facts: CorpusFacts, machine: Machine, c: Choices) -> int:
    """256 on a CPU, 512 on a GPU, 1,024 from 100 MB of text, 128 for a short run; halved until there are enough windows."""
    wish, minutes = settings.model.context_length, planned_minutes(settings)
    best = 1024 if facts.bytes >= 100_000_000 else 256 if machine.kind == "cpu" else 512
    reason = f"usual on a {'CPU' if machine.kind == 'cpu' else 'GPU'} for this amount of text"
    if machine.kind == "cpu" and minutes is not None and minutes < SHORT_MINUTES:
        best, reason = 128, f"in fewer than {SHORT_MINUTES} minutes no more than that is learned to be used"
    while wish is None and best > SMALLEST_CONTEXT and not _enough_windows(facts, best):
        best //= 2
        reason = f"halved until there are {TRAINING_WINDOWS} training and {VALIDATION_WINDOWS} validation windows"
    if wish is None and not _enough_windows(facts, best):
        reason = "the shortest, for so little text"
    context = int(c.take("context_length", wish, best, reason))
    check_windows(facts, context)
    return context


def _enough_windows(facts: CorpusFacts, context: int) -> bool:
    return facts.train_tokens >= TRAINING_WINDOWS * context and facts.validation_tokens >= VALIDATION_WINDOWS * context


def check_windows(facts: CorpusFacts, context: int) -> None:
    """Raise `CorpusError` when a side of the split does not fill one window."""
    for name, tokens in (("training", facts.train_tokens), ("validation", facts.validation_tokens)):
        if tokens < context + 1:
            raise CorpusError(
                f"The {name} text has {tokens:,} tokens, but one window needs {context + 1:,} (context_length = {context}). "
                + (
                    "Give more text."
                    if context <= SMALLEST_CONTEXT
                    else "Give more text, or a smaller --context-length."
                )
            )
