"""The life of a run: the same command, other settings, going on, growing longer, starting from given weights."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import bajka
from bajka import durable
from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.checkpoint.run_folder import RunFolder, read_lines
from bajka.errors import ModelError, NumericsError, RunError, SettingsError
from bajka.settings import settings_with
from bajka.training.inputs import name_of
from bajka.training.life import with_more_text
from tiny import byte_tokenizer, tiny_model
from tiny_runs import Stopped, Watcher, bits, checkpoints, go_on, stop_at, tales_file, train_tiny

STEPS = 8  # the cooldown begins after four
ASKED: dict[str, Any] = {"steps": STEPS, "warmup_steps": 1, "evaluate_every_steps": 4}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def finished_once(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    return train_tiny(texts, out=str(tmp_path_factory.mktemp("finished") / "tales"), **ASKED)


@pytest.fixture
def finished(finished_once: bajka.Run, tmp_path: Path) -> bajka.Run:
    """A copy of a finished run."""
    return bajka.open_run(shutil.copytree(finished_once.path, tmp_path / "tales"))


@pytest.fixture
def unfinished(texts: Path, tmp_path: Path) -> RunFolder:
    """A run that crashed at step 6; its last checkpoint is that of step 4."""
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "tales"), **ASKED)
    return RunFolder(tmp_path / "tales")


# -- the same command again --------------------------------------------------------------------------------------


def test_the_same_command_says_that_a_run_is_finished_and_how_to_extend_it(texts: Path, finished: bajka.Run) -> None:
    watcher, before = Watcher(), finished.folder.metrics_file.read_bytes()
    run = train_tiny(texts, watcher, out=str(finished.path), **ASKED)
    assert run.path == finished.path
    assert "is finished (8 steps). Extend it: bajka train" in watcher.text
    assert "--minutes 1 (or --steps N)" in watcher.text
    assert not watcher.reports
    assert finished.folder.metrics_file.read_bytes() == before


def test_other_settings_make_a_second_run_and_say_so(texts: Path, finished: bajka.Run) -> None:
    watcher, before = Watcher(), bits(finished)
    run = train_tiny(texts, watcher, out=str(finished.path), **ASKED | {"steps": 1})
    assert run.path == finished.path.with_name("tales-2")
    assert watcher.lines[0] == f"{finished.path} was made with other settings or texts; this run is {run.path}."
    assert bits(finished) == before
    again = Watcher()
    train_tiny(texts, again, out=str(finished.path), **ASKED | {"steps": 1})
    assert f"{run.path} is finished" in again.text


def test_without_out_a_run_is_named_after_its_texts(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train_tiny(texts, steps=1).path == Path("runs/tales")
    assert {path.name.split("-")[0] for path in (tmp_path / "data").iterdir()} == {"tales"}


def test_the_command_that_made_a_run_knows_it_after_it_was_made_longer(texts: Path, finished: bajka.Run) -> None:
    go_on(finished.path, steps=6)
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(finished.path), **ASKED)
    assert run.path == finished.path
    assert "is finished (10 steps)" in watcher.text


# -- texts that change -------------------------------------------------------------------------------------------


def test_a_finished_run_is_left_and_a_new_one_made_when_the_texts_have_changed(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    tales_file(texts)
    first = train_tiny(texts, out=str(tmp_path / "run"), steps=1)
    before, watcher = bits(first), Watcher()
    (texts / "more.txt").write_text("A text of its own, about the sea and a boat.\n" * 9, encoding="utf-8")
    second = train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=1)
    assert second.path == tmp_path / "run-2"
    assert watcher.lines[0] == (
        f"The texts have changed since {first.path} read them; what it learns from stays. To go on from its weights with "
        f"the texts as they are now: bajka train {first.path} --add {texts}"
    )
    assert bits(first) == before
    again = Watcher()
    assert train_tiny(texts, again, out=str(tmp_path / "run"), steps=1).path == second.path
    assert len(again.lines) == 1
    assert f"{second.path} is finished" in again.text


def test_an_unfinished_run_goes_on_with_the_texts_that_it_read_and_says_so(texts: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(texts, tmp_path / "mine.txt"))
    with pytest.raises(Stopped):
        train_tiny(mine, stop_at(6), out=str(tmp_path / "tales"), **ASKED)
    mine.write_text(mine.read_text(encoding="utf-8").replace("a", "o"), encoding="utf-8")  # as long as before
    by_texts, by_name = stop_at(7), Watcher()
    with pytest.raises(Stopped):
        train_tiny(mine, by_texts, out=str(tmp_path / "tales"), **ASKED)
    go_on(tmp_path / "tales", by_name)
    for watcher in (by_texts, by_name):
        assert (
            f"The texts have changed since {tmp_path / 'tales'} read them; what it learns from stays." in watcher.text
        )
        assert "Continuing from step 4" in watcher.text


def test_texts_that_were_only_touched_or_are_gone_have_not_changed(texts: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(texts, tmp_path / "mine.txt"))
    run = train_tiny(mine, out=str(tmp_path / "tales"), steps=1)
    os.utime(mine, ns=(1, 1))
    for change in (lambda: None, mine.unlink):
        change()
        watcher = Watcher()
        assert train_tiny(mine, watcher, out=str(tmp_path / "tales"), steps=1).path == run.path
        assert len(watcher.lines) == 1
        assert "is finished" in watcher.text


def test_what_holds_no_text_beside_the_texts_changes_nothing(tmp_path: Path) -> None:
    texts = tales_file(tmp_path / "t").parent
    run = train_tiny(texts, out=str(tmp_path / "x"), steps=1)
    (texts / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (texts / "page.toml").write_text("[model]\nn_layer = 2\n")
    assert train_tiny(texts, out=str(tmp_path / "x"), steps=1).path == run.path


def test_changed_texts_are_looked_for_where_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    tales_file(project / "texts")
    (elsewhere / "texts").mkdir(parents=True)
    (elsewhere / "texts" / "other.txt").write_text("Something else.")
    monkeypatch.chdir(project)
    run = train_tiny("texts", steps=1)
    watcher = Watcher()
    monkeypatch.chdir(elsewhere)
    go_on(project / run.path, watcher)
    shutil.move(project, tmp_path / "moved")
    go_on(tmp_path / "moved" / run.path, watcher)
    assert "have changed" not in watcher.text
    (tmp_path / "moved" / "texts" / "more.txt").write_text("One more.")
    go_on(tmp_path / "moved" / run.path, watcher)
    assert f"--add {tmp_path / 'moved' / 'texts'}" in watcher.text


def test_a_run_made_among_its_own_texts_does_not_become_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tales_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    first, watcher = train_tiny(".", steps=1), Watcher()
    assert train_tiny(".", watcher, steps=1).path == first.path
    assert "is finished" in watcher.text
    other = train_tiny(".", steps=2)
    assert other.plan["data"]["fingerprint"] == first.plan["data"]["fingerprint"]


# -- going on ----------------------------------------------------------------------------------------------------


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
        train_tiny(texts, stop_at(1), out=str(tmp_path / "run"), **ASKED)
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


# -- growing longer ----------------------------------------------------------------------------------------------


def test_a_run_made_longer_equals_one_that_was_long_from_the_start(
    texts: Path, finished: bajka.Run, tmp_path: Path
) -> None:
    watcher = Watcher()
    longer = go_on(finished.path, watcher, steps=8)  # from the checkpoint before the cooldown, that of step 4
    assert [report.step for report in watcher.reports] == list(range(5, 13))
    assert bits(longer) == bits(train_tiny(texts, out=str(tmp_path / "long"), **ASKED | {"steps": 12}))


def test_the_numbers_of_the_cooldown_that_was_undone_are_kept_aside(finished: bajka.Run) -> None:
    go_on(finished.path, steps=5)
    assert [line["step"] for line in finished.metrics] == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 9]
    dropped = read_lines(finished.path / "metrics-dropped.jsonl")
    assert [line["step"] for line in dropped] == [5, 6, 7, 8, 8]


def test_the_best_model_of_the_old_life_stays_until_it_is_beaten(finished: bajka.Run) -> None:
    before = finished.folder.read_pointer("best")
    weights = durable.sha256_of(finished.folder.model / "model.safetensors")
    assert before is not None
    assert before["step"] == 8
    go_on(finished.path, steps=4, learning_rate=1e-6)
    assert finished.folder.read_pointer("best") == before
    assert durable.sha256_of(finished.folder.model / "model.safetensors") == weights
    go_on(finished.path, steps=30, learning_rate=0.02)
    best = finished.folder.read_pointer("best")
    assert best is not None
    assert best["val_loss"] < before["val_loss"]
    assert durable.sha256_of(finished.folder.model / "model.safetensors") != weights


@pytest.mark.parametrize("crash", [5, 9])
def test_a_lengthening_that_crashed_goes_on_by_the_same_command(
    finished: bajka.Run, tmp_path: Path, crash: int
) -> None:
    whole = bits(go_on(shutil.copytree(finished.path, tmp_path / "whole"), steps=8))
    with pytest.raises(Stopped):
        go_on(finished.path, stop_at(crash), steps=8)
    watcher = Watcher()
    assert bits(go_on(finished.path, watcher, steps=8)) == whole
    assert watcher.reports[-1].step == 12


def test_a_run_can_be_made_longer_again_and_again(finished: bajka.Run) -> None:
    ends = [go_on(finished.path, steps=4).plan["finished"]["step"] for _ in range(2)]
    assert ends == [8, 8]  # each time from before the cooldown that began at step 4
    assert go_on(finished.path, epochs=0.1).plan["finished"]["step"] > 8


@pytest.mark.parametrize("length", [{"steps": 3}, {"minutes": 0.0001}])
def test_a_run_is_not_made_shorter_by_making_it_longer(finished: bajka.Run, length: dict[str, float]) -> None:
    weights = durable.sha256_of(finished.folder.model / "model.safetensors")
    pointers = [finished.folder.read_pointer(name) for name in ("last", "best", "cooldown")]
    with pytest.raises(RunError, match=r"it would become shorter. Give at least --(steps 4|minutes 1)"):
        go_on(finished.path, **length)
    assert bajka.open_run(finished.path).plan["finished"]["step"] == 8
    assert durable.sha256_of(finished.folder.model / "model.safetensors") == weights
    assert [finished.folder.read_pointer(name) for name in ("last", "best", "cooldown")] == pointers
    assert go_on(finished.path, steps=4).plan["finished"]["step"] == 8


def test_what_a_life_has_learned_before_an_early_end_is_not_thrown_away(finished: bajka.Run) -> None:
    wishes = {"learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 1, "early_stopping_every_steps": 1}
    run = go_on(finished.path, steps=100, **wishes)
    impatient = run.plan["clock"]["begin"]
    assert 4 < impatient < 50
    assert run.plan["finished"]["step"] == 2 * impatient
    watcher = Watcher()
    go_on(finished.path, watcher, steps=impatient, early_stopping=50)
    assert watcher.reports[0].step == impatient + 1


def test_a_lengthening_after_an_early_stop_goes_on_after_a_crash(finished: bajka.Run) -> None:
    wishes = {"learning_rate": 1e-9, "adamw_learning_rate": 1e-9, "early_stopping": 2, "early_stopping_every_steps": 1}
    stopped = go_on(finished.path, steps=100, **wishes).plan["clock"]["begin"]
    with pytest.raises(Stopped):
        go_on(finished.path, stop_at(stopped + 1), steps=stopped)
    watcher = Watcher()
    go_on(finished.path, watcher)
    assert watcher.reports, "the patience that was used up before is not held against it"


def test_a_project_that_was_moved_goes_on_and_is_evaluated(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "here" / "runs" / "tales"), **ASKED)
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
    train_tiny("tales.txt", **ASKED)
    monkeypatch.chdir(tmp_path)
    shutil.move("here", "there")
    shutil.rmtree(tmp_path / "there" / "data")
    path, watcher = tmp_path / "there" / "runs" / "tales", Watcher()
    assert with_more_text(path, ["more.txt"]).corpus.texts == (str(tmp_path / "there" / "tales.txt"), "more.txt")
    go_on(path, watcher, steps=4)
    assert "preparing it again" in watcher.text
    assert bajka.open_run(path).plan["data"]["texts"] == [str(tmp_path / "there" / "tales.txt")]


def test_a_run_among_texts_is_no_text(texts: Path, finished: bajka.Run) -> None:
    with pytest.raises(RunError, match=rf"is a run, not a text. With more text: bajka train \S+ --add {texts}"):
        bajka.train([str(finished.path), str(texts)], steps=1)


def test_a_run_does_not_go_on_elsewhere(finished: bajka.Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="goes on in its own folder"):
        bajka.train(str(finished.path), steps=4, out=str(tmp_path / "elsewhere"))
    assert go_on(finished.path, steps=4, out=str(finished.path)).path == finished.path


def test_texts_are_the_same_however_their_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = tales_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert train_tiny(texts.name, steps=1).path == train_tiny(texts, steps=1).path


def test_a_folder_with_and_without_a_slash_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tales_file(tmp_path / "texts")
    first = train_tiny("texts/", steps=1)  # type: ignore[arg-type]
    assert train_tiny("texts", steps=1).path == first.path  # type: ignore[arg-type]


def test_more_text_is_read_though_the_run_had_a_limit(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "runs" / "tales"), limit="10kB", steps=2)
    (tmp_path / "zebra.txt").write_text("The zebra and the quagga went to the river. " * 400)
    settings = with_more_text(run.path, [str(tmp_path / "zebra.txt")])
    assert settings.corpus.limit is None
    assert settings.corpus.texts[-1].endswith("zebra.txt")


def test_what_was_planned_is_named_when_it_cannot_change(finished: bajka.Run) -> None:
    with pytest.raises(RunError, match=r"n_inner = 48 cannot change in .* \(it was \d+\)"):
        go_on(finished.path, steps=4, n_inner=48)


def test_another_machine_is_written_down_and_its_speed_is_not_known(finished: bajka.Run) -> None:
    watcher = Watcher()
    threads = torch.get_num_threads() + 1
    run = go_on(finished.path, watcher, steps=8, threads=threads)
    assert run.plan["machine"]["threads"] == threads
    assert "tokens a second (planned" not in watcher.text


def test_a_cosine_run_is_made_longer_from_its_end(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "run"), **ASKED | {"schedule": "cosine", "steps": 5})
    watcher = Watcher()
    go_on(run.path, watcher, steps=3)
    assert [report.step for report in watcher.reports] == [6, 7, 8]


# -- folders that are something else -----------------------------------------------------------------------------


def test_a_folder_that_is_something_else_is_refused(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(RunError, match=r"photos exists and is not a run. Choose another folder with --out."):
        train_tiny(texts, out=str(tmp_path / "photos"), steps=1)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_file_is_refused_as_a_runs_folder(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="file exists and is not a run"):
        train_tiny(texts, out=str(tmp_path / "file"), steps=1)


def test_an_empty_folder_is_used(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert train_tiny(texts, out=str(tmp_path / "run"), steps=1).path == tmp_path / "run"


HOLD = """
import sys
from pathlib import Path
from bajka.checkpoint.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_in_the_same_run_is_refused(unfinished: RunFolder) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    before = unfinished.plan_file.read_bytes()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(unfinished.path)], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="Another process is training in"):
            go_on(unfinished.path)
        process.communicate("")
    assert unfinished.plan_file.read_bytes() == before


