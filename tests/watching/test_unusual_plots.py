"""Plots of unusual numbers: a picture is never the reason why a run cannot finish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bajka.checkpoint.run_folder import RunFolder
from bajka.watching.plots import draw_plots


def lines(further: float) -> str:
    steps = [{"step": n, "epoch": n / 10, "tokens": 100 * n, "train_loss": 5.0 - n / 10} for n in range(1, 9)]
    judged = [line | {"val_loss": 5.0, "val_perplexity": 148.4, "val_loss/p": further} for line in steps[::2]]
    return "".join(json.dumps(line) + "\n" for line in [*steps, *judged])


@pytest.mark.parametrize("further", [5.0, 900.0])
def test_a_further_loss_that_went_to_the_sky_is_drawn_too(tmp_path: Path, further: float) -> None:
    run = RunFolder(tmp_path)
    run.metrics_file.write_text(lines(further))
    assert [path.read_bytes()[:4] for path in draw_plots(run)] == [b"\x89PNG"] * 2
