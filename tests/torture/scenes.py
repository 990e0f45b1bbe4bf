"""What is done above the faulty disk: a sitting of a run with every kind of save, and preparing a corpus."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from faulty_disk import FaultyDisk, Operation, Outcome, note

import bajka
import bajka.training.finishing as finishing
from bajka import durable
from bajka.checkpoint.checkpoint import POINTERS, find_checkpoint, mark_best, read_checkpoint, save_checkpoint, verify
from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.hardware import find_machine
from bajka.model.transformer import Transformer
from bajka.planning.plan import Plan
from bajka.tokenizer import Tokenizer
from bajka.training.steps import StepReport, TrainingState
from bajka.watching.plots import draw_plots
from tiny_runs import TINY, Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

RUN: dict[str, Any] = TINY | {
    "steps": 8,
    "save_every_steps": 2,
    "evaluate_every_steps": 4,
    "evaluation_windows": 2,
    "cooldown_share": 0.5,
    "dropout": 0.1,
}
"""Saves at 0 (the best until 4), 2, 4 (the best, before the cooldown), 6 and 8 (the best): rotations at 4, 6 and 8."""


@dataclass(frozen=True)
class Scene:
    """What was there before the work, what it does to the disk, and what comes of it when nothing goes wrong."""

    before: Path
    operations: tuple[Operation, ...]
    expected: dict[str, Any]
    texts: Path


def elsewhere(operations: tuple[Operation, ...], folder: Path) -> tuple[Operation, ...]:
    """The same operations with paths relative to `folder`."""
    start = len(str(folder)) + 1
    return tuple(
        one if one.what == "note" else replace(one, path=one.path[start:], second=one.second[start:])
        for one in operations
    )


def warm_up() -> None:
    """Do once what is slow the first time: all of a run but a backward pass, which must not come before a fork."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        watcher = Watcher()
        watcher.say = _stop_at_samples  # type: ignore[method-assign]
        with suppress(Stopped):
            train_tiny(tales_file(folder / "texts", count=30), watcher, **RUN, out=str(folder / "run"))
        run = RunFolder(folder / "run")
        save(run)
        draw_plots(run)
        problems(run, at_least=0)


def save(run: RunFolder) -> None:
    """A step of the optimizer on gradients of nothing, and a checkpoint."""
    plan, tokenizer = Plan.from_dict(run.plan["plan"]), Tokenizer.load(run.plan["data"]["folder"])
    model = Transformer(plan.model)
    model.reset(0)
    state = TrainingState.new(model, plan.recipe, find_machine(run.settings.hardware))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step(0.0)
    save_checkpoint(
        run,
        1,
        write_model=lambda folder: write_model_folder(folder, model, tokenizer),
        tensors=state.optimizer.state(),
        state={"step": 1},
    )
    mark_best(run, step=1, val_loss=1.0)


def _stop_at_samples(line: str) -> None:
    if line.startswith("  ") and "tokens/s" in line:
        raise Stopped


# -- a sitting of a run --------------------------------------------------------------------------------------------


def begin(folder: Path) -> None:
    """A run in `folder`/run that a crash stopped at step 3, after its saves at 0 and 2."""
    texts = tales_file(folder / "texts", count=30)
    with suppress(Stopped):
        train_tiny(texts, stop_at(3), **RUN, out=str(folder / "run"))


def copy_of(before: Path, folder: Path) -> RunFolder:
    """The folder of a run as it was, somewhere else."""
    shutil.copytree(before, folder)
    return RunFolder(folder)


def finish(folder: Path, *, plots: bool = True, leave: int | None = None, **wishes: Any) -> dict[str, Any]:
    """Go on with the run to its end; every step is noted, so that the log tells which saves had returned.

    Without `plots` it takes half of the time. At the first step all of the disk but `leave` bytes is taken by somebody.
    """
    if not plots:
        finishing.draw_plots = lambda run: []

    def each_step(report: StepReport) -> None:
        note(f"step {report.step}")
        if leave is not None and report.step == 3:
            ballast = folder.parent / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(folder).free - leave))

    watcher = Watcher(each_step)
    run = go_on(folder, watcher, **wishes)
    note("finished")
    return facts(run) | {"said": watcher.lines}


def start(folder: Path, *, texts: str) -> dict[str, Any]:
    """A run in `folder`/runs/new from nothing to its end; data goes to `folder`/data."""
    finishing.draw_plots = lambda run: []
    watcher = Watcher(lambda report: note(f"step {report.step}"))
    run = train_tiny(texts, watcher, **RUN, out=str(folder / "runs" / "new"))
    note("finished")
    return facts(run) | {"said": watcher.lines}


def facts(run: bajka.Run) -> dict[str, Any]:
    """All of a finished run that must be the same however often it was hurt, and the names that lie in it."""
    return {
        "bits": bits(run),
        "model": durable.sha256_of(run.folder.model / "model.safetensors"),
        "metrics": [[line["step"], line.get("train_loss"), line.get("val_loss")] for line in run.metrics],
        "samples": [[line["step"], line["text"]] for line in run.folder.samples()],
        "best": (run.folder.read_pointer("best") or {}).get("step"),
        "finished": run.folder.plan["finished"] is not None,
        "names": names(run.folder.path),
    }


