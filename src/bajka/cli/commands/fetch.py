"""`bajka fetch`: well-known corpora, listed or downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from bajka.cli.common import console, say, shown_progress
from bajka.errors import readable


def fetch(
    name: Annotated[str, tyro.conf.Positional] = "",
    out: Path = Path("corpora"),
    mirror: str | None = None,
) -> None:
    """Download the corpus NAME into corpora/NAME, or list what there is. Run again, it goes on where it stopped.

    Args:
        name: A name of the list, or gutenberg:NUMBER for a book of Project Gutenberg.
        out: The folder that gets NAME/.
        mirror: Address of a copy, as http://localhost:8000, that stands for scheme and host of every address.
    """
    if not name:
        _list(out)
        return
    from bajka.datasets.fetch import fetch as fetch_corpus
    from bajka.settings import shell_word

    with shown_progress() as progress:
        fetched = fetch_corpus(name, out, mirror=mirror, progress=progress)
    size, corpus = readable(fetched.bytes), fetched.corpus
    if fetched.downloaded:
        say(f"Fetched {corpus.name}: {size} in {fetched.path}. Licence: {corpus.licence} ({corpus.home}).")
    else:
        say(f"{corpus.name} is already there and intact: {size} in {fetched.path}.")
    place = shell_word(fetched.path)
    say(f"Look at it: bajka inspect {place}   Train on it: bajka train {place}")


def _list(out: Path) -> None:
    """A table of the catalog."""
    from rich.table import Table

    from bajka.datasets.catalog import known_corpora
    from bajka.datasets.fetch import is_fetched

    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("name", "size", "", "licence", "what"):
        table.add_column(title, justify="right" if title == "size" else "left", no_wrap=title in ("name", "size"))
    for corpus in known_corpora().values():
        here = " (here)" if is_fetched(corpus, out) else ""
        size = readable(corpus.size) if corpus.size else "?"
        table.add_row(corpus.name, size, corpus.language, corpus.licence, corpus.title + here)
    table.add_row("gutenberg:NUMBER", "", "", "", "a book of Project Gutenberg by its number, as gutenberg:11")
    console().print(table)
    say(f"\nbajka fetch NAME downloads one into {out / 'NAME'}.")
    say("Datasets of the Hugging Face hub need no fetching: bajka train hf:USER/NAME")
