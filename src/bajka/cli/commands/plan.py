"""`bajka plan`: what `train` would do, without doing it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import read_settings, say, shown_progress

if TYPE_CHECKING:
    Wishes = Any
else:
    Wishes = wishes_type()


def plan(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Work out a training of TEXTS and print every number with its reason; nothing is trained or kept.

    Args:
        texts: Files, folders, or a settings page.
        output: Write a settings page (.toml): your wishes as values, the plan's choices as comments.
    """
    if output is not None:
        _check_output(output)
    wanted, _, _ = read_settings(texts, given(settings))
    from bajka.training.preview import preview, settings_page

    with shown_progress() as progress:
        planned = preview(wanted, say=say, progress=progress)
    if output is not None:
        from bajka import durable
        from bajka.settings import shell_word

        durable.write_text(output, settings_page(wanted, planned))
        say(f"Wrote {output}. Train with it: bajka train {shell_word(output)}")


def _check_output(output: Path) -> None:
    """Raise `SettingsError` for a page that cannot be written, before the work is done."""
    from bajka.errors import SettingsError

    if output.suffix != ".toml":
        raise SettingsError(f"-o {output}: a settings page ends in .toml.")
    if output.exists():
        raise SettingsError(f"-o {output}: the file exists, and nothing is overwritten. Choose another name.")
