"""A teacher: a model whose expectations a run learns from beside the text itself.

A network that learns what another one expects of the next token, and not only which one came, can read the same text more
often before it knows it by heart: born-again networks (Furlanello et al., arXiv 1805.04770), here for little text
(docs/experiments.md, "A teacher").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from bajka import durable
from bajka.checkpoint.model_folder import WEIGHTS, LoadedModel, load_model, write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.errors import DamagedFileError, SettingsError, TokenizerError
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.model.loss import Taught
from bajka.model.transformer import Transformer
from bajka.planning.plan import Plan
from bajka.planning.teacher import OWN
from bajka.settings import shell_word
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


def keep_copy(run: RunFolder, teacher: LoadedModel) -> str:
    """Copy a teacher that was given into the run's folder, so that it goes on without the original and elsewhere; gives the
    SHA-256 of its weights."""
    write_model_folder(run.teacher, teacher.model, teacher.tokenizer)
    return durable.sha256_of(run.teacher / WEIGHTS)


def check_copy(run: RunFolder, plan_file: Mapping[str, Any]) -> None:
    """Raise `DamagedFileError` unless the copy of a given teacher is there as it was written; nothing is asked of a run's own,
    which is trained again."""
    teacher = plan_file["plan"].get("teacher")
    if teacher is None or teacher["model"] == OWN:
        return
    weights, written = run.teacher / WEIGHTS, plan_file.get("teacher_sha256")
    trouble = "is not there" if not weights.is_file() else ""
    if not trouble and written and durable.sha256_of(weights) != written:
        trouble = "is damaged"
    if trouble:
        raise DamagedFileError(
            f"{weights}, the teacher from which {run.path} learns, {trouble}, so its training cannot go on as it was. Put the "
            f"file back, or begin a new run from its weights: bajka train TEXTS --from {shell_word(run.path)}"
        )


def teacher_seconds(run: RunFolder, plan: Plan) -> float:
    """Seconds of a run's clock when its own teacher is done: as it was, or about as planned; 0 without one."""
    if plan.teacher is None or plan.teacher.model != OWN:
        return 0.0
    own = RunFolder(run.teacher)
    finished = own.plan.get("finished") if own.plan_file.is_file() else None
    return float(finished["seconds"]) if finished else plan.teacher.seconds


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
