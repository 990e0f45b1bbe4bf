"""The plan without the training: everything is worked out in memory, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import tomli_w

from bajka.checkpoint.model_folder import load_model
from bajka.config import SECTION_OF, Settings, wishes
from bajka.hardware import find_machine, matmul_rate
from bajka.progress import Progress, silent
from bajka.tokens.store import token_set
from bajka.training.inputs import make_tokenizer, read_and_split
from bajka.training.plan import CorpusFacts, Plan, describe, make_plan


def preview(settings: Settings, *, say: Callable[[str], None], progress: Progress = silent) -> Plan:
    """The plan of `train` with these settings, said with its reasons."""
    machine = find_machine(settings.hardware)
    say(f"Machine: {machine.name}, {machine.precision}.")
    base = load_model(settings.train.from_model) if settings.train.from_model else None
    corpus, split = read_and_split(settings, say, progress=progress)
    tokenizer = base.tokenizer.with_start() if base else make_tokenizer(settings, [split], say)
    train = token_set(split.train, tokenizer)
    facts = CorpusFacts(
        train_tokens=len(train),
        validation_tokens=len(token_set(split.validation, tokenizer)),
        documents=len(split.train),
        bytes=corpus.bytes,
        vocab_size=tokenizer.vocab_size,
        same_book=split.same_book,
    )
    say(f"Training: {facts.train_tokens:,} tokens. Validation: {facts.validation_tokens:,} tokens.")
    rate = matmul_rate(machine.device, machine.dtype)
    plan = make_plan(settings, facts, machine, matmul_rate=rate, imported=base.model.config if base else None)
    for line in describe(plan):
        say(line)
    return plan


def settings_page(settings: Settings, plan: Plan) -> str:
    """A TOML page: what the person set as values, what the plan chose as comments with its reason."""
    asked = wishes(settings)
    values = plan.__dict__ | asdict(plan.recipe) | asdict(plan.schedule) | {"schedule": plan.schedule.name}
    values |= plan.model.model_dump()
    lines = ["# Values are yours; lines that begin with # are what the plan chose, and why. Uncomment to fix one."]
    for section in Settings.model_fields:
        body = tomli_w.dumps(asked.get(section, {})).splitlines()
        for name, reason in plan.reasons.items():
            if SECTION_OF.get(name) == section and name not in asked.get(section, {}) and values.get(name) is not None:
                value = tomli_w.dumps({name: _round(values[name])}).strip()
                body.append(f"# {value}  # {reason}")
        if body:
            lines += ["", f"[{section}]", *body]
    return "\n".join(lines) + "\n"


def _round(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
