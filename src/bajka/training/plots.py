"""`loss.png` and `perplexity.png`, drawn from metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder

_BLUE, _ORANGE, _GREEN, _GREY = "#1f6fb4", "#d9662b", "#3a8f5c", "#9aa0a6"
_OTHERS = ("#8e5ea8", "#b5952b", "#2a9d9d", "#c2527f", "#6b6b3a")


def draw_plots(run: RunFolder) -> list[Path]:
    """Draw both plots anew; gives their paths. A run without numbers has none."""
    lines = run.metrics()
    if not lines:
        return []
    return [_draw(run.path / "loss.png", lines, _loss), _draw(run.path / "perplexity.png", lines, _perplexity)]


def _draw(path: Path, lines: list[dict[str, Any]], paint: Any) -> Path:
    """One figure in a file; the figure never touches matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    paint(axes, lines)
    durable.write_file(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))
    return path


def _loss(axes: Any, lines: list[dict[str, Any]]) -> None:
    """Training loss (each step faint, smoothed bold), the evaluated losses (those of further texts as thin lines), and the
    learning rate behind them."""
    steps, losses = _column(lines, "train_loss")
    axes.plot(steps, losses, color=_BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, _smooth(losses), color=_BLUE, linewidth=1.6, label="training")
    for name, color, label in (
        ("train_sample_loss", _GREEN, "sample of the training text, dropout off"),
        ("val_loss", _ORANGE, "validation"),
    ):
        at, values = _column(lines, name)
        axes.plot(at, values, color=color, marker="o", markersize=3.5, linewidth=1.4, label=label)
    for number, name in enumerate(_named_sets(lines)):
        at, values = _column(lines, f"val_loss/{name}")
        axes.plot(at, values, color=_OTHERS[number % len(_OTHERS)], linewidth=1, label=name)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    rate = axes.twinx()
    rate.plot(*_column(lines, "learning_rate"), color=_GREY, linewidth=1, linestyle="--")
    rate.set_ylabel("learning rate (dashed)", color=_GREY)
    rate.set_ylim(bottom=0)
    rate.spines["top"].set_visible(False)
    rate.grid(visible=False)
    axes.set_zorder(rate.get_zorder() + 1)  # the rate behind, and nothing through the legend
    axes.patch.set_visible(False)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right")


def _perplexity(axes: Any, lines: list[dict[str, Any]]) -> None:
    """Validation perplexity over epochs (below) and tokens (above); that of further texts as thin lines."""
    found = [line for line in lines if "val_perplexity" in line]
    epochs, values = [line["epoch"] for line in found], [line["val_perplexity"] for line in found]
    axes.plot(epochs, values, color=_ORANGE, marker="o", markersize=3.5, linewidth=1.6, label="validation")
    for number, name in enumerate(_named_sets(lines)):
        some = [(line["epoch"], math.exp(line[f"val_loss/{name}"])) for line in found if f"val_loss/{name}" in line]
        axes.plot(*zip(*some, strict=True), color=_OTHERS[number % len(_OTHERS)], linewidth=1, label=name)
    if len(axes.lines) > 1:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right")
    axes.set_yscale("log")
    axes.set_xlabel("epochs (readings of the training text)")
    axes.set_ylabel("validation perplexity (a token)")
    last = found[-1] if found else None
    per_epoch = last["tokens"] / last["epoch"] if last and last.get("epoch") else 1.0
    above = axes.secondary_xaxis("top", functions=(lambda e: e * per_epoch, lambda t: t / per_epoch))
    above.set_xlabel("training tokens")


def _named_sets(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the further validation sets, in the order in which they were written."""
    return list(dict.fromkeys(key.partition("/")[2] for line in lines for key in line if key.startswith("val_loss/")))


def _column(lines: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    found = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in found], [value for _, value in found]


def _smooth(values: Sequence[float], *, window: int = 25) -> list[float]:
    """Running mean over up to `window` values before each."""
    found, total = list[float](), 0.0
    for index, value in enumerate(values):
        total += value - (values[index - window] if index >= window else 0.0)
        found.append(total / min(index + 1, window))
    return found
