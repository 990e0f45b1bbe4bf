"""The order of the rooms, stated once as data and enforced: a room imports itself and what stands before it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bajka

ORDER: tuple[tuple[str, ...], ...] = (
    ("errors", "entries", "paths"),
    ("config", "container", "durable", "progress", "characters"),
    ("settings",),
    ("formats", "datasets"),
    ("cleaning",),
    ("corpus", "tokenizer"),
    ("tokens", "hardware", "distributed"),
    ("model",),
    ("checkpoint",),
    ("generation",),
    ("evaluation",),
    ("run",),
    ("planning", "watching"),
    ("coaching",),
    ("training",),
    ("export", "serving"),
    ("cli",),
)
"""Rooms of one line do not know each other."""

LINE = {room: number for number, rooms in enumerate(ORDER) for room in rooms}
LIGHT = (
    "bajka",
    "bajka.config",
    "bajka.settings",
    "bajka.formats",
    "bajka.datasets",
    "bajka.cleaning",
    "bajka.corpus",
    "bajka.tokenizer",
    "bajka.cli.main",
)
HEAVY = ("torch", "transformers", "gradio", "matplotlib")

PACKAGE = Path(bajka.__file__).parent
MODULES = {".".join(("bajka", *p.relative_to(PACKAGE).with_suffix("").parts)): p for p in PACKAGE.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}
DOORS = ("bajka", "bajka.__main__")  # they open every room, lazily


def imported(module: str) -> Iterator[str]:
    """Modules of ours that `module` imports anywhere, also inside functions, but not for type checkers alone."""
    waiting: list[ast.AST] = [ast.parse(MODULES[module].read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                waiting += node.orelse
                continue
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] == "bajka")
            case ast.ImportFrom(module="bajka", names=[ast.alias("__version__")]):
                pass
            case ast.ImportFrom(module=str(source), names=names, level=0) if source.split(".")[0] == "bajka":
                for alias in names:
                    whole = f"{source}.{alias.name}"
                    yield whole if whole in MODULES else source
            case ast.ImportFrom(level=level) if level:
                pytest.fail(f"{module} imports relatively: write the whole name")
        waiting += ast.iter_child_nodes(node)


def room_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("module", sorted(set(MODULES) - set(DOORS)))
def test_a_room_imports_only_what_stands_before_it(module: str) -> None:
    room = room_of(module)
    assert room in LINE, f"{room} has no place in ORDER"
    wrong = [
        other
        for other in imported(module)
        if other == "bajka" or (room_of(other) != room and LINE[room_of(other)] >= LINE[room])
    ]
    assert wrong == []


def test_no_module_imports_itself_by_a_detour() -> None:
    waiting = {module: {other for other in imported(module) if other in MODULES} for module in MODULES}
    waiting = {module: others - {module} for module, others in waiting.items() if module not in DOORS}
    while free := [module for module, others in waiting.items() if not others & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert waiting == {}


@pytest.mark.parametrize("module", LIGHT)
def test_nothing_heavy_is_imported_before_it_is_needed(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_every_place_in_the_order_is_a_room_or_a_file() -> None:
    rooms = {room_of(module) for module in MODULES if module not in DOORS}
    assert rooms == set(LINE)
