"""A teacher: trained first and taken up again, or given; who learns from it, and what cannot."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import bajka
from bajka.checkpoint.model_folder import load_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError, Interrupted, RunError, SettingsError, TokenizerError
from bajka.training.earlier import run_of
from bajka.training.steps import StepReport
from bajka.watching.view import SilentView
from bajka.watching.watch import watch
from jobs import train_together
from resuming import differences
from tiny_runs import TINY, Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

TAUGHT: dict[str, Any] = {"teacher": "own", "steps": 8, "global_batch_size": 16, "context_length": 32}
"""A run of eight steps whose teacher has more of them in its three epochs."""


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"), count=20)


@pytest.fixture(scope="module")
def whole(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    """A run with a teacher of its own that nothing disturbed."""
    return train_tiny(texts, out=str(tmp_path_factory.mktemp("whole") / "run"), **TAUGHT)


def test_the_teacher_is_a_whole_run_inside_the_run(whole: bajka.Run) -> None:
    teacher = bajka.open_run(whole.folder.teacher)
    assert teacher.folder.plan["finished"]
    assert teacher.folder.plan["plan"]["expected_epochs"] == pytest.approx(3, abs=0.2)
    assert teacher.folder.plan["data"]["fingerprint"] == whole.folder.plan["data"]["fingerprint"]
    assert (teacher.folder.path / "loss.png").is_file()
    assert whole.folder.plan["plan"]["teacher"]["model"] == "own"


def test_the_data_of_a_teacher_is_that_of_its_run_wherever_the_project_goes(whole: bajka.Run, tmp_path: Path) -> None:
    assert RunFolder(whole.folder.teacher).data_parent == whole.folder.data_parent
    assert RunFolder(tmp_path / "runs" / "teacher").data_parent == tmp_path / "data", "no run around it"
    (tmp_path / "config.toml").touch()
    assert RunFolder(tmp_path / "run").data_parent == tmp_path / "data"


def test_a_project_that_is_moved_while_the_teacher_is_trained_goes_on(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(texts.parent, before / "texts")
    with pytest.raises(Stopped):
        train_tiny(before / "texts" / texts.name, stop_at(9), out=str(before / "runs" / "tales"), **TAUGHT)
    before.rename(after)
    assert bits(go_on(after / "runs" / "tales")) == bits(whole)


def test_a_run_with_a_teacher_is_another_one_than_without(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    alone = train_tiny(texts, out=str(tmp_path / "alone"), **TAUGHT | {"teacher": "none"})
    assert bits(alone) != bits(whole)
    assert not alone.folder.teacher.exists()


def test_torn_in_the_teacher_and_after_it_the_run_ends_with_the_same_bits(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    out = str(tmp_path / "torn")
    last = int(bits(bajka.open_run(whole.folder.teacher))["step"])
    assert last > 9
    for step in (1, 9, last):  # of the teacher
        with pytest.raises(Stopped):
            train_tiny(texts, stop_at(step), out=out, **TAUGHT)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(5), out=out, **TAUGHT)
    again = train_tiny(texts, out=out, **TAUGHT)
    assert bits(again) == bits(whole)
    assert bits(bajka.open_run(again.folder.teacher)) == bits(bajka.open_run(whole.folder.teacher))
    assert not differences(whole, again)


def test_the_minutes_of_the_teacher_are_those_of_the_run_whenever_it_was_stopped(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "torn"
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(9), out=str(out), **TAUGHT)
    run = train_tiny(texts, out=str(out), **TAUGHT)
    over = max(line["seconds"] for line in RunFolder(run.folder.teacher).metrics() if "seconds" in line)
    first = next(line for line in run.folder.metrics() if line["step"] == 1)
    assert first["seconds"] >= over


def test_the_early_first_look_of_a_run_is_at_its_teacher_too(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bajka.planning.looks.FIRST_LOOK_SECONDS", 0.001)
    changes = {"steps": None, "global_batch_size": 4, "evaluate_every_steps": None}
    run = train_tiny(texts, out=str(tmp_path / "run"), minutes=1, **TAUGHT | changes)
    first = run.folder.plan["plan"]["first_look_step"]
    teacher = RunFolder(run.folder.teacher)
    assert 0 < first < teacher.plan["plan"]["evaluate_every_steps"]
    assert first in [line["step"] for line in teacher.metrics() if "val_loss" in line]


def test_ctrl_c_in_the_last_step_of_the_teacher_stops_before_the_model(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    last, out = int(bits(bajka.open_run(whole.folder.teacher))["step"]), tmp_path / "run"
    view = Watcher(lambda report: os.kill(os.getpid(), signal.SIGINT) if report.step == last else None)
    with pytest.raises(Interrupted, match=f"Stopped at step {last} of the teacher; everything is saved"):
        train_tiny(texts, view, out=str(out), **TAUGHT)
    assert bajka.open_run(RunFolder(out).teacher).folder.plan["finished"]
    assert bits(go_on(out)) == bits(whole)


def test_what_may_change_reaches_a_teacher_that_is_not_finished(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(3), out=str(out), **TAUGHT)
    run = go_on(out, learning_rate=0.001, micro_batch_size=2, prompts=("Then",))
    for folder in (RunFolder(run.folder.teacher), run.folder):
        assert folder.plan["plan"]["recipe"]["learning_rate"] == 0.001
        assert folder.plan["plan"]["micro_batch_size"] == 2
    samples = [json.loads(line) for line in RunFolder(run.folder.teacher).samples_file.read_text().splitlines()]
    assert {line["prompt"] for line in samples if line["step"] > 3} == {"Then"}


def test_another_length_counts_the_time_of_the_teacher(texts: Path, tmp_path: Path) -> None:
    out, wishes = tmp_path / "run", TAUGHT | {"steps": None, "minutes": 10, "most_epochs": 5}
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(3), out=str(out), **wishes)
    plan = RunFolder(out).plan
    plan["plan"]["teacher"]["seconds"] = 240.0
    RunFolder(out).write_plan(plan)
    with pytest.raises(RunError, match=r"minutes = 2, but 4\.0 are used when its teacher is done"):
        bajka.train(out, view=SilentView(), minutes=2)


def test_token_files_of_others_have_a_teacher_too(whole: bajka.Run, tmp_path: Path) -> None:
    folder, ids = tmp_path / "tokens", (np.arange(9000) * 7919 % 250).astype(np.uint16)
    folder.mkdir()
    for name, part in (("train.bin", ids[:8000]), ("val.bin", ids[8000:])):
        part.tofile(folder / name)
    tokenizer = Path(whole.folder.plan["data"]["folder"]) / "tokenizer.json"
    wishes = TAUGHT | {"tokenizer": str(tokenizer), "vocab_size": None}
    run = train_tiny(folder, out=str(tmp_path / "run"), **wishes)
    assert bajka.open_run(run.folder.teacher).folder.plan["finished"]


@pytest.mark.parametrize("trouble", ["is not there", "is damaged"])
def test_the_copy_of_a_given_teacher_is_looked_at_before_anything_of_a_run_changes(
    texts: Path, whole: bajka.Run, tmp_path: Path, trouble: str
) -> None:
    out = tmp_path / "run"
    train_tiny(texts, out=str(out), **TAUGHT | {"teacher": str(whole.folder.teacher)})
    weights = RunFolder(out).teacher / "model.safetensors"
    if trouble == "is damaged":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(content)
    else:
        weights.unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "log.txt"}
    with pytest.raises(DamagedFileError, match=f"the teacher from which .* learns, {trouble}.*--from"):
        bajka.train(out, view=SilentView(), steps=20)
    assert before == {path: path.read_bytes() for path in before}


def test_the_copy_of_a_teacher_is_not_the_model_of_its_run(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = train_tiny(texts, out=str(out), **TAUGHT | {"teacher": str(whole.folder.teacher)})
    assert run_of(load_model(str(run.folder.teacher))) is None
    found = run_of(load_model(str(out)))
    assert found is not None
    assert found.path == out


def test_ctrl_c_in_the_teacher_says_how_the_run_goes_on(texts: Path, tmp_path: Path) -> None:
    out, view = tmp_path / "run", Watcher(lambda report: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match="Stopped at step 1 of the teacher; everything is saved") as caught:
        train_tiny(texts, view, out=str(out), **TAUGHT)
    assert str(caught.value).endswith(f"bajka train {out}")
    assert caught.value.exit_code == 130
    assert go_on(out).folder.plan["finished"]


def test_what_the_person_reads_names_both_and_shows_the_steps_of_both(texts: Path, tmp_path: Path) -> None:
    view = Watcher()
    run = train_tiny(texts, view, out=str(tmp_path / "run"), **TAUGHT)
    assert f"First its teacher, {run.folder.teacher}: 3 epochs." in view.lines
    assert sum("Model: modern" in line for line in view.lines) == 1
    assert len([report for report in view.reports if report.step == 1]) == 2
    losses = [one.read_pointer("best")["val_loss"] for one in (RunFolder(run.folder.teacher), run.folder)]  # type: ignore[index]
    assert losses[0] < losses[1], "eight steps are too few"
    assert f"Its teacher is better (validation loss {losses[0]:.4f}): bajka generate {run.folder.teacher}" in view.lines


def test_watching_a_run_shows_its_teacher_while_that_is_trained(texts: Path, tmp_path: Path) -> None:
    out, screens = tmp_path / "run", list[Console]()

    def look(report: StepReport) -> None:
        if report.step == 5:
            screens.append(Console(file=io.StringIO(), width=200))
            watch(RunFolder(out), console=screens[-1], once=True)

    train_tiny(texts, Watcher(look), out=str(out), **TAUGHT)
    shown = ["".join(screen.file.getvalue()) for screen in screens]  # type: ignore[attr-defined]
    assert f"{out} waits for its teacher, {out / 'teacher'}:" in shown[0]
    assert shown[0].count("Training, at step") == 2
    assert f"Follow it with: bajka watch {out / 'teacher'}" in shown[0]
    assert "teacher" not in shown[1]


def test_a_given_teacher_is_copied_and_the_run_goes_on_without_the_original(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    teacher, out = tmp_path / "elsewhere", tmp_path / "run"
    shutil.copytree(whole.folder.path, teacher)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(5), out=str(out), **TAUGHT | {"teacher": str(teacher)})
    shutil.rmtree(teacher)
    torn = go_on(out)
    assert json.loads((torn.folder.teacher / "config.json").read_text())["architectures"] == ["Qwen3ForCausalLM"]
    view = Watcher()
    same = train_tiny(texts, view, out=str(tmp_path / "same"), **TAUGHT | {"teacher": str(whole.folder.path)})
    assert bits(torn) == bits(same)
    assert "What is held out here may be among" not in view.text


def test_a_teacher_from_elsewhere_may_have_read_what_is_held_out(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    more, view = tales_file(tmp_path / "more", count=21), Watcher()
    train_tiny(
        more, view, out=str(tmp_path / "run"), **TAUGHT | {"teacher": str(whole.folder.path), "vocab_size": None}
    )
    assert f"What is held out here may be among the texts that the teacher {whole.folder.path} has read" in view.text


def test_a_model_learns_what_a_wise_teacher_expects(texts: Path, tmp_path: Path) -> None:
    """Taught by one that knows the text, a few steps bring more than without."""
    wise = train_tiny(texts, out=str(tmp_path / "wise"), **TAUGHT | {"teacher": "none", "steps": 300})
    ends = []
    for name, teacher in (("alone", "none"), ("taught", str(wise.folder.path))):
        run = train_tiny(texts, out=str(tmp_path / name), **TAUGHT | {"teacher": teacher, "steps": 60})
        ends.append([line["train_sample_loss"] for line in run.folder.metrics() if "train_sample_loss" in line][-1])
    assert ends[1] < ends[0]


def test_a_teacher_with_a_shorter_context_or_another_vocabulary_is_refused(
    texts: Path, whole: bajka.Run, tmp_path: Path
) -> None:
    given = TAUGHT | {"teacher": str(whole.folder.path)}
    with pytest.raises(SettingsError, match=r"sees 32 tokens at once, this model 64\. Set --context-length 32"):
        train_tiny(texts, out=str(tmp_path / "a"), **given | {"context_length": 64})
    with pytest.raises(TokenizerError, match="tokenizer = characters was asked for, but the model of --teacher"):
        train_tiny(texts, out=str(tmp_path / "b"), **given | {"tokenizer": "characters", "vocab_size": None})
    other = train_tiny(texts, out=str(tmp_path / "other"), **TAUGHT | {"teacher": "none", "vocab_size": 310})
    with pytest.raises(TokenizerError, match="have different tokenizers"):
        train_tiny(texts, out=str(tmp_path / "c"), from_model=str(other.folder.path), **given | {"vocab_size": None})
    assert not any((tmp_path / name).exists() for name in "abc")


def test_its_own_teacher_goes_with_no_given_weights(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    wishes = TAUGHT | {"from_model": str(whole.folder.path), "vocab_size": None}
    with pytest.raises(
        SettingsError, match="teacher = own trains two networks from the beginning, but --from was given"
    ):
        train_tiny(texts, out=str(tmp_path / "run"), **wishes)


def test_the_teacher_of_a_run_stays_what_it_was(whole: bajka.Run) -> None:
    with pytest.raises(RunError, match="teacher = none cannot change"):
        bajka.train(whole.folder.path, view=SilentView(), teacher="none", steps=20)
    with pytest.raises(RunError, match=r"teacher_share = 0\.5 cannot change in .* \(it was 0\.8\)"):
        bajka.train(whole.folder.path, view=SilentView(), teacher_share=0.5, steps=20)


def test_a_teacher_that_the_plan_chose_stays_too(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bajka.planning.teacher.TOKENS", (0, 10**9))
    out, wishes = tmp_path / "run", TAUGHT | {"teacher": None, "steps": None, "minutes": 1, "most_epochs": 5}
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(3), out=str(out), **wishes)
    assert RunFolder(out).plan["plan"]["teacher"]["model"] == "own"
    with pytest.raises(RunError, match=r"teacher = none cannot change in .* \(it was own\)"):
        bajka.train(out, view=SilentView(), teacher="none")


def test_two_processes_train_and_follow_a_teacher_as_one_does(texts: Path, whole: bajka.Run, tmp_path: Path) -> None:
    wishes = [TINY | TAUGHT | {"out": str(tmp_path / shard), "shard": shard} for shard in ("on", "off")]
    stopped = TINY | TAUGHT | {"out": str(tmp_path / "stopped"), "shard": "off", "stop_at": 4}
    told = train_together([*((texts, one) for one in wishes), (texts, stopped), (tmp_path / "stopped", {})])
    assert [[one["code"] for one in sitting] for sitting in told] == [[0, 0], [0, 0], [143, 143], [0, 0]]
    for name in ("on", "off", "stopped"):
        run = bajka.open_run(tmp_path / name)
        for one, other in ((run, whole), (bajka.open_run(run.folder.teacher), bajka.open_run(whole.folder.teacher))):
            losses = [
                [line["train_loss"] for line in each.folder.metrics() if "train_loss" in line] for each in (one, other)
            ]
            assert losses[0] == pytest.approx(losses[1], abs=1e-5)
