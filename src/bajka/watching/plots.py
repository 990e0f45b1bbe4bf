"""`loss.png` and `perplexity.png`, drawn from metrics.jsonl."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError
from bajka.watching.chart import smoothed

_BLUE, _ORANGE, _GREEN, _GREY = "#1f6fb4", "#d9662b", "#3a8f5c", "#9aa0a6"
_OTHERS = ("#8a5fb0", "#b08a2e", "#2e9aa0", "#a04a6b")
_MOST_NATS = 50.0  # whose perplexity can still be drawn
_MARKED = 40  # evaluations that get a dot each: more would be a band


def draw_plots(run: RunFolder) -> list[Path]:
    """Draw both plots anew; gives their paths. A run without numbers has none."""
    lines = run.metrics()
    if not lines:
        return []
    cooldown = _cooldown(run)
    whose = "training, to the text and its teacher" if run.teacher.exists() else "training"
    return [
        _draw(run.path / "loss.png", lines, cooldown, partial(_loss, training=whose)),
        _draw(run.path / "perplexity.png", lines, cooldown, _perplexity),
    ]


def _cooldown(run: RunFolder) -> int | None:
    """The step at which the rate began to fall to its end: the clock's decision, else what the schedule says."""
    try:
        plan = run.plan
        if plan["plan"]["schedule"]["name"] in ("constant", "plateau"):
            return None
        if clock := plan.get("clock"):
            return int(clock["begin"])
        schedule = plan["plan"]["schedule"]
        if schedule["name"] != "wsd" or not schedule["steps"]:
            return None
        return round(schedule["steps"] * (1 - schedule["cooldown_share"]))
    except (DamagedFileError, KeyError, TypeError, ValueError):
        return None


