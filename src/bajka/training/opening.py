"""Opening a session: a new run from its texts, or an old one from its last good checkpoint.

Among several processes the first does what reads texts and writes files; then all of them open the same data, plan and
checkpoint from the disk.
"""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from bajka.checkpoint.checkpoint import read_checkpoint
from bajka.checkpoint.model_folder import LoadedModel, load_model
from bajka.coaching.facts import text_facts
from bajka.config import Settings
from bajka.corpus.unchanged import seen_of
from bajka.distributed import World
from bajka.hardware import Machine, find_machine
from bajka.model.transformer import Transformer
from bajka.paths import absolute
from bajka.planning.plan import CorpusFacts, Plan, describe
from bajka.planning.schedule import Patience, Plateau
from bajka.planning.wishes import check_fit
from bajka.settings import wishes
from bajka.tokenizer import Tokenizer
from bajka.training.average import Average
from bajka.training.clock import Clock
from bajka.training.inputs import Inputs
from bajka.training.life import Life, comparable
from bajka.training.mixed import folders_of, open_all, prepare_all
from bajka.training.planner import Planner
from bajka.training.saving import restore
from bajka.training.session import Session
from bajka.training.sharding import shard, sharded_memory, wants_shards, wants_shards_here
from bajka.training.sources import sources_of
from bajka.training.steps import TrainingState
from bajka.training.taking_up import take_up
from bajka.training.teacher import check_given, given_teacher, keep_copy, may_have_read, tokenizer_with
from bajka.watching.record import Log
from bajka.watching.trackers import check_trackers


def open_session(life: Life, log: Log, clock: Clock, world: World) -> Session:
    """The session that `life` asks for, ready to go; config.toml and plan.json are written."""
    check_trackers(life.settings.train)
    return _begin(life, log, clock, world) if life.state == "new" else _go_on(life, log, clock, world)


# -- a new run ---------------------------------------------------------------------------------------------------


def _begin(life: Life, log: Log, clock: Clock, world: World) -> Session:
    """Texts to ids, a plan with reasons, a model with fresh or given weights."""
    settings = life.settings
    machine = find_machine(settings.hardware)
    base = load_model(settings.train.from_model) if settings.train.from_model else None
    teacher = given_teacher(settings)
    tokenizer = tokenizer_with(base, teacher, settings)
    document = world.first(lambda: _prepare(life, machine, base, teacher, tokenizer, log, clock, world))
    inputs = open_all(settings, document["data"], tokenizer=tokenizer, say=lambda line: None)
    model = Transformer(Plan.from_dict(document["plan"]).model)
    if base is None:
        model.reset(settings.train.seed)
    else:
        _take_weights(model, base)
    return _session(life, document, machine, inputs, model, log, clock, world)


def _prepare(
    life: Life,
    machine: Machine,
    base: LoadedModel | None,
    teacher: LoadedModel | None,
    tokenizer: Tokenizer | None,
    log: Log,
    clock: Clock,
    world: World,
) -> dict[str, Any]:
    """Prepare the data and make the plan; gives what plan.json holds. Nothing of the run is written before all is well."""
    settings, run = life.settings, life.run
    log.say(f"Machine: {machine.name}, {machine.precision}.")
    planner = Planner.measuring(
        settings,
        machine,
        elapsed=clock.seconds,
        imported=base.model.config if base else None,
        teacher=teacher.model.config if teacher else None,
        processes=world.size,
    )
    seen = seen_of([text for one in sources_of(settings) if not one.given for text in one.texts], log.view.working)
    inputs = prepare_all(
        settings,
        parent=run.data_parent,
        say=log.say,
        base=base,
        tokenizer=tokenizer,
        progress=log.view.working,
    )
    facts = inputs.facts
    plan = planner.plan(facts)
    need = plan.expected_memory_bytes
    if wants_shards_here(settings.hardware.shard, need, machine, world):
        need = sharded_memory(need, plan.model, processes=world.size)
    check_fit(plan, need, machine, imported=base is not None)
    if teacher is not None:
        check_given(teacher, plan.model)
        for line in may_have_read(teacher, inputs.data.fingerprint):
            log.say(line)
    for line in describe(plan, began=datetime.now() - timedelta(seconds=clock.seconds())):
        log.say(line)
    rate = planner.rates.product_rate(machine.precision, 512)
    document = _plan_document(plan, inputs, facts, machine, settings)
    document["data"]["seen"] = seen
    document |= {"matmul_rate": round(rate), "rates": planner.rates.as_dict()}
    run.write_settings(settings)
    if teacher is not None:
        document["teacher_sha256"] = keep_copy(run, teacher)
    run.write_plan(document)
    run.forget_after(-1)
    log.begin()
    return document


