"""One prompt through time."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console

from bajka.checkpoint.run_folder import RunFolder, json_line
from bajka.errors import RunError
from bajka.watching.story import show_story, spread, story_of


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with a hundred evaluations of two prompts."""
    folder = RunFolder(tmp_path / "alice")
    folder.path.mkdir()
    steps = range(0, 1000, 10)
    judged = ({"step": n, "epoch": n / 100, "val_loss": 9 - n / 200} for n in steps)
    folder.metrics_file.write_text("".join(map(json_line, judged)))
    written = ({"step": n, "prompt": p, "text": f" is|was {n}\nyears."} for n in steps for p in ("Alice", "Лиса"))
    folder.samples_file.write_text("".join(map(json_line, written)), encoding="utf-8")
    return folder


def test_each_prompt_has_its_moments_with_step_epoch_loss_and_text(run: RunFolder) -> None:
    story = story_of(run)
    assert list(story) == ["Alice", "Лиса"]
    last = story["Alice"][-1]
    assert (last.step, last.epoch, last.loss, last.text) == (990, 9.9, 9 - 990 / 200, " is|was 990\nyears.")


def test_the_moments_are_few_and_denser_at_the_beginning(run: RunFolder) -> None:
    steps = [moment.step for moment in story_of(run)["Alice"]]
    assert 8 <= len(steps) <= 12
    assert (steps[0], steps[1], steps[-1]) == (0, 10, 990)
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert gaps == sorted(gaps)


@pytest.mark.parametrize("count", [1, 2, 12])
def test_a_short_story_is_told_whole(count: int) -> None:
    assert spread(range(count), most=12) == list(range(count))


def test_a_sample_without_an_evaluation_has_no_loss(run: RunFolder) -> None:
    run.metrics_file.unlink()
    assert all(math.isnan(moment.loss) for moment in story_of(run)["Alice"])


def test_elsewhere_than_in_a_terminal_the_story_is_a_page_of_markdown(run: RunFolder) -> None:
    file = io.StringIO()
    show_story(run, Console(file=file, soft_wrap=True))
    lines = file.getvalue().splitlines()
    assert lines[0] == "# alice: one prompt through time"
    assert "## Лиса" in lines
    assert "| 990 | 9.90 | 4.050 | is\\|was 990 years. |" in lines


def test_in_a_terminal_the_story_is_paragraphs(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    show_story(run, Console(file=file, force_terminal=True, color_system=None, width=60, soft_wrap=True))
    assert "after 990 steps, epoch 9.90, validation loss 4.050\n  Лиса is|was 990 years." in file.getvalue()


def test_a_run_without_samples_has_no_story_yet(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="has no samples yet: they come with its first evaluation"):
        story_of(RunFolder(tmp_path))
