"""The corpora that `bajka fetch` knows: `catalog.toml`, and any book of Project Gutenberg by its number."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

_GUTENBERG = re.compile(r"gutenberg[:-]([1-9][0-9]{0,6})")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a corpus: where it stands (the first address that has it counts) and, where known, what it must be."""

    path: str
    urls: tuple[str, ...]
    size: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class KnownCorpus:
    """A corpus that can be fetched; `name` is also the name of its folder."""

    name: str
    title: str
    language: str
    licence: str
    home: str
    files: tuple[RemoteFile, ...]
    about: int | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all files; about so many where the publisher does not say; None where nothing is known."""
        sizes = [file.size for file in self.files]
        return self.about if None in sizes else sum(size for size in sizes if size is not None)


def known_corpora() -> dict[str, KnownCorpus]:
    """All corpora of the catalog by name, in its order."""
    pages = tomllib.loads((files("bajka.datasets") / "catalog.toml").read_text(encoding="utf-8"))
    return {name: _corpus(name, page) for name, page in pages.items()}


def known_corpus(name: str) -> KnownCorpus | None:
    """The corpus of that name, or the book `gutenberg:NUMBER`; None when there is none."""
    if match := _GUTENBERG.fullmatch(name):
        return _book(int(match[1]))
    return known_corpora().get(name)


def at_mirror(url: str, mirror: str | None) -> str:
    """`url` with its scheme and host replaced by `mirror` ("http://localhost:8000"), where one is given."""
    if mirror is None:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _corpus(name: str, page: dict[str, Any]) -> KnownCorpus:
    remote = []
    for line in page["files"].splitlines():
        size, sha256, path = line.split(" ", 2)
        url = page["url"] + quote(path)
        remote.append(RemoteFile(path, (url,), _known(size, int), _known(sha256, str)))
    facts = {key: page[key] for key in ("title", "language", "licence", "home")}
    return KnownCorpus(name, files=tuple(remote), about=page.get("about"), **facts)


def _known(word: str, kind: Any) -> Any:
    return None if word == "?" else kind(word)


def _book(number: int) -> KnownCorpus:
    """A book of Project Gutenberg: its cached UTF-8 text, else the file that older books have."""
    site = "https://www.gutenberg.org"
    urls = (f"{site}/cache/epub/{number}/pg{number}.txt", f"{site}/files/{number}/{number}-0.txt")
    return KnownCorpus(
        name=f"gutenberg-{number}",
        title=f"book {number} of Project Gutenberg",
        language="see its page",
        licence="public domain in the USA; see its page for other countries",
        home=f"{site}/ebooks/{number}",
        files=(RemoteFile(f"pg{number}.txt", urls, None, None),),
    )
