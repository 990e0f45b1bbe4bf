"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TINY = "--n-layer 1 --n-embd 32 --n-head 2 --context-length 32 --vocab-size 300 --global-batch-size 8".split()  # noqa: SIM905


@dataclass(frozen=True)
class Result:
    """What a person sees of a command."""

    code: int
    out: str
    err: str


Bajka = Callable[..., Result]


def story(number: int) -> str:
    """One of many short texts, all different."""
    return (
        f"Story {number}. The fox number {number} went to the river and met {number % 7} hares. They sang until dawn. "
    )


def prepared_in(data: Path) -> Path:
    """The one folder of token files in `data`, beside the texts that were kept."""
    (folder,) = [path for path in data.iterdir() if (path / "train.bin").is_file()]
    return folder
