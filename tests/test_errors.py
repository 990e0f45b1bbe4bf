"""The tree in the docstring of `bajka.errors` is the tree of the classes."""

from __future__ import annotations

import inspect
import re

import pytest

from bajka import errors

CLASSES = [c for c in vars(errors).values() if inspect.isclass(c) and issubclass(c, errors.BajkaError)]


def made(kind: type[errors.BajkaError]) -> errors.BajkaError:
    match kind:
        case errors.Interrupted:
            return errors.Interrupted("stopped", signal_number=2)
        case errors.MissingExtraError:
            return errors.MissingExtraError("The studio", extra="web")
        case _:
            return kind("wrong")


@pytest.mark.parametrize("kind", CLASSES[1:])
def test_each_error_is_drawn_with_its_exit_code_below_its_parent(kind: type[errors.BajkaError]) -> None:
    lines = str(errors.__doc__).splitlines()
    drawn = {
        m[2]: (m.start(2), int(m[3]), n) for n, line in enumerate(lines) if (m := re.match(r"(\W+)(\w+) +(\d+)", line))
    }
    column, code, number = drawn[kind.__name__]
    assert code == made(kind).exit_code
    parent = kind.__bases__[0].__name__
    above = [name for name, (place, _, line) in drawn.items() if place < column and line < number]
    assert (above[-1] if above else "BajkaError") == parent


def test_a_missing_library_is_answered_with_the_line_to_type() -> None:
    assert str(made(errors.MissingExtraError)).endswith("Install it with: pip install 'bajka[web]'")


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_is_told_from_the_exit_code(number: int, code: int) -> None:
    assert errors.Interrupted("saved", signal_number=number).exit_code == code
