"""A teacher: a model whose expectations a run learns from beside the text itself.

A network that learns what another one expects of the next token, and not only which one came, can read the same text more
often before it knows it by heart: born-again networks (Furlanello et al., arXiv 1805.04770), here for little text
(docs/experiments.md, "A teacher").
"""

from __future__ import annotations

import torch
from torch import Tensor

from bajka.checkpoint.model_folder import LoadedModel, load_model
from bajka.config import Settings
from bajka.errors import SettingsError, TokenizerError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.loss import Taught
from bajka.model.transformer import Transformer
from bajka.planning.teacher import OWN
from bajka.tokenizer import Tokenizer
from bajka.training.earlier import check_wished_tokenizer, run_of


class Teacher:
    """A model that is only read: called with token ids (B, T), it gives what it expects after each, which is `share` of what
    is learnt."""

    def __init__(self, model: Transformer, machine: Machine, *, share: float) -> None:
        self.model, self.dtype, self.share = model.to(machine.device).eval().requires_grad_(False), machine.dtype, share

    @torch.no_grad()
    def __call__(self, ids: Tensor) -> Taught:
        """For the B T tokens, one after the other."""
        hidden = self.model.hidden(*self.model.embed(ids, dtype=self.dtype))
        return Taught(hidden.flatten(0, 1), self.model.head.weight, self.share)


def given_teacher(settings: Settings) -> LoadedModel | None:
    """The model of --teacher; None where there is none, or the run trains its own."""
    name = settings.train.teacher
    return None if name in (None, "none", OWN) else load_model(name)


def tokenizer_with(base: LoadedModel | None, teacher: LoadedModel | None, settings: Settings) -> Tokenizer | None:
    """The tokenizer of the models of --from and --teacher; None without any. Raises `TokenizerError` when they differ, or
    another one was asked for."""
    found = [one.tokenizer.with_start() for one in (base, teacher) if one is not None]
    if base is not None:
        check_wished_tokenizer(settings, base)
    if teacher is not None:
        check_wished_tokenizer(settings, teacher, flag="--teacher")
    if len({one.fingerprint for one in found}) > 1:
        raise TokenizerError(
            f"--from {settings.train.from_model} and --teacher {settings.train.teacher} have different tokenizers: what one "
            "expects of its tokens means nothing to the other. Name models with the same one."
        )
    return found[0] if found else None


def may_have_read(teacher: LoadedModel, fingerprint: str) -> list[str]:
    """A sentence unless a teacher that was given is a run on the data of this `fingerprint`, with what that holds out."""
    run = run_of(teacher)
    if run is not None and run.plan["data"]["fingerprint"] == fingerprint:
        return []
    return [
        f"What is held out here may be among the texts that the teacher {teacher.name} has read: then the validation loss says "
        "too little."
    ]


def check_given(teacher: LoadedModel, model: ModelConfig) -> None:
    """Raise `SettingsError` when a model of this shape cannot learn from a teacher that was given."""
    theirs, name = teacher.model.config, teacher.name
    if theirs.vocab_size != model.vocab_size:
        raise SettingsError(
            f"teacher = {name} tells {theirs.vocab_size:,} tokens apart, this model {model.vocab_size:,}: what the one expects "
            "cannot be learnt by the other. Name another teacher."
        )
    if theirs.context_length < model.context_length:
        raise SettingsError(
            f"teacher = {name} sees {theirs.context_length:,} tokens at once, this model {model.context_length:,}. Set "
            f"--context-length {theirs.context_length}, or name another teacher."
        )
