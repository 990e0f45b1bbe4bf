"""Kills while texts become ids: reading, cleaning, duplicates, split, tokenizer, encoding. The bytes never differ."""

from __future__ import annotations

import json
import os
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bajka import durable
from bajka.corpus.tales import write_tales
from fork_server import NO_FAULT, Ended, Fault, ForkServer
from shooting_range import ShootingRange, count

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the fork server needs fork")

WISHES: dict[str, dict[str, Any]] = {
    "bpe": {"vocab_size": 300},
    "characters": {"tokenizer": "characters", "duplicate_paragraphs": True},
    "unigram": {"tokenizer": "sentencepiece-unigram", "vocab_size": 320, "test_share": 0.1},
    "limited": {"tokenizer": "bytes", "limit": "30kB", "documents": "line"},
    "template": {"vocab_size": 320, "template": "<|title|>{title}<|tale|>{tale}"},
}


@dataclass
class Range:
    """A server, texts, and for each set of wishes the folder of a clean preparation."""

    server: ForkServer
    folder: Path
    cleans: dict[str, tuple[dict[str, bytes], Ended]] = field(default_factory=dict)

    def texts(self, wishes: str) -> Path:
        """The texts for these wishes: files, with some of them twice, or a table."""
        return self.folder / ("plots.csv" if wishes == "template" else "tales")

    def prepare(self, wishes: str, parent: Path, fault: Fault = NO_FAULT) -> Ended:
        """One start of the preparation."""
        return self.server.prepare(self.texts(wishes), parent, WISHES[wishes], fault)

    def clean(self, wishes: str) -> tuple[dict[str, bytes], Ended]:
        """The files of a preparation that nothing disturbed."""
        if wishes not in self.cleans:
            ended = self.prepare(wishes, self.folder / f"{wishes}-clean")
            assert ended.code == 0, ended.errors
            self.cleans[wishes] = files(self.folder / f"{wishes}-clean"), ended
        return self.cleans[wishes]


@pytest.fixture(scope="module")
def preparing(place: ShootingRange) -> Range:
    folder = place.folder / "preparing"
    write_texts(folder)
    return Range(place.server, folder)


def write_texts(folder: Path) -> None:
    (folder / "tales").mkdir(parents=True)
    tales = write_tales(120)
    for number in range(0, 120, 5):
        some = [*tales[number : number + 5], tales[number // 2]]
        (folder / "tales" / f"{number:03}.txt").write_text("\n\n".join(some), encoding="utf-8")
    rows = [f'"Tale {number}","{tale.replace(chr(34), "")}"' for number, tale in enumerate(tales)]
    (folder / "plots.csv").write_text("title,tale\n" + "\n".join(rows), encoding="utf-8")


def files(parent: Path) -> dict[str, bytes]:
    """All files below `parent` by name; the moment of the reading is no part of them."""
    found = {path.relative_to(parent).as_posix(): path for path in parent.rglob("*") if path.is_file()}
    return {name: without_moment(path) for name, path in found.items()}


def without_moment(path: Path) -> bytes:
    if path.name != "sources.json":
        return path.read_bytes()
    return json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"when": ""}).encode()


def aimed(clean: Ended, draw: random.Random) -> Fault:
    """Half uniform in time, the others inside an operation on the disk or just behind one."""
    kill = int(signal.SIGKILL)
    match draw.choices(("time", "operation", "behind"), weights=(50, 25, 25))[0]:
        case "time":
            return Fault(((draw.uniform(0.0, clean.seconds), kill),))
        case "operation":
            return Fault(operation=draw.randint(1, clean.operations))
        case _:
            return Fault(((draw.uniform(0.0, 0.003), kill),), "disk", draw.randint(1, clean.operations))


def kill_and_go_on(preparing: Range, wishes: str, *, kills: int, seed: int) -> int:
    """Preparations that are killed and started again; after each kill what has its final name is whole."""
    draw, injected, works = random.Random(f"{wishes} {seed}"), 0, 0
    clean, ended = preparing.clean(wishes)
    while injected < kills:
        works += 1
        parent = preparing.folder / f"{wishes}-{seed}-{works}"
        while (now := preparing.prepare(wishes, parent, aimed(ended, draw) if injected < kills else NO_FAULT)).killed:
            injected += 1
            assert finished(files(parent)).items() <= clean.items()
        assert now.code == 0, now.errors
        assert files(parent) == clean
    return injected


def finished(found: dict[str, bytes]) -> dict[str, bytes]:
    """What a reader could take for whole: not temporary, no lock."""
    return {name: content for name, content in found.items() if durable.TEMPORARY not in name and name[0] != "."}


def test_a_few_kills_of_a_preparation_change_no_byte(preparing: Range, record_property: Any) -> None:
    count(record_property, kill_and_go_on(preparing, "bpe", kills=15, seed=1))


@pytest.mark.torture
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("wishes", WISHES)
def test_three_hundred_kills_of_preparations_change_no_byte(
    preparing: Range, wishes: str, record_property: Any
) -> None:
    count(record_property, kill_and_go_on(preparing, wishes, kills=60, seed=2))
