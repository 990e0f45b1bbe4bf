"""Two thousand damages to the files of a run: each is noticed before a step is taken or a token written from it, or it
touches nothing that matters; training goes on from a good checkpoint, says so, and ends with the bits of a run that
nothing happened to.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint import checkpoint as checkpoint_room
from bajka.checkpoint.checkpoint import find_checkpoint, verify
from bajka.checkpoint.mending import mend_plan, mend_pointers
from bajka.checkpoint.model_folder import load_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

STEPS: dict[str, Any] = {"steps": 14, "evaluate_every_steps": 4, "save_every_steps": 2, "cooldown_share": 0.5}
PAYLOAD = ("model.safetensors", "training/optimizer.safetensors")
KINDS = ("bit", "bit", "bit", "cut", "empty", "zeros", "removed", "swapped with another checkpoint", "swapped by size")


@dataclass(frozen=True)
class Made:
    """A run that crashed at step 11, with the checkpoints of 7 (before the cooldown), 8 (the best) and 10; the same run
    without a crash, and its bits at the end."""

    crashed: Path
    finished: Path
    whole: dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    texts = tales_file(folder / "texts")
    whole = bits(train_tiny(texts, out=str(folder / "whole"), **STEPS))
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(11), out=str(folder / "crashed"), **STEPS)
    return Made(folder / "crashed", folder / "whole", whole)


# -- damages -----------------------------------------------------------------------------------------------------


def damage(path: Path, kind: str, draw: random.Random, others: list[Path]) -> bool:
    """Do `kind` to the file; whether anything of it is different now."""
    before = path.read_bytes()
    other = _another(path, kind, draw, others)
    match kind:
        case "bit":
            content = bytearray(before)
            place = draw.randrange(8 * len(content))
            content[place // 8] ^= 1 << place % 8
            rewrite(path, bytes(content))
        case "cut":
            rewrite(path, before[: draw.randrange(len(before))])
        case "empty":
            rewrite(path, b"")
        case "zeros":
            rewrite(path, bytes(len(before)))
        case "removed":
            path.unlink()
        case _ if other is not None:
            rewrite(path, other.read_bytes())
            rewrite(other, before)
    return not path.exists() or path.read_bytes() != before


def _another(path: Path, kind: str, draw: random.Random, others: list[Path]) -> Path | None:
    """The file to swap with: of the same name, or of the same size."""
    same = [other for other in others if other != path and other.exists()]
    if kind == "swapped with another checkpoint":
        same = [other for other in same if other.name == path.name]
    else:
        same = [other for other in same if other.stat().st_size == path.stat().st_size]
    return draw.choice(same) if same and kind.startswith("swapped") else None


def rewrite(path: Path, content: bytes) -> None:
    """Into the same file, as a failing disk does it: hard links change with it."""
    with path.open("r+b") as file:
        file.truncate()
        file.write(content)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def copy_of(run: Path, target: Path) -> RunFolder:
    """A copy with the same hard links between `model/` and the best checkpoint."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(run, target)
    copy = RunFolder(target)
    best = copy.read_pointer("best")
    assert best is not None
    for path in list(copy.model.iterdir()):
        path.unlink()
        path.hardlink_to(copy.checkpoints / best["checkpoint"] / path.name)
    return copy


# -- checkpoints -------------------------------------------------------------------------------------------------


def damaged_checkpoints(made: Made, tmp_path: Path, count: int, *, seed: int, only: str | None = None) -> Counter[str]:
    """Damage a file of the last checkpoint, `count` times, each time in a whole run; what came of it."""
    draw, outcome = random.Random(seed), Counter[str]()
    run = copy_of(made.crashed, tmp_path / "run")
    last = run.checkpoints / (run.read_pointer("last") or {})["checkpoint"]
    for _ in range(count):
        victims = [last / name for name in PAYLOAD] if only else files_of(last)
        path = draw.choice(victims)
        touched = {other: other.read_bytes() for other in files_of(run.checkpoints)}
        if damage(path, only or draw.choice(KINDS), draw, files_of(run.checkpoints)):
            said: list[str] = []
            found = find_checkpoint(run, "last", say=said.append)
            noticed = found is not None and found != last and any(last.name in line for line in said)
            outcome["noticed" if noticed else "unnoticed"] += 1
            assert found is not None
            verify(found)
        for other, content in touched.items():
            if not other.exists() or other.read_bytes() != content:
                other.write_bytes(content)
    return outcome


