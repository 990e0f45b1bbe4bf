"""The life of a run: a new one, one to go on with, one that is finished, one to extend. Nothing is ever overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bajka.checkpoint.run_folder import RunFolder
from bajka.config import SECTION_OF, Settings, settings_with, wishes
from bajka.errors import RunError
from bajka.training.inputs import name_of
from bajka.training.plan import Plan

LENGTHS = ("minutes", "steps", "epochs")

MAY_CHANGE = frozenset(
    (*LENGTHS, "learning_rate", "adamw_learning_rate", "weight_decay", "gradient_clip", "warmup_steps")
    + ("cooldown_share", "final_rate_share", "plateau_every_steps", "plateau_patience", "plateau_factor")
    + ("micro_batch_size", "save_every_minutes", "save_every_steps", "tensorboard", "evaluate_every_steps")
    + ("evaluation_windows", "prompts", "max_new_tokens", "temperature", "top_k", "top_p", "min_p")
    + ("repetition_penalty", "device", "precision", "compile", "deterministic", "threads")
)
"""Settings that may differ when a run goes on: rate, length, intervals, prompts, hardware. Shape, tokenizer, data and
seed never."""


@dataclass(frozen=True)
class Life:
    """Which run, in which state, under which settings; `said` are sentences for the person."""

    run: RunFolder
    settings: Settings
    state: Literal["new", "continue", "finished", "extend"]
    said: tuple[str, ...] = ()
    new_length: bool = False
    changed: tuple[str, ...] = ()


def find_run(wanted: Settings, *, given: Mapping[str, Any], name: str | None = None) -> Life:
    """Decide what `bajka train` means here; `given` are the wishes of this very call, by flat name.

    Raises `RunError` when a run would have to change what never may, or when the folder is something else.
    """
    texts = wanted.corpus.texts
    if len(texts) == 1 and (Path(texts[0]).expanduser() / "config.toml").is_file():
        return _named(RunFolder.open(texts[0]), given)
    base = Path(wanted.train.out).expanduser() if wanted.train.out else Path("runs") / (name or name_of(wanted))
    said: list[str] = []
    path, number = base, 2
    while path.exists():
        run = RunFolder(path)
        if not run.config_file.is_file():
            if {entry.name for entry in path.iterdir()} <= {".lock"} if path.is_dir() else False:
                break
            raise RunError(f"{path} exists and is not a run. Choose another folder with --out.")
        if _comparable(run.settings) == _comparable(wanted):
            return _existing(run, wanted, said)
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    if path != base:
        said.append(f"{base} was made with other settings or texts; this run is {path}.")
    return Life(RunFolder(path), wanted, "new", tuple(said))


def _existing(run: RunFolder, wanted: Settings, said: list[str]) -> Life:
    """The same command again: it continues what is unfinished, and says how to extend what is finished."""
    if is_finished(run):
        return Life(run, wanted, "finished", (*said, _how_to_extend(run)))
    if not run.plan_file.is_file():
        return Life(run, wanted, "new", tuple(said))
    return Life(run, wanted, "continue", tuple(said))


def _named(run: RunFolder, given: Mapping[str, Any]) -> Life:
    """`bajka train runs/NAME`, perhaps with settings that may change."""
    old = run.settings
    changes = {name: value for name, value in given.items() if name not in ("texts", "out") and value is not None}
    fixed = {name: value for name, value in changes.items() if name not in MAY_CHANGE}
    for name, value in fixed.items():
        section = getattr(old, SECTION_OF[name])
        if getattr(section, name) != settings_with(**{name: value}).model_dump()[SECTION_OF[name]][name]:
            raise RunError(
                f"{name} = {value} cannot change in {run.path} (it was {getattr(section, name)}): shape, tokenizer, data "
                "and seed stay. Start a new run for it, perhaps with --from."
            )
    changes = {name: value for name, value in changes.items() if name in MAY_CHANGE}
    settings = settings_with(old, **changes)
    new_length = any(name in changes for name in LENGTHS)
    changed = tuple(f"{name} = {value}" for name, value in changes.items())
    said = (f"Changed for the rest of the run: {', '.join(changed)}.",) if changed else ()
    if not is_finished(run):
        return Life(run, settings, "continue", said, new_length, tuple(changes))
    if not new_length:
        return Life(run, settings, "finished", (_how_to_extend(run),))
    return Life(run, settings, "extend", said, new_length, tuple(changes))


def is_finished(run: RunFolder) -> bool:
    """Whether the run came to the end of its plan."""
    return run.plan_file.is_file() and bool(run.plan.get("finished"))


def resumed_settings(plan: Plan, settings: Settings, life: Life) -> Plan:
    """The saved plan with what the person changed since in its place."""
    o, s, names = settings.optimizer, settings.schedule, set(life.changed)
    recipe, schedule = plan.recipe, plan.schedule
    for name in names & {"learning_rate", "adamw_learning_rate", "weight_decay", "gradient_clip"}:
        recipe = replace(recipe, **{name: getattr(o, name)})
    for name in names & {"warmup_steps", "cooldown_share", "final_rate_share"}:
        schedule = replace(schedule, **{name: getattr(s, name)})
    plan = replace(plan, recipe=recipe)
    if "evaluate_every_steps" in names and settings.evaluation.evaluate_every_steps:
        plan = replace(plan, evaluate_every_steps=settings.evaluation.evaluate_every_steps)
    if "evaluation_windows" in names and settings.evaluation.evaluation_windows:
        plan = replace(plan, evaluation_windows=settings.evaluation.evaluation_windows)
    if "micro_batch_size" in names and settings.train.micro_batch_size:
        plan = replace(plan, micro_batch_size=min(settings.train.micro_batch_size, plan.global_batch_size))
    if "compile" in names and settings.hardware.compile != "auto":
        plan = replace(plan, compile=settings.hardware.compile == "on")
    if life.new_length and life.state == "continue":
        steps = s.steps
        if s.epochs is not None:
            steps = max(1, round(s.epochs * plan.expected_steps / max(plan.expected_epochs, 1e-9)))
        plan = replace(plan, minutes=s.minutes)
        schedule = replace(schedule, steps=steps)
    return replace(plan, schedule=schedule)


def _comparable(settings: Settings) -> dict[str, Any]:
    """What makes two commands the same: all wishes but the place of the run."""
    found = wishes(settings)
    found.get("train", {}).pop("out", None)
    return {section: values for section, values in found.items() if values}


def _how_to_extend(run: RunFolder) -> str:
    facts = run.plan["finished"]
    return (
        f"{run.path} is finished ({facts['step']:,} steps). Extend it: bajka train {run.path} --minutes 20 "
        f"(or --steps N). Write with it: bajka generate {run.path}"
    )
