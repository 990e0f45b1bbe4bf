"""What a run leaves for people and plots: numbers, samples, log, pictures, TensorBoard, and what it says."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.watching.plots import draw_plots
from tiny_runs import Stopped, Watcher, go_on, stop_at, tales_file, train_tiny

STEP_KEYS = {"step", "tokens", "epoch", "seconds", "train_loss", "learning_rate", "gradient_norm", "tokens_per_second"}
STEP_KEYS |= {"memory_bytes", "share", "seconds_left", "peak_share"}
EVALUATION_KEYS = {"val_loss", "val_perplexity", "val_bits_per_byte", "val_bits_per_letter", "train_sample_loss"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def watched(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bajka.Run, Watcher]:
    """A run of nine steps with evaluations at 0, 4, 8 and 9, and what was said of it."""
    watcher, out = Watcher(), tmp_path_factory.mktemp("watched") / "tales"
    wishes = {"steps": 9, "evaluate_every_steps": 4, "prompts": ("Once", "A fox"), "tensorboard": True}
    return train_tiny(texts, watcher, out=str(out), **wishes), watcher


def test_every_step_has_its_line_of_numbers(watched: tuple[bajka.Run, Watcher]) -> None:
    lines = [line for line in watched[0].metrics if "train_loss" in line]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert all(set(line) == STEP_KEYS for line in lines)
    assert lines[-1]["tokens"] == 9 * 4 * 16
    assert all(math.isfinite(value) and value >= 0 for line in lines for value in line.values())


def test_every_evaluation_has_its_line_of_numbers(watched: tuple[bajka.Run, Watcher]) -> None:
    lines = [line for line in watched[0].metrics if "val_loss" in line]
    assert [line["step"] for line in lines] == [0, 4, 8, 9]
    assert all(set(line) == EVALUATION_KEYS | {"step", "tokens", "epoch", "seconds"} for line in lines)
    last = lines[-1]
    assert last["val_perplexity"] == pytest.approx(math.exp(last["val_loss"]))
    assert last["val_bits_per_letter"] > last["val_bits_per_byte"] > 0


def test_every_evaluation_has_a_sample_of_each_prompt(watched: tuple[bajka.Run, Watcher]) -> None:
    samples = watched[0].folder.samples()
    assert [(s["step"], s["prompt"]) for s in samples] == [(n, p) for n in (0, 4, 8, 9) for p in ("Once", "A fox")]
    assert all({"text", "reason", "tokens_per_second"} <= set(s) for s in samples)


def test_a_view_is_told_every_line_that_is_written(watched: tuple[bajka.Run, Watcher]) -> None:
    run, watcher = watched
    assert watcher.steps == [line for line in run.metrics if "train_loss" in line]
    assert watcher.evaluations == [line for line in run.metrics if "val_loss" in line]
    assert watcher.samples == run.folder.samples()


def test_steps_say_their_share_of_the_run_and_of_the_machine(watched: tuple[bajka.Run, Watcher]) -> None:
    run, watcher = watched
    assert [line["share"] for line in watcher.steps] == pytest.approx([n / 9 for n in range(1, 10)], abs=1e-5)
    assert watcher.steps[0]["seconds_left"] < 8, "not a second a step: by the plan's speed, until one was timed"
    assert watcher.steps[-1]["seconds_left"] == 0
    assert run.plan["matmul_rate"] > 1e8
    assert all(0 < line["peak_share"] < 1.5 for line in watcher.steps)


def test_a_run_that_will_have_read_enough_long_before_its_minutes_says_so_from_the_start(
    texts: Path, tmp_path: Path
) -> None:
    watcher = Watcher()
    train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=None, minutes=10, most_epochs=0.5)
    assert all(line["seconds"] + line["seconds_left"] < 300 for line in watcher.steps)
    assert watcher.steps[-1]["share"] == pytest.approx(1, abs=0.05)


def test_without_prompts_the_openings_of_validation_texts_are_continued(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "run"), steps=1, prompts=None)
    prompts = {s["prompt"] for s in run.folder.samples()}
    assert len(prompts) == 3
    words = texts.read_text().split()
    assert all(word in words for prompt in prompts for word in prompt.split())


def test_the_log_has_every_line_that_was_said_dated_and_in_order(watched: tuple[bajka.Run, Watcher]) -> None:
    run, watcher = watched
    dated = [
        re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)", line)
        for line in run.folder.log_file.read_text().splitlines()
    ]
    assert [found[1] for found in dated if found] == watcher.text.splitlines()


def test_what_is_said_tells_the_texts_the_plan_a_batch_and_the_end(watched: tuple[bajka.Run, Watcher]) -> None:
    run, watcher = watched
    for beginning in (
        "Machine: ",
        "Read 1 documents, ",
        "The last 10 % of tales.txt held out",
        "Vocabulary: 300 entries (you set it)",
        "Training: ",
        "Validation: ",
        "Model: modern, ",
        "  learning_rate = 0.02: muon's usual rate",
        "A batch: 4 rows of 16 tokens, 64 targets, each the token after its input",
        "Step 0: validation loss ",
        "Step 9: validation loss ",
        "Finished 9 steps in ",
        "What came of the plan: ",
        f'  bajka generate {run.path} "',
    ):
        assert any(line.startswith(beginning) for line in watcher.lines), beginning
    assert watcher.closed


def test_a_resumed_run_logs_on(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "run"), steps=7)
    log = RunFolder(tmp_path / "run").log_file
    before = log.read_text()
    assert "Machine: " in before
    go_on(tmp_path / "run")
    assert log.read_text().startswith(before)
    assert f"Continuing from step 4 of {tmp_path / 'run'}." in log.read_text()


def test_the_plan_says_what_was_decided_where_and_on_which_data(watched: tuple[bajka.Run, Watcher]) -> None:
    plan = watched[0].plan
    assert plan["machine"]["device"] == "cpu"
    assert plan["data"]["train_tokens"] > plan["data"]["validation_tokens"] > 0
    assert Path(plan["data"]["folder"]).is_dir()
    assert plan["finished"]["step"] == 9


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize("name", ["loss.png", "perplexity.png"])
def test_the_plots_are_pictures_with_something_drawn(watched: tuple[bajka.Run, Watcher], name: str) -> None:
    path = watched[0].path / name
    width, height = png_size(path)
    assert width > 600
    assert height > 400
    assert path.stat().st_size > 15_000, "an empty pair of axes is smaller"


def test_a_run_without_numbers_has_no_plots(tmp_path: Path) -> None:
    assert draw_plots(RunFolder(tmp_path)) == []


def test_plots_are_drawn_of_a_single_evaluation(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.metrics_file.write_text('{"step": 0, "tokens": 0, "epoch": 0.0, "val_loss": 5.0, "val_perplexity": 148.4}\n')
    assert all(png_size(path) for path in draw_plots(run))


def test_tensorboard_gets_losses_rate_and_samples(watched: tuple[bajka.Run, Watcher]) -> None:
    found = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = found.EventAccumulator(str(watched[0].path / "tensorboard"))
    board.Reload()
    tags = board.Tags()
    assert {"loss/train", "loss/validation", "loss/train_sample", "learning_rate"} <= set(tags["scalars"])
    assert [event.step for event in board.Scalars("loss/train")] == list(range(1, 10))
    losses = [line["val_loss"] for line in watched[0].metrics if "val_loss" in line]
    assert [event.value for event in board.Scalars("loss/validation")] == pytest.approx(losses)
    assert "sample/Once/text_summary" in tags["tensors"]


def test_tensorboard_forgets_the_steps_that_a_resumed_run_does_again(texts: Path, tmp_path: Path) -> None:
    found = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(7), out=str(tmp_path / "run"), steps=9, tensorboard=True)
    go_on(tmp_path / "run")
    board = found.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert [event.step for event in board.Scalars("loss/train")] == list(range(1, 10))
