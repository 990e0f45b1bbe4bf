"""Curves drawn with signs."""

from __future__ import annotations

import math

import pytest

from bajka.watching.chart import Curve, Mark, draw_chart, smoothed

FALLING = [(float(step), 8.0 - step / 20) for step in range(1, 101)]


def drawn(curve: list[tuple[float, float]], *marks: Mark, ascii_only: bool = False) -> list[str]:
    return [line.plain for line in draw_chart(curve, marks, width=40, height=9, ascii_only=ascii_only)]


def test_a_falling_curve_goes_from_the_upper_left_to_the_lower_right() -> None:
    lines = drawn(FALLING)
    inked = [[at for at, sign in enumerate(line) if "⠀" < sign <= "⣿"] for line in lines[:-1]]
    assert all(inked)
    starts = [columns[0] for columns in inked]
    assert starts == sorted(starts)
    assert inked[-1][-1] == 39


@pytest.mark.parametrize("ascii_only", [False, True])
def test_every_line_is_as_wide_as_asked_for(ascii_only: bool) -> None:
    lines = drawn(FALLING, ascii_only=ascii_only)
    assert len(lines) == 9
    assert {len(line) for line in lines} == {40}


def test_a_terminal_without_unicode_gets_ascii() -> None:
    assert "".join(drawn(FALLING, ascii_only=True)).isascii()


def test_the_axes_have_round_labels_and_the_last_step() -> None:
    lines = drawn(FALLING)
    labels = [float(line.split("┤")[0]) for line in lines if "┤" in line]
    assert labels == sorted(labels, reverse=True)
    assert {3.0, 4.0, 5.0, 6.0, 7.0} <= set(labels)
    assert "└─ 0 " in lines[-1]
    assert "step 100" in lines[-1]


def test_a_mark_stands_at_its_point() -> None:
    lines = drawn(FALLING, Mark(100.0, 3.0, "●", "yellow"))
    assert "●" in lines[7][38:]
    assert "●" in drawn([], Mark(0.0, 8.0, "●", "yellow"))[4]


@pytest.mark.parametrize("curve", [[], [(1.0, 5.0)], [(1.0, 5.0), (2.0, 5.0)], [(0.0, 1e9), (1.0, 1e-9)]])
def test_curves_of_nothing_and_of_odd_values_are_drawn(curve: list[tuple[float, float]]) -> None:
    assert {len(line) for line in drawn(curve)} == {40}


def test_the_first_fall_of_a_long_curve_runs_out_of_the_picture() -> None:
    curve = [(float(step), 3.0 + 6.0 * math.exp(-step / 4)) for step in range(1, 501)]
    labels = [float(line.split("┤")[0]) for line in drawn(curve) if "┤" in line]
    assert max(labels) < 4


def test_a_long_series_is_kept_in_little_memory() -> None:
    curve = Curve(most=64)
    for step in range(1, 10_001):
        curve.add(step, float(step))
    points = curve.smooth()
    assert len(points) <= 64
    assert points[-1][0] == 10_000
    assert all(abs(y - x) < 2 * curve.stride for x, y in points)


def test_smoothing_keeps_a_straight_line_and_calms_noise() -> None:
    assert smoothed([2.0] * 300) == pytest.approx([2.0] * 300)
    noisy = [(-1.0) ** at for at in range(400)]
    assert max(map(abs, smoothed(noisy)[100:])) < 0.2
