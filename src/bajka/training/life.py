"""The life of a run: a new one, one to go on with, one that is finished, one to extend. Nothing is ever overwritten."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bajka.checkpoint.mending import mend_plan
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.corpus.sources import printable
from bajka.corpus.unchanged import changed_since
from bajka.errors import RunError
from bajka.paths import absolute, holds, typed
from bajka.planning.plan import Plan
from bajka.planning.recipe import check_final_share, plan_average
from bajka.planning.shape import Choices
from bajka.settings import SECTION_OF, settings_from, settings_with, shell_word, wishes
from bajka.training.inputs import name_of
from bajka.training.sources import texts_of

LENGTHS = ("minutes", "steps", "epochs")

MAY_CHANGE = frozenset(
    [
        "minutes",
        "steps",
        "epochs",
        "most_epochs",
        "learning_rate",
        "adamw_learning_rate",
        "weight_decay",
        "gradient_clip",
        "warmup_steps",
        "cooldown_share",
        "final_rate_share",
        "plateau_every_steps",
        "plateau_patience",
        "plateau_factor",
        "early_stopping",
        "early_stopping_every_steps",
        "average",
        "average_decay",
        "average_epochs",
        "gradient_checkpointing",
        "loss_chunk",
        "wandb",
        "shard",
        "micro_batch_size",
        "save_every_minutes",
        "save_every_steps",
        "tensorboard",
        "wandb",
        "evaluate_every_steps",
        "evaluation_windows",
        "prompts",
        "max_new_tokens",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "device",
        "precision",
        "compile",
        "deterministic",
        "threads",
        "shard",
    ]
)
"""Settings that may differ when a run goes on: rate, length, intervals, prompts, hardware. Shape, tokenizer, data and
seed never."""


_BATCHES = ("windows", "stride", "mix", "validate_on")
"""What a run with more text takes over from the one before it, of how batches are made."""


@dataclass(frozen=True)
class Life:
    """Which run, in which state, under which settings; `said` are sentences for the person."""

    run: RunFolder
    settings: Settings
    state: Literal["new", "continue", "finished", "extend"]
    said: tuple[str, ...] = ()
    new_length: bool = False
    changed: tuple[str, ...] = ()


def with_more_text(path: str | Path, add: Sequence[str]) -> Settings:
    """Settings of a new run from the weights of the run at `path`, with its tokenizer, on its texts and those of `add`.

    How texts are read and cleaned, windows, samples, evaluations and hardware stay as they were. Raises `RunError` when
    there is no such run.
    """
    run = RunFolder.open(path)
    old = wishes(run.settings)
    kept = {name: dict(old.get(name, {})) for name in ("corpus", "cleaning", "sample", "evaluation", "hardware")}
    kept["corpus"].pop("limit", None)  # the old texts would use it up, and nothing of the new ones be read
    kept["corpus"]["texts"] = list(dict.fromkeys([*run.moved(run.plan["data"])["texts"], *add]))
    batches = {name: value for name, value in old.get("train", {}).items() if name in _BATCHES}
    return settings_from(kept | {"train": batches | {"from_model": str(run.path)}})


def find_run(wanted: Settings, *, given: Mapping[str, Any], name: str | None = None) -> Life:
    """Decide what `bajka train` means here; `given` are the wishes of this very call, by flat name.

    Raises `RunError` when a run would have to change what never may, or when the folder is something else.
    """
    texts = wanted.corpus.texts
    for text in texts:
        if not text.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in text):
            raise RunError(f"The name {printable(text)} is not UTF-8, so no settings page can hold it: rename it.")
    runs = [one for one in texts if _is_run(typed(one))]
    if runs and len(texts) > 1:
        more = " ".join(shell_word(one) for one in texts if one != runs[0])
        raise RunError(
            f"{runs[0]} is a run, not a text. With more text: bajka train {shell_word(runs[0])} --add {more}"
        )
    if runs:
        run = RunFolder.open(texts[0])
        if wanted.train.out and typed(wanted.train.out).resolve() != run.path.resolve():
            raise RunError(
                f"--out {wanted.train.out}, but {run.path} goes on in its own folder. Leave --out out, or begin a new run "
                f"from its weights: bajka train TEXTS --from {shell_word(run.path)} --out {shell_word(wanted.train.out)}"
            )
        mended = mend_plan(run)
        life = _named(run, given)
        return replace(life, said=(*mended, *_other_texts(run), *life.said))
    base = typed(wanted.train.out) if wanted.train.out else Path("runs") / (name or name_of(wanted))
    said: list[str] = []
    earlier: list[str] = []
    path, number = base, 2
    while path.exists():
        run = RunFolder(path)
        if not run.config_file.is_file():
            if _is_empty(path):
                break
            raise RunError(f"{path} exists and is not a run. Choose another folder with --out.")
        said += mend_plan(run)
        if _resolved(comparable(wanted)) in (_resolved(comparable(run.settings)), _resolved(_first_asked(run))):
            changed = _other_texts(run)
            if not (changed and is_finished(run)):
                return existing(run, [*said, *changed])
            earlier = changed
        path, number = base.with_name(f"{base.name}-{number}"), number + 1
    said += earlier
    if path != base:
        said.append(f"{base} was made with other settings or texts; this run is {path}.")
    return Life(RunFolder(path), wanted, "new", tuple(said))


def _is_run(path: Path) -> bool:
    """Whether this is a run, and no other folder with a config.toml."""
    return holds(path, "config.toml") and any(holds(path, name) for name in ("plan.json", ".lock", "checkpoints"))


def _is_empty(path: Path) -> bool:
    """Whether this is a folder with nothing in it but perhaps the lock of a run that came to nothing."""
    return path.is_dir() and {entry.name for entry in path.iterdir()} <= {".lock"}


def existing(run: RunFolder, said: list[str]) -> Life:
    """The same command again: it continues what is unfinished, and says how to extend what is finished."""
    if is_finished(run):
        return Life(run, run.settings, "finished", (*said, _how_to_extend(run)))
    return Life(run, run.settings, _unfinished(run), tuple(said))


def _other_texts(run: RunFolder) -> list[str]:
    """A sentence when the texts of a run have changed since it read them; what it learns from stays."""
    data = run.moved(run.plan["data"]) if run.plan_file.is_file() else {}
    if "seen" not in data or not changed_since(texts_of(data), data["seen"]):
        return []
    texts = " ".join(shell_word(text) for text in data["texts"])
    return [
        f"The texts have changed since {run.path} read them; what it learns from stays. To go on from its weights with the "
        f"texts as they are now: bajka train {shell_word(run.path)} --add {texts}"
    ]


def _first_asked(run: RunFolder) -> dict[str, Any]:
    """What made the run, before anything was changed or made longer."""
    return (run.plan.get("asked") if run.plan_file.is_file() else None) or {}


def _resolved(asked: dict[str, Any]) -> dict[str, Any]:
    """The same wishes, with texts that are there by their place: a path may be written in many ways."""
    texts = [absolute(one) for one in asked.get("corpus", {}).get("texts", ())]
    return asked | {"corpus": asked.get("corpus", {}) | {"texts": texts}}


def _unfinished(run: RunFolder) -> Literal["new", "continue"]:
    """A run that stopped before its plan was written begins again."""
    return "continue" if run.plan_file.is_file() else "new"


def _named(run: RunFolder, given: Mapping[str, Any]) -> Life:
    """`bajka train runs/NAME`, perhaps with settings that may change."""
    old = run.settings
    wanted = {name: value for name, value in given.items() if name not in ("texts", "out") and value is not None}
    asked = settings_with(**wanted)
    changes = {name: value for name, value in wanted.items() if value_of(asked, name) != value_of(old, name)}
    for name, value in changes.items():
        if name not in MAY_CHANGE:
            raise RunError(
                f"{name} = {value} cannot change in {run.path} (it {_was(run, old, name)}): shape, tokenizer, data "
                "and seed stay. Start a new run for it, perhaps with --from."
            )
    finished, new_length = is_finished(run), any(name in wanted for name in LENGTHS)
    if finished and not new_length:
        return Life(run, old, "finished", (_how_to_extend(run),))
    if finished:  # as many minutes or steps as before are a wish too, once those are over
        changes |= {name: value for name, value in wanted.items() if name in LENGTHS}
    if {"steps", "epochs"} & changes.keys() and "most_epochs" not in wanted and old.schedule.most_epochs is not None:
        changes["most_epochs"] = None  # it is of runs in minutes
    settings = settings_with(old, **changes)
    listed = ", ".join(f"{name} = {value}" for name, value in changes.items())
    said = (f"Changed for the rest of the run: {listed}.",) if changes else ()
    new_length = any(name in changes for name in LENGTHS)
    return Life(run, settings, "extend" if finished else _unfinished(run), said, new_length, tuple(changes))


def value_of(settings: Settings, name: str) -> Any:
    """The value of a setting by its flat name."""
    return getattr(getattr(settings, SECTION_OF[name]), name)


def _was(run: RunFolder, old: Settings, name: str) -> str:
    """What a setting was, set or planned, in words."""
    value = value_of(old, name)
    if value is None and run.plan_file.is_file():
        planned = run.plan["plan"]
        named = {"schedule": planned["schedule"]["name"], "teacher": None}
        if teacher := planned.get("teacher"):
            named |= {"teacher": teacher["model"], "teacher_share": teacher["share"]}
        places = (named, planned["recipe"], planned["model"], planned)
        value = next((place[name] for place in places if name in place), None)
    return "was not set" if value is None else f"was {value}"


def is_finished(run: RunFolder) -> bool:
    """Whether the run came to the end of its plan."""
    return run.plan_file.is_file() and bool(run.plan.get("finished"))


def resumed_settings(plan: Plan, settings: Settings, life: Life) -> Plan:
    """The saved plan with what the person changed since in its place."""
    o, s, names = settings.optimizer, settings.schedule, set(life.changed)
    recipe, schedule = plan.recipe, plan.schedule
    for name in names & {"learning_rate", "adamw_learning_rate", "weight_decay", "gradient_clip"}:
        recipe = replace(recipe, **{name: getattr(o, name)})
    if "final_rate_share" in names:
        check_final_share(settings, schedule.name)
    for name in names & {"warmup_steps", "cooldown_share", "final_rate_share"}:
        schedule = replace(schedule, **{name: getattr(s, name)})
    plan = replace(plan, recipe=recipe)
    if "evaluate_every_steps" in names and settings.evaluation.evaluate_every_steps:
        plan = replace(plan, evaluate_every_steps=settings.evaluation.evaluate_every_steps)
    if "evaluation_windows" in names and settings.evaluation.evaluation_windows:
        plan = replace(plan, evaluation_windows=settings.evaluation.evaluation_windows)
    if "micro_batch_size" in names and settings.train.micro_batch_size:
        plan = replace(plan, micro_batch_size=min(settings.train.micro_batch_size, plan.global_batch_size))
    if "most_epochs" in names:
        plan = replace(plan, most_epochs=s.most_epochs)
    if "early_stopping" in names:
        plan = replace(plan, early_stopping=s.early_stopping)
    if "early_stopping_every_steps" in names and s.early_stopping_every_steps:
        plan = replace(plan, early_stopping_every_steps=s.early_stopping_every_steps)
    if "gradient_checkpointing" in names:
        plan = replace(plan, gradient_checkpointing=bool(settings.train.gradient_checkpointing))
    if "loss_chunk" in names:
        plan = replace(plan, loss_chunk=settings.train.loss_chunk)
    if names & {"average", "average_decay", "average_epochs"}:
        plan = replace(plan, average=plan_average(settings, plan.expected_steps, plan.expected_epochs, Choices()))
    if "compile" in names and settings.hardware.compile != "auto":
        plan = replace(plan, compile=settings.hardware.compile == "on")
    if life.new_length and life.state == "continue":
        steps = s.steps
        if s.epochs is not None:
            steps = max(1, round(s.epochs * plan.expected_steps / max(plan.expected_epochs, 1e-9)))
        plan = replace(plan, minutes=s.minutes)
        schedule = replace(schedule, steps=steps)
    return replace(plan, schedule=schedule)


def comparable(settings: Settings) -> dict[str, Any]:
    """What makes two commands the same: all wishes but the place of the run."""
    found = wishes(settings)
    found.get("train", {}).pop("out", None)
    if texts := found.get("corpus", {}).get("texts"):
        found["corpus"]["texts"] = [str(Path(one)) for one in texts]  # "texts/" is "texts"
    return {section: values for section, values in found.items() if values}


def _how_to_extend(run: RunFolder) -> str:
    facts, name = run.plan["finished"], shell_word(run.path)
    minutes = max(1, math.ceil(facts["seconds"] / 60))
    return (
        f"{run.path} is finished ({facts['step']:,} steps). Extend it: bajka train {name} --minutes {minutes} "
        f"(or --steps N). Write with it: bajka generate {name}"
    )