def test_damage_to_a_checkpoint_is_noticed_and_the_one_before_is_named(
    made: Made, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = damaged_checkpoints(made, tmp_path, 150, seed=1)
    record_property("injected", outcome.total())
    record_property("survived", outcome["noticed"])
    assert outcome["unnoticed"] == 0
    assert outcome["noticed"] > 120


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_two_thousand_damages_to_a_checkpoint_are_all_noticed(
    made: Made, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = damaged_checkpoints(made, tmp_path, 2_400, seed=2)
    record_property("injected", outcome.total())
    record_property("survived", outcome["noticed"])
    assert outcome["unnoticed"] == 0
    assert outcome["noticed"] >= 2_000


def test_without_the_manifests_hashes_flipped_bits_of_the_payload_go_unnoticed(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint_room, "differs", lambda path, facts: False)
    outcome = damaged_checkpoints(made, tmp_path, 60, seed=3, only="bit")
    assert outcome["unnoticed"] == 60


# -- to the end --------------------------------------------------------------------------------------------------


def small_files(run: RunFolder) -> list[Path]:
    names = ["last.json", "best.json", "cooldown.json", "model.json"]
    return [run.plan_file, run.config_file, run.metrics_file, *(run.checkpoints / name for name in names)]


def torn_on(made: Made, tmp_path: Path, count: int, *, seed: int) -> Counter[str]:
    """Damage any file of a crashed run, go on, and compare the bits of the end; what came of it."""
    draw, outcome = random.Random(seed), Counter[str]()
    for _ in range(count):
        run = copy_of(made.crashed, tmp_path / "run")
        kind = draw.choice([kind for kind in KINDS if kind != "removed"])
        victims = small_files(run) if draw.random() < 0.6 else files_of(run.checkpoints)
        path = draw.choice(victims)
        damage(path, kind, draw, files_of(run.checkpoints))
        watcher = Watcher()
        try:
            ended = bits(go_on(run.path, watcher))
        except DamagedFileError:
            outcome[f"refused: {path.name} {kind}"] += 1
            continue
        outcome["the same bits" if ended == made.whole else f"other bits: {path.name} {kind}"] += 1
        outcome["said"] += "Warning:" in watcher.text
        pointer = run.read_pointer("best") or {}
        assert (run.checkpoints / pointer["checkpoint"]).is_dir()
        assert load_model(str(run.path)).model is not None
    return outcome


def test_a_run_with_a_damaged_file_ends_with_the_same_bits(
    made: Made, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = torn_on(made, tmp_path, 4, seed=1)
    record_property("injected", 4)
    record_property("survived", outcome["the same bits"])
    assert outcome["the same bits"] == 4, outcome


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_many_runs_with_a_damaged_file_end_with_the_same_bits(
    made: Made, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = torn_on(made, tmp_path, 100, seed=2)
    record_property("injected", 100)
    record_property("survived", outcome["the same bits"])
    assert outcome["the same bits"] == 100, outcome


@pytest.mark.parametrize("name", [".DS_Store", "training/Thumbs.db", "notes.txt", "model.safetensors.index.json"])
def test_a_file_that_the_manifest_does_not_know_is_harmless(made: Made, tmp_path: Path, name: str) -> None:
    """File managers leave such files everywhere; nothing reads what the manifest does not name."""
    run = copy_of(made.crashed, tmp_path / "run")
    last = run.checkpoints / (run.read_pointer("last") or {})["checkpoint"]
    (last / name).write_bytes(b"\x00Bud1")
    assert find_checkpoint(run, "last", say=pytest.fail) == last
    assert load_model(str(last)).model is not None


# -- plan, settings, pointers ------------------------------------------------------------------------------------


def mended(made: Made, tmp_path: Path, count: int, *, seed: int) -> Counter[str]:
    """Damage plan.json, config.toml or a pointer; each must be as before, or what stands in for it named aloud."""
    draw, outcome = random.Random(seed), Counter[str]()
    run = copy_of(made.crashed, tmp_path / "run")
    files = [path for path in small_files(run) if path != run.metrics_file]
    kept = {path: path.read_bytes() for path in files}
    plan, settings = run.plan, run.settings
    pointers = {name: run.read_pointer(name) for name in ("last", "best", "cooldown", "model")}
    for _ in range(count):
        path = draw.choice(files)
        damage(path, draw.choice(["bit", "bit", "bit", "cut", "empty", "zeros"]), draw, [])
        said = [*mend_plan(run), *mend_pointers(run)]
        assert run.settings == settings
        assert {name: run.plan[name] for name in ("plan", "data", "clock")} == {
            name: plan[name] for name in ("plan", "data", "clock")
        }
        same = all(
            (run.read_pointer(name) or {}).get("checkpoint") == (one or {}).get("checkpoint")
            for name, one in pointers.items()
            if name not in ("cooldown", "model")
        )
        load_model(str(run.path))
        outcome["mended" if same else f"lost: {path.name}"] += 1
        outcome["said"] += bool(said)
        for file, content in kept.items():
            file.write_bytes(content)
    return outcome


def test_plan_settings_and_pointers_are_made_good_again(made: Made, tmp_path: Path) -> None:
    outcome = mended(made, tmp_path, 30, seed=1)
    assert outcome["mended"] == 30, outcome
    assert outcome["said"] > 15


@pytest.mark.torture
def test_five_hundred_damages_to_plan_settings_and_pointers_are_made_good_again(
    made: Made, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    outcome = mended(made, tmp_path, 500, seed=2)
    record_property("injected", 500)
    record_property("survived", outcome["mended"])
    assert outcome["mended"] == 500, outcome


def test_a_plan_that_is_gone_comes_back_from_the_checkpoint(made: Made, tmp_path: Path) -> None:
    run = copy_of(made.crashed, tmp_path / "run")
    run.plan_file.unlink()
    watcher = Watcher()
    assert bits(go_on(run.path, watcher)) == made.whole
    assert "plan.json is gone; it is now as the checkpoint" in watcher.text


def test_settings_changed_by_hand_are_set_back_and_the_way_to_change_them_is_named(made: Made, tmp_path: Path) -> None:
    run = copy_of(made.crashed, tmp_path / "run")
    run.config_file.write_text(run.config_file.read_text().replace("n_layer = 2", "n_layer = 3"))
    watcher = Watcher()
    assert bits(go_on(run.path, watcher)) == made.whole
    assert "config.toml is not as the run wrote it; it is written again from plan.json" in watcher.text


# -- the published model -----------------------------------------------------------------------------------------


def opened(run: RunFolder, count: int, *, seed: int, kept: dict[Path, bytes]) -> int:
    """How many damages of the published model are noticed when the run is opened."""
    draw, noticed = random.Random(seed), 0
    for _ in range(count):
        path = draw.choice(sorted(run.model.iterdir()))
        damage(path, draw.choice([kind for kind in KINDS if not kind.startswith("swapped")]), draw, [])
        with pytest.raises(
            DamagedFileError, match=r"is damaged: it is not as it was saved\. Use an earlier one: .*step-"
        ):
            bajka.open_run(run.path).generate("Once", max_new_tokens=1)
        noticed += 1
        for file, content in kept.items():
            file.write_bytes(content)
    return noticed


@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.torture)])
def test_damage_to_the_published_model_is_noticed_before_a_token_is_written(
    made: Made, tmp_path: Path, count: int, record_property: Callable[[str, object], None]
) -> None:
    run = copy_of(made.finished, tmp_path / "run")
    noticed = opened(run, count, seed=count, kept={path: path.read_bytes() for path in run.model.iterdir()})
    record_property("injected", count)
    record_property("survived", noticed)
    assert noticed == count


def test_the_weights_of_another_checkpoint_are_noticed_in_the_published_model(made: Made, tmp_path: Path) -> None:
    run = copy_of(made.finished, tmp_path / "run")
    other = next(
        path
        for path in run.checkpoints.glob("*/model.safetensors")
        if path.read_bytes() != (run.model / path.name).read_bytes()
    )
    (run.model / other.name).unlink()
    shutil.copyfile(other, run.model / other.name)
    with pytest.raises(DamagedFileError, match=r"model.safetensors is damaged"):
        load_model(str(run.path))


def test_a_damaged_checkpoint_is_not_written_with_and_another_is_named(made: Made, tmp_path: Path) -> None:
    run = copy_of(made.finished, tmp_path / "run")
    last = run.checkpoints / (run.read_pointer("last") or {})["checkpoint"]
    damage(last / "model.safetensors", "bit", random.Random(1), [])
    with pytest.raises(DamagedFileError, match=r"Use an earlier one: .*step-") as caught:
        load_model(str(last))
    assert load_model(str(caught.value).rpartition(": ")[2]).model is not None


def test_a_damaged_best_model_is_given_up_aloud_and_the_run_finds_another(made: Made, tmp_path: Path) -> None:
    run = copy_of(made.crashed, tmp_path / "run")
    best = run.checkpoints / (run.read_pointer("best") or {})["checkpoint"]
    damage(best / "model.safetensors", "bit", random.Random(1), [])
    watcher = Watcher()
    assert bits(go_on(run.path, watcher)) == made.whole
    assert "the best model was lost" in watcher.text
    assert load_model(str(run.path)).model is not None