# -- from given weights ------------------------------------------------------------------------------------------


def test_a_run_from_another_one_starts_where_that_ended_gently_and_with_its_vocabulary(
    texts: Path, finished: bajka.Run, tmp_path: Path
) -> None:
    other = tales_file(tmp_path / "other", count=30)
    wishes = {"n_layer": None, "n_embd": None, "n_head": None, "vocab_size": None, "context_length": None}
    run = train_tiny(other, out=str(tmp_path / "tuned"), from_model=str(finished.path), steps=2, **wishes)
    recipe = run.plan["plan"]["recipe"]
    assert (recipe["optimizer"], recipe["learning_rate"]) == ("adamw", 1e-3)
    assert run.loaded.tokenizer.fingerprint == finished.loaded.tokenizer.fingerprint
    first, last = (line["val_loss"] for line in run.metrics if "val_loss" in line)
    assert first == pytest.approx(finished.evaluate([str(other)]).loss, abs=0.3)
    assert last < first < 5.6  # nats of a fresh model: ln 300 = 5.7


def test_a_run_from_a_hugging_face_folder_keeps_its_shape_and_its_vocabulary(texts: Path, tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    (tmp_path / "gpt2").mkdir()
    write_model_folder(tmp_path / "gpt2", model, byte_tokenizer())
    wishes = {"n_layer": None, "n_embd": None, "n_head": None, "vocab_size": None, "context_length": None}
    run = train_tiny(texts, out=str(tmp_path / "run"), from_model=str(tmp_path / "gpt2"), steps=1, **wishes)
    trained = load_model(str(run.path)).model
    assert trained.config == model.config.model_copy(update={"dropout": 0.0})
    assert trained.config.vocab_size == run.loaded.tokenizer.vocab_size == 257
    difference = max(
        float((p - q).detach().abs().max()) for p, q in zip(trained.parameters(), model.parameters(), strict=True)
    )
    assert 0 < difference < 1.1 * run.plan["plan"]["recipe"]["learning_rate"]  # AdamW's first step, and the decay


def test_given_weights_that_are_not_there_leave_nothing_behind(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no run or model"):
        train_tiny(texts, out=str(tmp_path / "runs" / "run"), from_model=str(tmp_path / "nowhere"), steps=1)
    assert not list(tmp_path.iterdir())


def test_a_shape_beside_given_weights_is_refused(texts: Path, finished: bajka.Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="n_layer = 5 was asked for, but the weights of --from have 2"):
        train_tiny(texts, out=str(tmp_path / "x"), from_model=str(finished.path), steps=1, n_layer=5)
    assert not (tmp_path / "x").exists()


def test_a_run_on_an_archive_is_named_without_its_endings() -> None:
    assert name_of(settings_with(texts=("texts/tales.tar.gz",))) == "tales"
    assert name_of(settings_with(texts=("hf:somebody/tales:train",))) == "tales-train"


def test_a_name_that_no_settings_page_can_hold_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"n\xff.txt")
    with pytest.raises(RunError, match=r"The name n\\xff.txt is not UTF-8"):
        train_tiny(name, steps=1)
