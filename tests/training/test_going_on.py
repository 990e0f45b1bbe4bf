"""An unfinished run goes on: by its folder, with other wishes, after a crash, moved, on another machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import NumericsError, RunError
from bajka.training.life import with_more_text
from tiny_runs import EIGHT_STEPS, STEPS, Stopped, Watcher, bits, checkpoints, go_on, stop_at, tales_file, train_tiny


def test_train_with_the_runs_folder_goes_on(unfinished: RunFolder) -> None:
    watcher = Watcher()
    go_on(unfinished.path, watcher)
    assert [report.step for report in watcher.reports] == [5, 6, 7, 8]
    assert f"Continuing from step 4 of {unfinished.path}." in watcher.lines


def test_train_with_the_folder_of_a_finished_run_says_how_to_extend(finished: bajka.Run) -> None:
    watcher = Watcher()
    go_on(finished.path, watcher)
    assert "is finished (8 steps). Extend it" in watcher.text
    assert not watcher.reports


@pytest.mark.parametrize(
    ("wish", "was"),
    [({"n_layer": 3}, 2), ({"seed": 2}, 1337), ({"vocab_size": 400}, 300), ({"family": "gpt2"}, "modern")],
)
def test_shape_tokenizer_data_and_seed_never_change(unfinished: RunFolder, wish: dict[str, Any], was: Any) -> None:
    before = unfinished.config_file.read_bytes(), unfinished.plan_file.read_bytes()
    name, value = next(iter(wish.items()))
    with pytest.raises(RunError, match=rf"{name} = {value} cannot change in .* \(it was {was}\).*--from"):
        go_on(unfinished.path, **wish)
    assert (unfinished.config_file.read_bytes(), unfinished.plan_file.read_bytes()) == before


def test_rate_intervals_and_prompts_may_change_and_that_is_logged(unfinished: RunFolder) -> None:
    watcher = Watcher()
    run = go_on(unfinished.path, watcher, learning_rate=0.001, evaluate_every_steps=3, prompts=("The fox",))
    changed = "Changed for the rest of the run: learning_rate = 0.001, prompts = ['The fox'], evaluate_every_steps = 3."
    assert changed in watcher.lines
    assert changed in run.folder.log_file.read_text(encoding="utf-8")
    assert max(report.learning_rate for report in watcher.reports) <= 0.001
    assert [line["step"] for line in run.metrics if "val_loss" in line] == [0, 4, 6, 8]
    assert run.folder.samples()[-1]["prompt"] == "The fox"
    assert run.settings.optimizer.learning_rate == 0.001


def test_what_is_asked_as_it_was_is_no_change(unfinished: RunFolder) -> None:
    watcher = Watcher()
    go_on(unfinished.path, watcher, n_layer=2, seed=1337, steps=STEPS)
    assert "Changed" not in watcher.text
    assert watcher.reports[-1].step == STEPS


def test_an_unfinished_run_can_get_another_length(unfinished: RunFolder) -> None:
    watcher = Watcher()
    run = go_on(unfinished.path, watcher, steps=11)
    assert watcher.reports[-1].step == 11
    assert run.plan["plan"]["expected_steps"] == 11
    assert run.plan["plan"]["expectation"] is None


def test_an_unfinished_run_with_more_minutes_says_when_the_text_is_read_often_enough(
    texts: Path, tmp_path: Path
) -> None:
    asked = {"out": str(tmp_path / "x"), "minutes": 0.2, "most_epochs": 3}
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), **asked)
    watcher = Watcher()
    run = go_on(tmp_path / "x", watcher, minutes=600)
    assert run.plan["finished"]["step"] == run.plan["plan"]["expected_steps"]
    assert f"It may end at step {run.plan['finished']['step']:,}, when the text was read 3 times" in watcher.text


@pytest.mark.parametrize("length", [{"steps": 4}, {"minutes": 1e-6}, {"epochs": 1e-3}])
def test_an_unfinished_run_is_not_made_shorter_than_it_is(unfinished: RunFolder, length: dict[str, float]) -> None:
    before = unfinished.plan_file.read_bytes(), unfinished.config_file.read_bytes()
    with pytest.raises(RunError, match="of a run that is not finished are counted from its beginning"):
        go_on(unfinished.path, **length)
    assert (unfinished.plan_file.read_bytes(), unfinished.config_file.read_bytes()) == before


def test_without_its_checkpoints_a_run_does_not_begin_again_over_its_model(finished: bajka.Run) -> None:
    shutil.rmtree(finished.folder.checkpoints)
    before = (finished.folder.model / "model.safetensors").read_bytes(), finished.folder.metrics_file.read_bytes()
    with pytest.raises(RunError, match=r"The checkpoints of .* are gone.*bajka train TEXTS --from"):
        go_on(finished.path, steps=4)
    after = (finished.folder.model / "model.safetensors").read_bytes(), finished.folder.metrics_file.read_bytes()
    assert after == before


def test_a_folder_of_texts_with_a_config_of_its_own_is_no_run(tmp_path: Path) -> None:
    blog = tales_file(tmp_path / "blog").parent
    (blog / "config.toml").write_text('baseURL = "https://example.org"\n')
    assert train_tiny(blog, out=str(tmp_path / "x"), steps=1).path == tmp_path / "x"


def test_prepared_data_that_is_gone_is_made_again_to_the_same_bits(
    texts: Path, unfinished: RunFolder, finished_once: bajka.Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = Path(unfinished.plan["data"]["folder"])
    shutil.rmtree(data)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    watcher = Watcher()
    run = go_on(unfinished.path, watcher)
    assert f"The prepared data {data} is gone; preparing it again." in watcher.lines
    assert bits(run) == bits(finished_once)


def test_texts_that_changed_meanwhile_are_refused(tmp_path: Path) -> None:
    texts = tales_file(tmp_path / "texts", count=30)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(1), out=str(tmp_path / "run"), **EIGHT_STEPS)
    shutil.rmtree(Path(RunFolder(tmp_path / "run").plan["data"]["folder"]))
    texts.write_text(texts.read_text() + "\n\nOne tale more.")
    with pytest.raises(RunError, match=r"The texts or the tokenizer are not those of .*run.*use --from"):
        go_on(tmp_path / "run")


@pytest.mark.parametrize("last_words", ["A batch: ", "Step 0: ", "  Once"])
@pytest.mark.parametrize("when", ["before the first checkpoint", "before the plan"])
def test_a_run_that_crashed_before_its_first_numbers_begins_again(
    texts: Path, tmp_path: Path, when: str, last_words: str
) -> None:
    class CrashesEarly(Watcher):
        def say(self, line: str) -> None:
            if line.startswith(last_words):  # before the first checkpoint, its evaluation, its sample
                raise Stopped

    with pytest.raises(Stopped):
        train_tiny(texts, CrashesEarly(), out=str(tmp_path / "run"), steps=2)
    if when == "before the plan":
        (tmp_path / "run" / "plan.json").unlink()
    run = go_on(tmp_path / "run")
    assert [line["step"] for line in run.metrics] == [0, 1, 2, 2]
    assert [line["step"] for line in run.folder.samples()] == [0, 2]


def test_a_crash_right_after_the_first_checkpoint_does_not_look_at_step_0_twice(texts: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(Stopped):
            train_tiny(texts, stop_at(1), out=str(tmp_path / "run"), steps=2)
    run = go_on(tmp_path / "run")
    assert [line["step"] for line in run.metrics] == [0, 1, 2, 2]
    assert checkpoints(run.folder) == ["step-000001", "step-000002"]


def test_weights_that_are_no_numbers_are_never_saved_and_a_lower_rate_rescues_the_run(
    texts: Path, tmp_path: Path
) -> None:
    wild = {"optimizer": "adamw", "learning_rate": 1e38, "gradient_clip": 0.0, "warmup_steps": 0, "save_every_steps": 1}
    with pytest.raises(NumericsError, match=r"The last checkpoint is good: continue .*lower") as caught:
        train_tiny(texts, out=str(tmp_path / "run"), steps=20, **wild)
    assert caught.value.exit_code == 5
    assert len(RunFolder(tmp_path / "run").plan["rollbacks"]) == 3
    watcher = Watcher()
    run = go_on(tmp_path / "run", watcher, learning_rate=1e-3)
    assert watcher.reports[-1].learning_rate <= 1e-3
    assert all(bool(p.isfinite().all()) for p in run.loaded.model.parameters())


def test_a_project_that_was_moved_goes_on_and_is_evaluated(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "here" / "runs" / "tales"), **EIGHT_STEPS)
    loss = run.evaluate()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = bajka.open_run(tmp_path / "there" / "runs" / "tales")
    assert moved.evaluate() == loss
    watcher = Watcher()
    go_on(moved.path, watcher, steps=4)
    assert "preparing it again" not in watcher.text
    assert moved.plan["data"]["folder"].startswith(str(tmp_path / "there"))


def test_a_project_that_was_moved_without_its_data_finds_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tales_file(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    train_tiny("tales.txt", **EIGHT_STEPS)
    monkeypatch.chdir(tmp_path)
    shutil.move("here", "there")
    shutil.rmtree(tmp_path / "there" / "data")
    path, watcher = tmp_path / "there" / "runs" / "tales", Watcher()
    assert with_more_text(path, ["more.txt"]).corpus.texts == (str(tmp_path / "there" / "tales.txt"), "more.txt")
    go_on(path, watcher, steps=4)
    assert "preparing it again" in watcher.text
    assert bajka.open_run(path).plan["data"]["texts"] == [str(tmp_path / "there" / "tales.txt")]


def test_what_was_planned_is_named_when_it_cannot_change(finished: bajka.Run) -> None:
    with pytest.raises(RunError, match=r"n_inner = 48 cannot change in .* \(it was \d+\)"):
        go_on(finished.path, steps=4, n_inner=48)


def test_another_machine_is_written_down_and_its_speed_is_not_known(finished: bajka.Run) -> None:
    watcher = Watcher()
    threads = torch.get_num_threads() + 1
    run = go_on(finished.path, watcher, steps=8, threads=threads)
    assert run.plan["machine"]["threads"] == threads
    assert "tokens a second (planned" not in watcher.text


def test_a_run_does_not_go_on_elsewhere(finished: bajka.Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="goes on in its own folder"):
        bajka.train(str(finished.path), steps=4, out=str(tmp_path / "elsewhere"))
    assert go_on(finished.path, steps=4, out=str(finished.path)).path == finished.path
