"""What the coach may know of a run besides its curve: the plan, the machine, the text, and what the person asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bajka.container import processors
from bajka.model.estimate import parameters
from bajka.planning.plan import Plan
from bajka.planning.recipe import plan_recipe
from bajka.planning.shape import Choices
from bajka.settings import settings_with, shell_word
from bajka.tokenizer import choose_vocab_size
from bajka.tokens import TokenSet

RARE = 20
"""An entry of the vocabulary that the training text shows less often than this cannot be learnt well."""

_BYTES = 260
"""Special tokens and the 256 bytes come first in the vocabularies we know; no choice of size takes them away."""


@dataclass(frozen=True)
class Facts:
    """Numbers of the plan under their names there, and:

    `usual_rate` is the peak rate that the plan would choose; `asked` are the names of the settings that the person set;
    `cooldown` is the step after which the rate falls and for how many (None while it is open); `rare_share` and
    `unigram_loss` are those of `text_facts`; `fitting_vocab_size` is what the plan chose or would choose;
    `replayable` says that what the first weights learned from is known; `gpu_unused` says that the machine has a GPU that
    the run does not use.
    """

    run: str
    parameters: int
    train_tokens: int
    bytes: int
    vocab_size: int
    fitting_vocab_size: int
    n_layer: int
    n_embd: int
    context_length: int
    dropout: float
    optimizer: str
    learning_rate: float
    usual_rate: float
    schedule: str
    warmup_steps: int
    cooldown: tuple[int, int] | None
    global_batch_size: int
    micro_batch_size: int
    minutes: float | None
    expected_steps: int
    expected_epochs: float
    expected_tokens_per_second: float
    expected_bits_per_byte: tuple[float, float] | None = None
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1
    cores: int = 1
    compiled: bool = False
    can_compile: bool = False
    gpu_unused: bool = False
    fine_tuned: bool = False
    replay: float = 0.0
    replayable: bool = False
    same_book: bool = False
    most_epochs: float | None = None
    taught: bool = False
    rare_share: float | None = None
    unigram_loss: float | None = None
    asked: frozenset[str] = frozenset()


def facts_of(
    document: Mapping[str, Any], *, run: Path | str, cores: int | None = None, gpu_unused: bool = False
) -> Facts:
    """The facts in what plan.json holds; `cores` are the logical ones that may be used (default: here)."""
    plan = Plan.from_dict(dict(document["plan"]))
    data, machine, m = document["data"], document["machine"], plan.model
    said = (document["asked"], document.get("settings") or {})  # at the beginning, and since
    asked = {name: value for wishes in said for section in wishes.values() for name, value in section.items()}
    cooldown = document.get("clock") or {}
    decided = (int(cooldown["begin"]), int(cooldown["steps"])) if cooldown else _planned_cooldown(plan)
    return Facts(
        run=shell_word(run),
        parameters=parameters(m),
        train_tokens=int(data["train_tokens"]),
        bytes=int(data["bytes"]),
        vocab_size=m.vocab_size,
        fitting_vocab_size=choose_vocab_size(int(data["bytes"]))[0] if "vocab_size" in asked else m.vocab_size,
        n_layer=m.n_layer,
        n_embd=m.n_embd,
        context_length=m.context_length,
        dropout=m.dropout,
        optimizer=plan.recipe.optimizer,
        learning_rate=plan.recipe.learning_rate,
        usual_rate=_usual_rate(plan, imported="from_model" in asked),
        schedule=plan.schedule.name,
        warmup_steps=plan.schedule.warmup_steps,
        cooldown=decided,
        global_batch_size=plan.global_batch_size,
        micro_batch_size=plan.micro_batch_size,
        minutes=plan.minutes,
        expected_steps=plan.expected_steps,
        expected_epochs=plan.expected_epochs,
        expected_tokens_per_second=plan.expected_tokens_per_second,
        expected_bits_per_byte=_interval(document["plan"].get("expected_bits_per_byte")),
        device=str(machine["device"]).split(":")[0],
        precision=machine["precision"],
        threads=int(machine["threads"]),
        cores=cores or processors(),
        compiled=plan.compile,
        can_compile=bool(machine["can_compile"]),
        gpu_unused=gpu_unused,
        fine_tuned="from_model" in asked,
        replay=float(asked.get("replay") or 0.0),
        replayable=any(one.get("kind") == "earlier" for one in data.get("further", ())),
        same_book=bool(data.get("same_book")),
        most_epochs=plan.most_epochs,
        taught=plan.teacher is not None,
        rare_share=data.get("rare_share"),
        unigram_loss=data.get("unigram_loss"),
        asked=frozenset(asked),
    )


def text_facts(tokens: TokenSet, vocab_size: int, *, chunk: int = 1 << 22) -> dict[str, float]:
    """Two numbers from one count of the training ids, for plan.json's "data"; a gigabyte takes some seconds.

    `rare_share`: the share of vocabulary entries (beyond the bytes) that are seen fewer than `RARE` times.
    `unigram_loss`: nats a token of a model that knows only how frequent each token is.
    """
    counts = np.zeros(vocab_size, dtype=np.int64)
    for start in range(0, len(tokens.ids), chunk):
        counts += np.bincount(tokens.ids[start : start + chunk], minlength=vocab_size)
    counts[[one for one in tokens.control if one < vocab_size]] = 0
    seen = counts[counts > 0] / max(1, counts.sum())
    return {
        "rare_share": round(float((counts[_BYTES:] < RARE).mean()), 4) if vocab_size > _BYTES else 0.0,
        "unigram_loss": round(float(-(seen * np.log(seen)).sum()), 4),
    }


def _planned_cooldown(plan: Plan) -> tuple[int, int] | None:
    found = plan.schedule.cooldown(None)
    return None if found is None else (found.begin, found.steps)


def _usual_rate(plan: Plan, *, imported: bool) -> float:
    """The peak rate the plan chooses for this optimizer and shape when nobody sets one."""
    optimizer = plan.recipe.optimizer
    epochs, steps = plan.expected_epochs, plan.expected_steps
    usual = plan_recipe(settings_with(optimizer=optimizer), plan.model, epochs, steps, Choices(), imported=imported)
    return usual.learning_rate


def _interval(value: Any) -> tuple[float, float] | None:
    """An expectation as lowest and highest value; a single number is both."""
    match value:
        case None:
            return None
        case [low, high] | {"low": low, "high": high}:
            return float(low), float(high)
        case number:
            return float(number), float(number)