def _take_weights(model: Transformer, base: LoadedModel) -> None:
    """Copy the weights of the model that training starts from; a shorter context takes the first rotations only."""
    own = model.state_dict()
    for name, value in base.model.state_dict().items():
        own[name].copy_(value)


def _plan_document(
    plan: Plan, inputs: Inputs, facts: CorpusFacts, machine: Machine, settings: Settings
) -> dict[str, Any]:
    return {
        "plan": plan.as_dict(),
        "machine": asdict(machine),
        "data": {
            **folders_of(inputs),
            "texts": [absolute(one) for one in settings.corpus.texts],
            **asdict(facts),
            "content_bytes": inputs.data.validation.bytes,
            **text_facts(inputs.data.train, inputs.tokenizer.vocab_size),
        },
        "asked": comparable(settings),
        "settings": wishes(settings),
        "clock": None,
        "rollbacks": [],
        "advice": [],
        "finished": None,
        "planned_at": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


# -- an old run --------------------------------------------------------------------------------------------------


def _go_on(life: Life, log: Log, clock: Clock, world: World) -> Session:
    """An unfinished or to be extended run: the plan as saved (with what may change changed), the last good checkpoint."""
    found = world.first(lambda: take_up(life, log))
    if found is None:
        return _begin(replace(life, state="new"), log, clock, world)
    document, folder = found
    machine = find_machine(life.settings.hardware)
    _note_machine(document, machine)
    tokenizer = Tokenizer.load(folder)
    inputs = open_all(life.settings, document["data"], tokenizer=tokenizer, say=lambda line: None)
    model = Transformer(Plan.from_dict(document["plan"]).model)
    session = _session(life, document, machine, inputs, model, log, clock, world)
    restore(session, read_checkpoint(folder))
    stopper = session.state.stopper
    if stopper is not None and ("early_stopping" in life.changed or document.get("extended_at") == session.state.step):
        stopper.waited = 0  # who makes a run longer, or its patience another, wants it to go on
    return session


def _note_machine(document: dict[str, Any], machine: Machine) -> None:
    """The machine that the run goes on with, in `document`; on another one than before no speed is known."""
    before, now = document["machine"], asdict(machine)
    same = ("device", "name", "precision", "threads")
    if any(before.get(name) != now[name] for name in same):
        document.pop("matmul_rate", None)
        document["plan"]["expected_tokens_per_second"] = 0.0
    document["machine"] = now


# -- both --------------------------------------------------------------------------------------------------------


def _session(
    life: Life,
    document: dict[str, Any],
    machine: Machine,
    inputs: Inputs,
    model: Transformer,
    log: Log,
    clock: Clock,
    world: World,
) -> Session:
    schedule, plan = life.settings.schedule, Plan.from_dict(document["plan"])
    plateau = stopper = average = None
    if plan.schedule.name == "plateau":
        plateau = Plateau(schedule.plateau_every_steps, schedule.plateau_patience, factor=schedule.plateau_factor)
    if plan.early_stopping is not None:
        stopper = Patience(plan.early_stopping_every_steps, plan.early_stopping - 1)
    if plan.average.kind != "none":
        average = Average(plan.average)
    if wants_shards(life.settings.hardware.shard, plan.expected_memory_bytes, machine, world):
        log.say(f"The weights are spread over {world.size} processes (FSDP2), without torch.compile.")
        shard(model, machine, world)
    model.gradient_checkpointing, model.loss_chunk = plan.gradient_checkpointing, plan.loss_chunk
    state = TrainingState.new(
        model.to(machine.device), plan.recipe, machine, plateau=plateau, stopper=stopper, average=average
    )
    return Session(life.run, life.settings, plan, document, machine, inputs, state, log, clock, world)
