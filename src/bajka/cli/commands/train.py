"""`bajka train`: texts or a settings page to a run; or a run that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import read_settings

if TYPE_CHECKING:
    Wishes = Any
else:
    Wishes = wishes_type()


def train(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Train a model on TEXTS (files and folders), on what FILE.toml says, or go on with runs/NAME.

    Everything not set is planned from the texts, the machine and the time. The same command again continues.
    """
    wanted, name, flags = read_settings(texts, given(settings))
    from bajka.cli.main import STARTED
    from bajka.training.clock import Clock
    from bajka.training.train import train as run_training

    run_training(settings=wanted, name=name, clock=Clock(began=STARTED), **flags)
