"""`train`: the caller of the loop. It finds or makes the run, prepares, plans, trains, and returns the finished run."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bajka.checkpoint.checkpoint import Checkpoint, load_checkpoint
from bajka.checkpoint.model_folder import LoadedModel, load_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings, settings_with
from bajka.distributed import World, join_world
from bajka.errors import Interrupted, RunError
from bajka.hardware import Machine, check_memory, find_machine, matmul_rate
from bajka.model.transformer import Transformer
from bajka.run import Run, open_run
from bajka.tokenizer import Tokenizer
from bajka.tokens.store import open_token_data
from bajka.training.clock import Clock
from bajka.training.inputs import Inputs, openings_of, prepare_inputs
from bajka.training.life import Life, find_run, resumed_settings
from bajka.training.plan import Plan, make_plan
from bajka.training.plots import draw_plots
from bajka.training.schedule import Plateau
from bajka.training.session import Session
from bajka.training.steps import TrainingState
from bajka.training.view import ConsoleView, SilentView, View, duration


def train(
    texts: str | Path | list[str | Path] | None = None,
    *,
    settings: Settings | None = None,
    view: View | None = None,
    clock: Clock | None = None,
    name: str | None = None,
    **wishes: Any,
) -> Run:
    """Train a model on `texts` (files and folders), or go on with a run given by its folder; returns the finished run.

    `wishes` are settings by their flat names (`minutes=5`, `n_layer=4`, `out="runs/mine"`), on top of `settings`. Blocks
    until the end; progress goes to `view` (default: the terminal). The same call again continues an unfinished run.
    Raises `bajka.errors.BajkaError`: `Interrupted` after a signal, with everything saved.
    """
    clock = clock or Clock()
    world = join_world()
    view = (view or ConsoleView()) if world.speaks else SilentView()
    if texts is not None:
        wishes["texts"] = [str(texts)] if isinstance(texts, str | Path) else [str(one) for one in texts]
    wanted = settings_with(settings, **wishes)
    life = find_run(wanted, given=wishes, name=name)
    for line in life.said:
        view.say(line)
    if life.state == "finished":
        return open_run(life.run.path)
    with life.run.lock() if world.speaks else _nothing():
        session = _begin(life, view, clock, world) if life.state == "new" else _go_on(life, view, clock, world)
        try:
            session.go()
            _end(session)
        except (Interrupted, KeyboardInterrupt):
            draw_plots(life.run)
            raise
        finally:
            session.record.close()
            view.close()
    return open_run(life.run.path)


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def _begin(life: Life, view: View, clock: Clock, world: World) -> Session:
    """A new run: texts to ids, a plan with reasons, a model with fresh or given weights."""
    settings, run = life.settings, life.run
    machine = find_machine(settings.hardware)
    view.say(f"Machine: {machine.name}, {machine.precision}.")
    base = load_model(settings.train.from_model) if settings.train.from_model else None
    inputs = prepare_inputs(
        settings, parent=data_folder(run), say=view.say, tokenizer=None if base is None else base.tokenizer.with_start()
    )
    plan = plan_for(settings, inputs, machine, base)
    check_memory(plan.expected_memory_bytes, machine, what="Training this model")
    for line in describe(plan):
        view.say(line)
    document = _plan_document(plan, inputs, machine, settings)
    if world.speaks:
        run.write_settings(settings)
        run.write_plan(document)
    world.wait()
    model = Transformer(plan.model)
    if base is None:
        model.reset(plan.seed)
    else:
        _take_weights(model, base)
    return _session(life, plan, document, machine, inputs, model, view, clock, world)


def _go_on(life: Life, view: View, clock: Clock, world: World) -> Session:
    """An unfinished or to be extended run: the plan as saved (with what may change changed), the last good checkpoint."""
    run, settings = life.run, life.settings
    document = run.plan
    machine = find_machine(settings.hardware)
    plan = resumed_settings(Plan.from_dict(document["plan"]), settings, life)
    pointer = "cooldown" if life.state == "extend" and run.read_pointer("cooldown") else "last"
    checkpoint = load_checkpoint(run, pointer, say=view.say)
    if checkpoint is None:
        return _begin(replace(life, state="new"), view, clock, world)
    inputs = _inputs_of(run, settings, document, checkpoint, view)
    plan = _extended(plan, checkpoint, settings) if life.state == "extend" else plan
    document |= {"plan": plan.as_dict(), "finished": None}
    if life.state == "extend" or life.new_length:
        document["clock"] = None
        checkpoint.state["cooldown"] = None
    if world.speaks:
        run.write_settings(settings)
        run.write_plan(document)
    session = _session(life, plan, document, machine, inputs, Transformer(plan.model), view, clock, world)
    session.restore(checkpoint)
    return session


def _session(
    life: Life,
    plan: Plan,
    document: dict[str, Any],
    machine: Machine,
    inputs: Inputs,
    model: Transformer,
    view: View,
    clock: Clock,
    world: World,
) -> Session:
    schedule = life.settings.schedule
    plateau = None
    if plan.schedule.name == "plateau":
        plateau = Plateau(schedule.plateau_every_steps, schedule.plateau_patience, schedule.plateau_factor)
    state = TrainingState.new(model.to(machine.device), plan.recipe, machine, plateau=plateau)
    return Session(life.run, life.settings, plan, document, machine, inputs, state, view, clock, world)


def _end(session: Session) -> None:
    """The last words: how long it took, the best loss, what to type next."""
    run, state = session.run, session.state
    if not session.world.speaks:
        return
    draw_plots(run)
    seconds = session.clock.seconds()
    session.plan_file["finished"] = {"step": state.step, "seconds": round(seconds, 1)}
    run.write_plan(session.plan_file)
    best = run.read_pointer("best") or {}
    session.say(
        f"Finished {state.step:,} steps in {duration(seconds)}. The best model is that of step {best.get('step', 0):,} "
        f"(validation loss {best.get('val_loss', float('nan')):.4f}): {run.model}"
    )
    session.say(f'Write with it: bajka generate {run.path} "{(session.inputs.openings or ("",))[0]}"')


def plan_for(settings: Settings, inputs: Inputs, machine: Machine, base: LoadedModel | None) -> Plan:
    """The plan of a new run, with the machine's matrix rate measured for a third of a second."""
    return make_plan(
        settings,
        inputs.facts,
        machine,
        matmul_rate=matmul_rate(machine.device, machine.dtype),
        imported=None if base is None else base.model.config,
    )