def names(folder: Path) -> list[str]:
    """Every name below `folder` but plots, lines of dropped steps, TensorBoard's and the pulse, a mere hint; a second name
    of a step is one."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    kept = {name for name in found if not re.search(r"tensorboard|\.png|-dropped|sitting\.json", name)}
    return sorted({re.sub(r"(step-\d+)-\d+", r"\1", name) for name in kept})


def saved_by(notes: list[str], *, least: int = 2) -> int:
    """The step of the newest save that had returned for certain when these were the notes; `least` was before."""
    if "finished" in notes:
        return RUN["steps"]
    steps = [int(one.removeprefix("step ")) for one in notes if one.startswith("step ")]
    return max([least, *((step - 1) // 2 * 2 for step in steps)])


def problems(run: RunFolder, *, at_least: int) -> list[str]:
    """What is wrong with a run that was hurt: each is a promise that is broken."""
    found: list[str] = []
    for pointer in POINTERS:
        named = run.read_pointer(pointer)
        if named is None and ((run.checkpoints / f"{pointer}.json").exists() or pointer != "cooldown"):
            found.append(f"the pointer {pointer} is gone")
        for part in ("checkpoint", "previous"):
            name = (named or {}).get(part)
            if name is not None and (trouble := _trouble(verify, run.checkpoints / name)):
                found.append(f"{pointer}'s {part}: {trouble}")
    said: list[str] = []
    last = _trouble(lambda _: _newest(run, said), run.path) or _newest(run, [])
    if isinstance(last, str) or last < at_least:
        found.append(f"step {at_least} was saved, and there is {last}")
    found += said
    for folder in run.checkpoints.glob("step-*"):
        if folder.suffix != durable.TEMPORARY and (trouble := _trouble(verify, folder)):
            found.append(f"it bears a checkpoint's name: {trouble}")
    if trouble := _trouble(lambda folder: load_model(str(folder)), run.path):
        found.append(f"model/: {trouble}")
    return found + [trouble for trouble in [_trouble(lambda _: (run.plan, run.settings), run.path)] if trouble]


def _newest(run: RunFolder, said: list[str]) -> int:
    folder = find_checkpoint(run, "last", say=said.append)
    return -1 if folder is None else int(read_checkpoint(folder).state["step"])


def _trouble(check: Any, folder: Path) -> str:
    try:
        check(folder)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def broken_promises(
    disk: FaultyDisk, before: Path, folder: Path, expected: dict[str, Any], *, heals: bool = True, **fault: Any
) -> tuple[Outcome, list[str]]:
    """Hurt a copy of the run `before` and let it go on; gives how it ended when hurt, and all that is wrong then."""
    run = copy_of(before, folder)
    hurt = disk.run("finish", run.path, **fault)
    kind = "full" if "budget" in fault else fault.get("fault")
    found = bad_end(hurt, kind, run.path) + problems(run, at_least=saved_by(hurt.notes))
    if heals:
        found += differences(disk.run("finish", run.path, plots=False, bug=fault.get("bug")), expected)
    shutil.rmtree(folder)
    return hurt, found


def bad_end(hurt: Outcome, fault: str | None, folder: Path) -> list[str]:
    """What is wrong with how it ended: a traceback, or a sentence that does not say file and space."""
    if hurt.how == "refused":
        needed = ".* are needed, " if fault == "full" else ""
        space = re.search(rf"{needed}[\d.]+ \w+ are free", hurt.answer) or fault not in ("ENOSPC", "full")
        return [] if hurt.exit_code == 3 and str(folder) in hurt.answer and space else [f"it says {hurt.answer}"]
    if hurt.how == "killed":
        return [] if fault in ("killed", "torn") else ["it died"]
    return [] if hurt.how == "done" else [hurt.answer]


def differences(healed: Outcome, expected: dict[str, Any]) -> list[str]:
    """In what a run or a corpus that was hurt and went on differs from one that never was."""
    if healed.how != "done":
        return [f"it does not go on: {healed.answer}"]
    return [
        f"{name}: {_difference(mine, expected[name])}"
        for name, mine in healed.answer.items()
        if name != "said" and mine != expected[name]
    ]


def _difference(mine: Any, theirs: Any) -> str:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        mine, theirs = list(mine.items()), list(theirs.items())
    if isinstance(mine, list) and isinstance(theirs, list):
        mine, theirs = [one for one in mine if one not in theirs], [one for one in theirs if one not in mine]
    return f"{mine} instead of {theirs}"[:400]


_DATED = ("journal.jsonl", "sources.json")


# -- preparing -----------------------------------------------------------------------------------------------------


def prepare(folder: Path, *, texts: str) -> dict[str, Any]:
    """Read, clean, split, learn a tokenizer, encode into `folder`; gives the hashes of all files made."""
    from bajka.settings import settings_with
    from bajka.tokens import prepare as preparing
    from bajka.training.inputs import prepare_inputs

    preparing._ENCODED = 4_000  # several portions and commits of a small corpus
    preparing.prepare.__kwdefaults__["portion"] = 8_000
    settings = settings_with(texts=[texts], vocab_size=300)
    said: list[str] = []
    prepare_inputs(settings, parent=folder, say=said.append)
    note("prepared")
    return {"files": contents(folder), "said": said}


def contents(folder: Path) -> dict[str, str]:
    """The hash of each file below `folder`; of those that hold times and places only that they are there."""
    return {
        path.relative_to(folder).as_posix(): "" if path.name in _DATED else durable.sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_json(path: Path) -> Any:
    """A file's JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def is_root() -> bool:
    """Whether this user may mount a disk."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
