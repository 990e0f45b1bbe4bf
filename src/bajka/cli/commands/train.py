"""`bajka train`: texts or a settings page to a run; or a run that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import read_settings
from bajka.errors import SettingsError

if TYPE_CHECKING:
    Wishes = Any
else:
    Wishes = wishes_type()


def train(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    add: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXTS ...")] = (),
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Train a model on TEXTS (files and folders), on what FILE.toml says, or go on with runs/NAME.

    Everything not set is planned from the texts, the machine and the time. The same command again continues.

    Args:
        add: With runs/NAME: a new run from its weights, with its tokenizer, on its texts and these.
    """
    wanted, name, flags = read_settings(texts, given(settings))
    from bajka.cli.main import STARTED
    from bajka.training.clock import Clock
    from bajka.training.train import train as run_training

    clock = Clock(began=STARTED)
    if add:
        if len(texts) != 1 or name is not None:
            raise SettingsError("--add goes on from one run: bajka train runs/NAME --add TEXTS")
        flags.pop("texts")
        run_training(texts[0], add=add, clock=clock, **flags)
    else:
        run_training(settings=wanted, name=name, clock=clock, **flags)