def describe(plan: Plan) -> list[str]:
    """The plan as lines for a person: the shape, then every chosen number with its reason, then notes."""
    from bajka.model.estimate import flops_per_token, parameters

    m = plan.model
    lines = [
        f"Model: {m.family}, {parameters(m):,} weights ({parameters(m, embeddings=False):,} without embeddings), "
        f"{flops_per_token(m) / 1e6:,.1f} MFLOP a token, about {plan.expected_memory_bytes / 2**20:,.0f} MB to train."
    ]
    values = (
        plan.__dict__ | asdict(plan.recipe) | asdict(plan.schedule) | {"schedule": plan.schedule.name} | m.model_dump()
    )
    lines += [f"  {name} = {_short(values.get(name))}: {reason}" for name, reason in plan.reasons.items()]
    length = f"{plan.minutes:g} minutes" if plan.minutes is not None else f"{plan.expected_steps:,} steps"
    lines.append(
        f"Expected: {length}, about {plan.expected_tokens_per_second:,.0f} tokens/s, {plan.expected_steps:,} steps, "
        f"{plan.expected_epochs:.1f} epochs."
    )
    return [*lines, *plan.notes]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def data_folder(run: RunFolder) -> Path:
    """Where prepared ids go: `data/` beside `runs/`, or beside the run itself."""
    parent = run.path.parent
    return (parent.parent if parent.name == "runs" else parent) / "data"


def _plan_document(plan: Plan, inputs: Inputs, machine: Machine, settings: Settings) -> dict[str, Any]:
    facts = inputs.facts
    return {
        "plan": plan.as_dict(),
        "machine": asdict(machine),
        "data": {
            "folder": str(inputs.data.folder.resolve()),
            "fingerprint": inputs.data.fingerprint,
            "tokenizer": inputs.tokenizer.fingerprint,
            "texts": [str(Path(one).expanduser().resolve()) for one in settings.corpus.texts],
            **asdict(facts),
            "content_bytes": inputs.data.validation.bytes,
        },
        "clock": None,
        "finished": None,
        "planned_at": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _inputs_of(
    run: RunFolder, settings: Settings, document: dict[str, Any], checkpoint: Checkpoint, view: View
) -> Inputs:
    """The prepared data of a run, checked against its fingerprint; prepared again if the folder is gone."""
    tokenizer = Tokenizer.load(checkpoint.folder)
    facts = document["data"]
    folder = Path(facts["folder"])
    if (folder / "meta.json").is_file():
        data = open_token_data(folder)
        inputs = Inputs(data, tokenizer, openings_of(data, tokenizer))
    else:
        view.say(f"The prepared data {folder} is gone; preparing it again.")
        inputs = prepare_inputs(settings, parent=data_folder(run), say=view.say, tokenizer=tokenizer)
    if inputs.data.fingerprint != facts["fingerprint"] or tokenizer.fingerprint != facts["tokenizer"]:
        raise RunError(
            f"The texts or the tokenizer are not those of {run.path} (data {inputs.data.fingerprint}, was "
            f"{facts['fingerprint']}; tokenizer {tokenizer.fingerprint}, was {facts['tokenizer']}). Start a new run, or "
            f"use --from {run.path}."
        )
    return inputs


def _extended(plan: Plan, checkpoint: Checkpoint, settings: Settings) -> Plan:
    """A finished run's plan with more minutes or steps, counted from the checkpoint before its cooldown."""
    wish, step = settings.schedule, int(checkpoint.state["step"])
    if wish.minutes is not None:
        minutes = wish.minutes + float(checkpoint.state["active_seconds"]) / 60
        return replace(plan, minutes=minutes, schedule=replace(plan.schedule, steps=None))
    more = wish.steps
    if more is None:
        assert wish.epochs is not None
        more = max(1, round(wish.epochs * plan.expected_steps / max(plan.expected_epochs, 1e-9)))
    return replace(plan, minutes=None, schedule=replace(plan.schedule, steps=step + more))


def _take_weights(model: Transformer, base: LoadedModel) -> None:
    """Copy the weights of the model that training starts from; a shorter context takes the first rotations only."""
    own = model.state_dict()
    for name, value in base.model.state_dict().items():
        own[name].copy_(value)
