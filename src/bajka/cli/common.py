"""What several commands need: settings from texts or a page plus flags, a console, a way to say things."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.paths import typed
from bajka.progress import ConsoleProgress, Progress
from bajka.settings import load_settings, settings_with


class _Console(Console):
    """Nobody reads on (`| head`): that is no error, where rich would end with 1."""

    def on_broken_pipe(self) -> None:
        """What rich calls in an `except BrokenPipeError`."""
        raise BrokenPipeError


def console(*, stderr: bool = False) -> Console:
    """A console that leaves our sentences as they are."""
    return _Console(stderr=stderr, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """A plain sentence on standard output."""
    console().print(Text(line))


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A progress that is drawn on standard error, and taken away at the end."""
    progress = ConsoleProgress(console(stderr=True))
    try:
        yield progress
    finally:
        progress.close()


def read_settings(texts: Sequence[str], flags: Mapping[str, Any]) -> tuple[Settings, str | None, dict[str, Any]]:
    """Settings of `TEXTS...` or of one `FILE.toml`, with flags on top; the name that the page gives its run; the wishes."""
    flags = dict(flags)
    pages = [text for text in texts if text.endswith(".toml")]
    if not pages:
        if texts:
            flags["texts"] = tuple(texts)
        return settings_with(**flags), None, flags
    if len(texts) > 1:
        raise SettingsError(
            f"Give texts or one settings page, not both: {' '.join(texts)}. A page names its own texts."
        )
    page = typed(pages[0])
    settings = load_settings(page)
    return settings_with(settings, source=str(page), **flags), page.stem, flags