def _draw(path: Path, lines: list[dict[str, Any]], cooldown: int | None, paint: Any) -> Path:
    """One figure in a file; the figure never touches matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    paint(axes, lines, cooldown)
    durable.write_file(path, lambda temporary: figure.savefig(temporary, dpi=150, format="png"))
    return path


def _loss(axes: Any, lines: list[dict[str, Any]], cooldown: int | None, *, training: str) -> None:
    """Training loss (each step faint, smoothed bold), evaluated losses, the best one, the cooldown, the rate behind."""
    steps, losses = _column(lines, "train_loss")
    axes.plot(steps, losses, color=_BLUE, alpha=0.18, linewidth=0.7)
    axes.plot(steps, smoothed(losses), color=_BLUE, linewidth=1.8, label=training)
    for name, color, label in (
        ("train_sample_loss", _GREEN, "sample of the training text, dropout off"),
        ("val_loss", _ORANGE, "validation"),
        ("average_val_loss", _GREY, "validation, averaged weights"),
    ):
        at, values = _column(lines, name)
        if values:
            axes.plot(at, values, color=color, label=label, **_dotted(values))
    for number, name in enumerate(_named(lines)):
        label = f"validation on {name.removeprefix('val_loss/')}"
        axes.plot(*_column(lines, name), color=_OTHERS[number % len(_OTHERS)], linewidth=1, label=label)
    last = steps[-1] if steps else 0
    _cut_beginning(axes, last)
    _mark_best(axes, *_column(lines, "val_loss"), "{:.3f}")
    _shade(axes, cooldown, last)
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(_thousands)
    _rate_behind(axes, lines)
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right", fontsize="small")


def _rate_behind(axes: Any, lines: list[dict[str, Any]]) -> None:
    """The learning rate with an axis of its own, behind the losses."""
    rate = axes.twinx()
    rate.plot(*_column(lines, "learning_rate"), color=_GREY, linewidth=1, linestyle="--")
    rate.set_ylabel("learning rate (dashed)", color=_GREY)
    rate.tick_params(colors=_GREY)
    rate.set_ylim(bottom=0)
    for spine in rate.spines.values():
        spine.set_visible(False)
    axes.set_zorder(rate.get_zorder() + 1)  # the rate behind, and nothing through the legend
    axes.patch.set_visible(False)


def _perplexity(axes: Any, lines: list[dict[str, Any]], cooldown: int | None) -> None:
    """Validation perplexity over epochs (below) and tokens (above); that of further texts as thin lines."""
    found = [line for line in lines if "val_perplexity" in line]
    epochs, values = [line["epoch"] for line in found], [line["val_perplexity"] for line in found]
    axes.plot(epochs, values, color=_ORANGE, label="validation", **_dotted(values))
    for number, name in enumerate(_named(lines)):
        some = [(line["epoch"], math.exp(min(line[name], _MOST_NATS))) for line in found if name in line]
        label = name.removeprefix("val_loss/")
        axes.plot(*zip(*some, strict=True), color=_OTHERS[number % len(_OTHERS)], linewidth=1, label=label)
    if len(axes.lines) > 1:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper right", fontsize="small")
    _mark_best(axes, epochs, values, "{:,.1f}")
    last = found[-1] if found else None
    if cooldown is not None and last and last.get("step"):
        _shade(axes, cooldown * last["epoch"] / last["step"], last["epoch"])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_thousands)
    axes.yaxis.set_minor_formatter(_thousands if values and max(values) < 10 * min(values) else lambda *_: "")
    axes.set_xlim(left=0)
    axes.set_xlabel("epochs (readings of the training text)")
    axes.set_ylabel("validation perplexity (a token)")
    per_epoch = last["tokens"] / last["epoch"] if last and last.get("epoch") else 1.0
    above = axes.secondary_xaxis("top", functions=(lambda e: e * per_epoch, lambda t: t / per_epoch))
    above.xaxis.set_major_formatter(_millions)
    above.set_xlabel("training tokens")


def _mark_best(axes: Any, at: Sequence[float], values: Sequence[float], form: str) -> None:
    """A ring around the lowest value, and the value."""
    if not values:
        return
    lowest = min(range(len(values)), key=values.__getitem__)
    axes.plot([at[lowest]], [values[lowest]], "o", markersize=9, markerfacecolor="none", color=_ORANGE, clip_on=False)
    axes.annotate(
        f"best {form.format(values[lowest])}",
        (at[lowest], values[lowest]),
        xytext=(0, 12),
        textcoords="offset points",
        ha="right",
        color=_ORANGE,
        fontsize="small",
        fontweight="bold",
    )


def _shade(axes: Any, begin: float | None, end: float) -> None:
    """The stretch in which the rate falls to its end."""
    if begin is not None and begin < end:
        axes.axvspan(begin, end, color=_GREY, alpha=0.12, linewidth=0)
        axes.text(begin, 0.02, " cooldown", transform=axes.get_xaxis_transform(), color=_GREY, fontsize="small")


def _cut_beginning(axes: Any, last: int) -> None:
    """Let the first fall of the losses run out of a long curve's picture: what comes after it is what one looks for."""
    curves = [line for line in axes.get_lines() if line.get_linewidth() >= 1]  # not each single step's noise
    points = [point for curve in curves for point in zip(*curve.get_data(), strict=True)]
    if last < 200 or not points:
        return
    low, high = min(loss for _, loss in points), max(loss for step, loss in points if step > 0.04 * last)
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))


def _dotted(values: Sequence[float]) -> dict[str, Any]:
    """A line with a dot at each evaluation while they are few."""
    return {"linewidth": 1.6, "marker": "o" if len(values) <= _MARKED else "", "markersize": 3.5}


def _named(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The named validation sets, in order of appearance."""
    return list(dict.fromkeys(name for line in lines for name in line if name.startswith("val_loss/")))


def _thousands(value: float, _: int) -> str:
    return f"{value:,.10g}"


def _millions(value: float, _: int) -> str:
    return f"{value / 1e6:,.4g} M" if value >= 1e6 else f"{value / 1e3:,.4g} K" if value >= 1e3 else f"{value:,.4g}"


def _column(lines: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    found = [(line["step"], line[name]) for line in lines if name in line]
    return [step for step, _ in found], [value for _, value in found]
