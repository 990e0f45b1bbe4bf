"""A curve as lines of text: braille, eight dots to a character, or two where a terminal knows nothing but ASCII.

Our own, not a library: plotext, the usual one, keeps its plot in the module and ships compiled parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from rich.text import Text

Point = tuple[float, float]

_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # bits by column and row of a character
_LATE = 0.05  # of a curve's beginning the scale takes no notice: a loss falls most of its way there


@dataclass
class Curve:
    """A long series in little memory: means over a stride that doubles whenever `most` of them are full."""

    most: int = 512
    stride: int = 1
    points: list[Point] = field(default_factory=list)
    _waiting: list[Point] = field(default_factory=list)

    def add(self, x: float, y: float) -> None:
        """One more value; `x` never falls."""
        self._waiting.append((x, y))
        if len(self._waiting) < self.stride:
            return
        self.points.append(_mean(self._waiting))
        self._waiting = []
        if len(self.points) >= self.most:
            self.points = [_mean(self.points[at : at + 2]) for at in range(0, self.most, 2)]
            self.stride *= 2

    def smooth(self) -> list[Point]:
        """The values as a calm line."""
        points = [*self.points, *([_mean(self._waiting)] if self._waiting else [])]
        values = smoothed([y for _, y in points])
        return [(x, y) for (x, _), y in zip(points, values, strict=True)]


def smoothed(values: Sequence[float]) -> list[float]:
    """Each value the mean of its neighbours, up to a fiftieth of them all on either side; fewer in the steep beginning."""
    sums = [0.0, *accumulate(values)]
    found = []
    for at in range(len(values)):
        reach = min(len(values) // 50, at // 5)
        first, last = at - reach, min(len(values), at + reach + 1)
        found.append((sums[last] - sums[first]) / (last - first))
    return found


@dataclass(frozen=True)
class Mark:
    """A sign at one point of a chart."""

    x: float
    y: float
    sign: str
    style: str


def draw_chart(
    curve: Sequence[Point],
    marks: Sequence[Mark],
    *,
    width: int,
    height: int,
    style: str = "cyan",
    ascii_only: bool = False,
) -> list[Text]:
    """`height` lines of `width` columns: the curve, marks over it, labelled scales. The last line is the x axis.

    The x axis ends where the curve ends now, so a curve that grows always fills its chart.
    """
    rows = height - 1
    low, high = _range(curve, marks)
    labels = _ticks(low, high, rows)
    margin = max(map(len, labels.values()), default=3)
    columns = width - margin - 2
    end = max([x for x, _ in curve] + [mark.x for mark in marks], default=0.0) or 1.0
    down, across = (2, 1) if ascii_only else (4, 2)
    grid = _dots(curve, columns * across, rows * down, end=end, low=low, high=high)
    stand, tick, corner, dash = ("|", "+", "+", "-") if ascii_only else ("│", "┤", "└", "─")
    lines = []
    for row in range(rows):
        label = labels.get(row, "")
        cells = _ascii_cells if ascii_only else _braille_cells
        axis = f"{label:>{margin}} {tick if label else stand}"
        lines.append(Text.assemble((axis, "dim"), (cells(grid, row, columns), style)))
    for mark in marks:
        row, column = _place(mark.y, rows, low, high), min(columns - 1, int(mark.x / end * columns))
        if 0 <= row < rows:
            lines[row] = _put(lines[row], margin + 2 + column, mark)
    last = f"{dash} step {end:,.0f}"
    foot = f"{corner}{dash} 0 "
    lines.append(Text(f"{'':{margin}} {foot}{dash * (columns + 1 - len(foot) - len(last) - 1)}{last} ", style="dim"))
    return lines


def _mean(points: Sequence[Point]) -> Point:
    """The last x (a curve ends where its last value stands), the mean of all y."""
    return points[-1][0], sum(y for _, y in points) / len(points)


def _range(curve: Sequence[Point], marks: Sequence[Mark]) -> tuple[float, float]:
    """The values that the chart spans; what the very beginning has above them runs out of the picture."""
    points = [*curve, *((mark.x, mark.y) for mark in marks)]
    if not points:
        return 0.0, 1.0
    late = _LATE * max(x for x, _ in points)
    kept = [y for x, y in points if x > late] if len(curve) > 40 else [y for _, y in points]
    low, high = min(kept), max(kept)
    pad = 0.03 * (high - low) or 0.1
    return low - pad, high + pad


def _ticks(low: float, high: float, rows: int) -> dict[int, str]:
    """Labels by row, at round values, two in three rows at most."""
    rough = (high - low) / max(2, rows / 1.5)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in (1, 2, 5, 10) if power * size >= rough * 0.999)
    places = max(0, -math.floor(math.log10(step)))
    found = {}
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        found[_place(number * step, rows, low, high)] = f"{number * step:.{places}f}"
    return found


def _place(y: float, rows: int, low: float, high: float) -> int:
    """The row of a value, from the top; outside the range: outside the rows."""
    return math.floor((high - y) / (high - low) * rows)


def _dots(
    curve: Sequence[Point], width: int, height: int, *, end: float, low: float, high: float
) -> list[tuple[int, int] | None]:
    """For each column of dots the first and last row (inclusive) that the curve covers; None outside the picture."""
    heights: list[float | None] = [None] * width
    columns: dict[int, list[float]] = {}
    for x, y in curve:
        columns.setdefault(min(width - 1, int(x / end * width)), []).append(y)
    known = sorted((column, sum(values) / len(values)) for column, values in columns.items())
    for (left, a), (right, b) in pairwise(known):
        for column in range(left, right):
            heights[column] = a + (b - a) * (column - left) / (right - left)
    if known:
        heights[known[-1][0]] = known[-1][1]
    found: list[tuple[int, int] | None] = []
    before: int | None = None
    for value in heights:
        row = None if value is None else _place(value, height, low, high)
        found.append(None if row is None else _span(row if before is None else before, row, height))
        before = row
    return found


def _span(before: int, row: int, height: int) -> tuple[int, int] | None:
    """The rows between the neighbour's and its own, so that steep parts are a line too."""
    first, last = min(row, before + 1) if before < row else row, row if before <= row else before - 1
    first, last = max(0, first), min(height - 1, last)
    return (first, last) if first <= last else None


def _braille_cells(grid: Sequence[tuple[int, int] | None], row: int, columns: int) -> str:
    found = []
    for column in range(columns):
        bits = 0
        for side in (0, 1):
            span = grid[2 * column + side]
            if span is not None:
                for dot in range(max(span[0], 4 * row), min(span[1], 4 * row + 3) + 1):
                    bits |= _BRAILLE[side][dot - 4 * row]
        found.append(chr(0x2800 + bits) if bits else " ")
    return "".join(found)


def _ascii_cells(grid: Sequence[tuple[int, int] | None], row: int, columns: int) -> str:
    found = []
    for column in range(columns):
        span = grid[column]
        upper = span is not None and span[0] <= 2 * row <= span[1]
        lower = span is not None and span[0] <= 2 * row + 1 <= span[1]
        found.append(":" if upper and lower else "'" if upper else "." if lower else " ")
    return "".join(found)


def _put(line: Text, column: int, mark: Mark) -> Text:
    """The line with the mark in place of one character."""
    return Text.assemble(line[:column], (mark.sign, mark.style), line[column + 1 :])
