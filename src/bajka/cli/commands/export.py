"""`bajka export`: a model as a clean Hugging Face folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from bajka.cli.common import say


def export(
    model: Annotated[str, tyro.conf.Positional],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    license: str | None = None,
    language: tuple[str, ...] = (),
) -> None:
    """Write MODEL as a Hugging Face folder with a model card: transformers and vLLM load it as it is.

    Args:
        model: A run, a checkpoint, a folder, or a name on the hub.
        output: The new folder.
        license: For the card, such as cc-by-4.0.
        language: For the card, such as hr or en.
    """
    from bajka.export.folder import export_folder

    say(f"Wrote {export_folder(model, output, license=license, language=language)}.")
