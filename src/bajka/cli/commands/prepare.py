"""`bajka prepare`: texts to token files, for a training here or in nanoGPT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import read_settings, say, shown_progress

if TYPE_CHECKING:
    Wishes = Any
else:
    Wishes = wishes_type("corpus", "cleaning", "tokenizer")


def prepare(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    out: Path = Path("data"),
    llm_c: bool = False,
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Write train.bin and val.bin (raw ids, as nanoGPT reads them) with their tokenizer, named by their content.

    Args:
        texts: Files, folders, or a settings page.
        out: The folder that gets NAME-fingerprint/.
        llm_c: Also write NAME_train.bin and NAME_val.bin with the header that llm.c and modded-nanogpt read.
    """
    wanted, _, _ = read_settings(texts, given(settings))
    from bajka.settings import shell_word
    from bajka.training.inputs import prepare_inputs

    with shown_progress() as progress:
        inputs = prepare_inputs(wanted, parent=out, say=say, progress=progress)
    if llm_c:
        from bajka.tokens.foreign import write_llm_c

        for path in write_llm_c(inputs.data, inputs.data.folder):
            say(f"For llm.c: {path}")
    say(f"Prepared: {inputs.data.folder}. Train on it: bajka train {shell_word(inputs.data.folder)}")
