"""A known corpus in its own folder: downloaded once, checked, and found again by its name.

`corpora/NAME/` holds the corpus's files and `.fetched.json`: bytes and SHA-256 of each, and where they are from. Where
the publisher names no sum, the one of the first download is what later ones must have.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bajka.datasets.catalog import KnownCorpus, RemoteFile, at_mirror, known_corpora, known_corpus
from bajka.datasets.download import PATIENT, AbsentError, Patience, connection, download
from bajka.durable import sha256_of, write_json
from bajka.errors import CorpusError, DamagedFileError, ResourceError, disk_errors, readable
from bajka.progress import Progress, silent

RECORD = ".fetched.json"
FOLDER = Path("corpora")


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where a corpus lies, bytes of its files, and how many of them were downloaded now (0: all were there)."""

    corpus: KnownCorpus
    path: Path
    bytes: int
    downloaded: int


def fetch(
    name: str,
    folder: Path = FOLDER,
    *,
    mirror: str | None = None,
    progress: Progress = silent,
    patience: Patience = PATIENT,
) -> Fetched:
    """`fetch_corpus` by name: one of the catalog, or gutenberg:NUMBER. Raises `CorpusError` for an unknown name."""
    return fetch_corpus(_known(name), folder, mirror=mirror, progress=progress, patience=patience)


def fetch_corpus(
    corpus: KnownCorpus,
    folder: Path = FOLDER,
    *,
    mirror: str | None = None,
    progress: Progress = silent,
    patience: Patience = PATIENT,
) -> Fetched:
    """Make `folder/NAME` hold `corpus`, downloading what is missing or damaged; files that are right stay.

    `mirror` stands for scheme and host of every address ("http://localhost:8000" for a copy of your own). `progress` is
    told bytes of the whole corpus. Raises `ResourceError` when another process is at it, and what `download` raises.
    """
    import filelock

    place = folder / corpus.name
    with disk_errors("make the folder", place):
        place.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(place / ".fetch.lock", timeout=0):
            downloaded = _fetch_missing(corpus, place, mirror=mirror, progress=progress, patience=patience)
    except filelock.Timeout as error:
        raise ResourceError(f"Another bajka is fetching {corpus.name} into {place}. Wait for it to finish.") from error
    return Fetched(corpus, place, sum(record["bytes"] for record in _sums(place).values()), downloaded)


def fetched(name: str, folder: Path = FOLDER) -> Path | None:
    """The folder of the corpus `name` when it was fetched whole; None for a name that is not in the catalog.

    Looks at names and sizes alone. Raises `CorpusError` for a known corpus that is not there yet, or not whole.
    """
    corpus = known_corpus(name)
    if corpus is None:
        return None
    if is_fetched(corpus, folder):
        return folder / corpus.name
    size = f" ({readable(corpus.size)})" if corpus.size else ""
    raise CorpusError(f"{name} is a corpus that bajka can fetch: run `bajka fetch {name}`{size} first.")


def is_fetched(corpus: KnownCorpus, folder: Path = FOLDER) -> bool:
    """Whether all files of `corpus` are in its folder with the sizes that they had when they came."""
    place, sums = folder / corpus.name, _sums(folder / corpus.name)
    return all(file.path in sums and _size(place / file.path) == sums[file.path]["bytes"] for file in corpus.files)


def _known(name: str) -> KnownCorpus:
    corpus = known_corpus(name)
    if corpus is None:
        names = list(known_corpora())
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f" Did you mean {close[0]}?" if close else f" These are known: {', '.join(names)}."
        hint += " A book of Project Gutenberg is gutenberg:NUMBER." if name.startswith("gutenberg") else ""
        raise CorpusError(f"There is no corpus {name} to fetch.{hint}")
    return corpus


def _fetch_missing(
    corpus: KnownCorpus, place: Path, *, mirror: str | None, progress: Progress, patience: Patience
) -> int:
    """Download every file that is not there and right; gives their number."""
    before, downloaded, sums = 0, 0, _sums(place)
    whole = corpus.size or 0

    def told(what: str, done: int, total: int) -> None:
        progress(f"fetching {corpus.name}", before + done, whole or (total if len(corpus.files) == 1 else 0))

    with connection(patience) as client:
        for file in corpus.files:
            target, wanted = place / file.path, file.sha256 or sums.get(file.path, {}).get("sha256")
            if not _intact(target, file, wanted):
                wanted = _download(file, target, wanted, mirror=mirror, progress=told, patience=patience, client=client)
                downloaded += 1
                sums.pop(file.path, None)
            if file.path not in sums:
                sums[file.path] = {"bytes": _size(target), "sha256": wanted}
                _record(corpus, place, sums)
            before += _size(target)
            progress(f"fetching {corpus.name}", before, whole)
    return downloaded


def _intact(target: Path, file: RemoteFile, wanted: str | None) -> bool:
    if wanted is None or _size(target) < 0 or file.size not in (None, _size(target)):
        return False
    with disk_errors("read", target):
        return sha256_of(target) == wanted


def _download(
    file: RemoteFile,
    target: Path,
    wanted: str | None,
    *,
    mirror: str | None,
    progress: Progress,
    patience: Patience,
    client: Any,
) -> str:
    """The file from the first of its addresses that has it; gives its SHA-256."""
    for number, url in enumerate(file.urls, start=1):
        try:
            return download(
                at_mirror(url, mirror),
                target,
                sha256=wanted,
                size=file.size,
                progress=progress,
                patience=patience,
                client=client,
            )
        except AbsentError:
            if number == len(file.urls):
                raise
        except DamagedFileError as error:
            if file.sha256 is not None:
                raise
            page = target.parent / RECORD
            raise DamagedFileError(
                f"{error} That was the sum of the first download: to begin anew, remove {page}."
            ) from error
    raise AssertionError("a file has an address")


def _size(path: Path) -> int:
    """Bytes of a file, -1 when there is none."""
    return path.stat().st_size if path.is_file() else -1


def _sums(place: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of what was downloaded into `place`, by path; nothing when the record is missing or damaged."""
    try:
        sums = json.loads((place / RECORD).read_text(encoding="utf-8"))["files"].items()
        return {path: {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])} for path, facts in sums}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _record(corpus: KnownCorpus, place: Path, sums: dict[str, dict[str, Any]]) -> None:
    facts = {"corpus": corpus.name, "title": corpus.title, "language": corpus.language}
    write_json(place / RECORD, facts | {"licence": corpus.licence, "home": corpus.home, "files": sums})
