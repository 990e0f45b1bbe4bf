"""The picture of a run: what it shows, at any size, in any terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from bajka.watching.dashboard import Dashboard, Seen, duration, in_words, visible


def step_line(step: int, **others: Any) -> dict[str, Any]:
    facts = {"tokens": 64 * step, "epoch": step / 50, "seconds": step / 2, "train_loss": 8 - step / 40}
    rest = {"learning_rate": 0.02, "gradient_norm": 0.5, "tokens_per_second": 9310.0, "memory_bytes": 812 << 20}
    return {"step": step, **facts, **rest, "share": step / 100, "seconds_left": 75.0, "peak_share": 0.41} | others


def seen(**others: Any) -> Seen:
    """A run of a hundred steps, half done, its best evaluation not the last one."""
    found = Seen("alice", "modern, 3.3 M parameters")
    for step in range(1, 51):
        found.take(step_line(step, **others))
    for step, loss in ((0, 8.0), (20, 7.1), (40, 7.3)):
        found.take({"step": step, "val_loss": loss, "val_bits_per_byte": loss / 3})
    found.take({"step": 40, "prompt": "Alice was", "text": " beginning\nto get \x1b[2Jvery tired."})
    return found


def picture(run: Seen, *, width: int = 80, height: int = 24, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, height=height, soft_wrap=True, highlight=False)
    console.print(Dashboard(run))
    file.seek(0)
    return file.read().splitlines()


def test_the_picture_has_every_number_that_the_lines_have() -> None:
    text = "\n".join(picture(seen()))
    for part in (
        "alice  modern, 3.3 M parameters",
        "50% · 25 s · 1 min 15 s left · done at ",
        "validation    7.300",
        "best          7.100 at 20",
        "bits a byte 2.367",
        "tokens/s      9,310",
        "of the peak 41%",
        "epoch         1.00",
        "rate          0.02",
        "gradient      0.50",
        "memory        812 MB",
        "After 40 steps it writes:",
        "Alice was beginning to get  [2Jvery tired.".replace("  ", " "),
        "step 50",
    ):
        assert part in text, part


def test_the_best_evaluation_is_marked_beside_the_others() -> None:
    text = "\n".join(picture(seen()))
    assert text.count("◆") == 1
    assert text.count("●") == 1, "that of step 0 is above the picture"


@pytest.mark.parametrize("size", [(80, 24), (300, 100), (60, 20), (40, 12), (20, 5), (10, 2)])
def test_the_picture_fits_into_a_window_of(size: tuple[int, int]) -> None:
    lines = picture(seen(), width=size[0], height=size[1])
    assert all(len(line) <= max(20, size[0]) for line in lines)
    assert len(lines) <= max(4, size[1])


def test_at_80_by_24_some_lines_are_left_for_sentences() -> None:
    assert 15 <= len(picture(seen())) <= 19


def test_a_terminal_without_unicode_gets_ascii_and_question_marks() -> None:
    run = seen()
    run.take({"step": 40, "prompt": "Жила-была", "text": " лиса."})
    text = "\n".join(picture(run, encoding="ascii", height=40))
    assert "????-???? ????." in text
    assert "o" in text


def test_a_run_that_has_only_begun_is_drawn_too() -> None:
    assert picture(Seen("alice"))[1] == "before the first step"


def test_lines_of_older_runs_lack_the_share_and_are_drawn_too() -> None:
    old = Seen("old")
    old.take(
        {name: value for name, value in step_line(7).items() if name not in ("share", "seconds_left", "peak_share")}
    )
    assert picture(old)[1] == "step 7"


def test_named_validation_sets_and_averages_have_their_numbers() -> None:
    run = seen()
    run.take({"step": 50, "val_loss": 7.0, "average_val_loss": 6.9, "val_loss/grimm": 7.7})
    text = "\n".join(picture(run, height=50))
    assert "averaged      6.900" in text
    assert "grimm         7.700" in text


def test_a_step_whose_loss_is_not_a_number_does_not_break_the_picture() -> None:
    run = seen()
    run.take({name: value for name, value in step_line(51).items() if name != "train_loss"})
    assert "step 50" in "\n".join(picture(run))
    assert "loss not a number" in in_words(run, judged=False)


def test_a_written_text_cannot_command_the_terminal() -> None:
    assert visible("one\n\ntwo\x1b[31m\x07 three") == "one two [31m three"
    assert visible("Лиса", "ascii") == "????"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (12.0, "12 s"), (250.0, "4 min 10 s"), (3_900.0, "1 h 5 min"), (-3.0, "0 s")]
)
def test_durations_read_like_speech(seconds: float, text: str) -> None:
    assert duration(seconds) == text
