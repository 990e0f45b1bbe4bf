"""The plan without the training: everything is worked out in memory, nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import tomli_w

from bajka.checkpoint.model_folder import load_model
from bajka.config import Settings
from bajka.hardware import find_machine
from bajka.planning.plan import CorpusFacts, Plan, describe
from bajka.planning.wishes import check_fit
from bajka.progress import Progress, silent
from bajka.settings import SECTION_OF, wishes
from bajka.tokenizer import Tokenizer
from bajka.tokens.store import TokenData, token_set
from bajka.training.corpus_facts import facts_of
from bajka.training.earlier import check_replay
from bajka.training.inputs import given_tokens
from bajka.training.planner import Planner
from bajka.training.sources import Source, read_source, say_repeated, sources_of, voice, without_leaks
from bajka.training.teacher import check_given, given_teacher, tokenizer_with
from bajka.training.vocabulary import make_tokenizer


def preview(settings: Settings, *, say: Callable[[str], None], progress: Progress = silent) -> Plan:
    """The plan of `train` with these settings, said with its reasons."""
    began = time.perf_counter()
    machine = find_machine(settings.hardware)
    say(f"Machine: {machine.name}, {machine.precision}.")
    base = load_model(settings.train.from_model) if settings.train.from_model else None
    check_replay(settings)
    teacher = given_teacher(settings)
    tokenizer = tokenizer_with(base, teacher, settings)
    planner = Planner.measuring(
        settings,
        machine,
        elapsed=lambda: time.perf_counter() - began,
        imported=base.model.config if base else None,
        teacher=teacher.model.config if teacher else None,
    )
    facts = _facts(settings, tokenizer, planner, say, progress)
    say(f"Training: {facts.train_tokens:,} tokens. Validation: {facts.validation_tokens:,} tokens.")
    plan = planner.plan(facts)
    check_fit(plan, plan.expected_memory_bytes, machine, imported=base is not None)
    if teacher is not None:
        check_given(teacher, plan.model)
    for line in describe(plan, began=datetime.now()):
        say(line)
    return plan


def _facts(
    settings: Settings, tokenizer: Tokenizer | None, planner: Planner, say: Callable[[str], None], progress: Progress
) -> CorpusFacts:
    """Counts of all that training reads, encoded in memory."""
    sources = [one for one in sources_of(settings) if one.kind != "watched"]
    sources = [read_source(one, settings, voice(one, say), parent=None, progress=progress) for one in sources]
    if len(sources) > 1:
        sources = without_leaks(sources, (), settings, say, progress)
        say_repeated(sources, say)
    if tokenizer is None and sources[0].given:
        tokenizer = given_tokens(sources[0].given, settings, None, say).tokenizer
    if tokenizer is None:
        splits = [one.split for one in sources if one.split]
        tokenizer = make_tokenizer(settings, splits, say)
    data = [_encoded(one, tokenizer, settings) for one in sources]
    replayed = [settings.train.replay] if settings.train.replay else []
    return facts_of(data[0], data[1:], [one.share for one in sources[1:]] + replayed, tokenizer)


def _encoded(source: Source, tokenizer: Tokenizer, settings: Settings) -> TokenData:
    if source.given:
        return given_tokens(source.given, settings, tokenizer, say=lambda line: None).data
    assert source.split is not None
    return TokenData(
        folder=Path(),
        fingerprint="",
        vocab_size=tokenizer.vocab_size,
        end_of_text=tokenizer.end_of_text,
        tokenizer_fingerprint=tokenizer.fingerprint,
        train=token_set(source.split.train, tokenizer),
        validation=token_set(source.split.validation, tokenizer),
        meta={"split": {"same_book": source.split.same_book}},
    )


def settings_page(settings: Settings, plan: Plan) -> str:
    """A TOML page: what the person set as values, what the plan chose as comments with its reason."""
    asked = wishes(settings)
    values = plan.__dict__ | asdict(plan.recipe) | asdict(plan.schedule) | {"schedule": plan.schedule.name}
    values |= plan.model.model_dump() | {
        "compile": "on" if plan.compile else "off",
        "average_decay": plan.average.decay,
        "teacher": plan.teacher and plan.teacher.model,
        "teacher_share": plan.teacher and plan.teacher.share,
    }
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
