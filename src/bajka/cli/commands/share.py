"""`bajka share`: a model to the Hugging Face hub, or what would go there."""

from __future__ import annotations

from typing import Annotated

import tyro

from bajka.cli.common import say


def share(
    model: Annotated[str, tyro.conf.Positional],
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="USER/NAME")],
    dry_run: bool = False,
    public: bool = False,
    license: str | None = None,
    language: tuple[str, ...] = (),
) -> None:
    """Put MODEL on the hub as USER/NAME: weights, tokenizer, a card written from the run's facts. Never the texts.

    Args:
        model: A run, a checkpoint, or a folder.
        repository: USER/NAME on the hub.
        dry_run: Only show what would be uploaded.
        public: Make a new repository public (default: private).
        license: For the card, such as cc-by-4.0.
        language: For the card, such as hr or en.
    """
    from bajka.export.hub import share as share_model

    share_model(model, repository, dry_run=dry_run, private=not public, license=license, language=language, say=say)
