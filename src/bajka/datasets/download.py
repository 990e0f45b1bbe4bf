"""One file from one address, whole and checked, or not at all: resumed, retried, and never under its name before it is right.

What has come so far is kept beside the target as `.NAME.part`, with its address, length and validator in
`.NAME.part.json`; the next call asks for the rest (RFC 9110, sections 13.1.5 If-Range and 14.2 Range). A server that
does not know ranges, or whose file has changed since, begins again.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bajka.durable import replace, sha256_of, sync_file, sync_folder, write_json
from bajka.errors import DamagedFileError, DiskError, InputError, ResourceError, disk_errors
from bajka.progress import Progress, silent

if TYPE_CHECKING:
    import httpx2

PART = ".part"
_WORTH = 1 << 16  # an attempt that brought so many bytes more than any before is no failure
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How much trouble is borne: attempts in a row that bring nothing, and seconds."""

    attempts: int = 6
    connect: float = 20.0
    stall: float = 60.0
    """Seconds in which `least` bytes must come, else the connection counts as dead."""
    least: int = 4096
    pause: float = 1.0
    """Seconds before the second attempt; doubled before each further one, up to half a minute."""


PATIENT = Patience()


class AbsentError(InputError):
    """Nothing stands at an address (404 or 410)."""


class _Trouble(Exception):
    """Something that may be gone at the next attempt."""

    def __init__(self, reason: str, *, weight: int = 1, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.weight, self.wait = weight, wait


@dataclass(slots=True)
class _Facts:
    """What is known of a partial file; `promised` is the SHA-256 that the Hugging Face hub names for it."""

    url: str = ""
    validator: str = ""
    total: int | None = None
    promised: str | None = None


class _Partial:
    """The part of a file that has come, and what is known about the rest."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f".{target.name}{PART}")
        self.page = target.with_name(f".{target.name}{PART}.json")
        self.facts = self._read()
        if self.facts.url != url:
            self.begin(_Facts(url))

    def _read(self) -> _Facts:
        try:
            return _Facts(**json.loads(self.page.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # none, or cut
            return _Facts()

    @property
    def length(self) -> int:
        """Bytes that have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, facts: _Facts) -> None:
        """Forget what has come; the next bytes are the first of the file that `facts` are about."""
        self.drop()
        self.facts = facts
        if facts.total is not None or facts.validator:
            write_json(self.page, asdict(facts))

    def drop(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)
        self.page.unlink(missing_ok=True)


@contextmanager
def connection(patience: Patience = PATIENT) -> Iterator[httpx2.Client]:
    """A client for several downloads from one place: it follows ten redirections and reads the system's certificates."""
    import httpx2

    timeout = httpx2.Timeout(patience.stall, connect=patience.connect)
    with httpx2.Client(follow_redirects=True, max_redirects=10, timeout=timeout) as client:
        yield client


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    size: int | None,
    progress: Progress = silent,
    patience: Patience = PATIENT,
    client: httpx2.Client | None = None,
) -> str:
    """Put the file at `url` in place of `target` and give its SHA-256 (hexadecimal).

    `sha256` and `size` (bytes) are what it must have, None what is not known; without a sum, the one that the Hugging
    Face hub promises in `X-Linked-ETag` is asked for. `progress` is told bytes. The target is the old file or the new
    one, whole, at every moment; what came of a download that failed or was killed is used by the next call.

    Raises `AbsentError` where nothing stands at `url`, `InputError` when the server refuses, `ResourceError` without a
    connection or after `patience.attempts` in vain, `DamagedFileError` for another size or sum, `DiskError`.
    """
    with disk_errors("write", target), nullcontext(client) if client else connection(patience) as link:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _Partial(target, url)
        resumed = part.length > 0
        while True:
            _receive_all(link, part, size=size, progress=progress, patience=patience, what=target.name)
            sync_file(part.path)
            found, wanted = sha256_of(part.path), sha256 or part.facts.promised
            if wanted in (None, found):
                break
            part.drop()
            if not resumed:
                raise DamagedFileError(
                    f"{url} gave a file with the SHA-256 {found} where {wanted} was expected: it is damaged or was "
                    "changed, and was not kept. Try again later, or look at the publisher's page for news."
                )
            resumed = False  # two halves of different files: once more from the beginning
            part.facts = _Facts(url)
        replace(part.path, target)
        part.drop()
        sync_folder(target.parent)
    return found


def _receive_all(
    link: httpx2.Client, part: _Partial, *, size: int | None, progress: Progress, patience: Patience, what: str
) -> None:
    """Attempt after attempt until the partial file is whole, or too many in a row brought nothing."""
    failures, furthest = 0, part.length
    while True:
        try:
            _receive(link, part, size=size, progress=progress, patience=patience, what=what)
            return
        except _Trouble as trouble:
            failures = 0 if part.length >= furthest + _WORTH else failures
            furthest = max(furthest, part.length)
            failures += trouble.weight
            if failures >= patience.attempts:
                raise ResourceError(_given_up(part, str(trouble))) from trouble
            time.sleep(
                max(min(trouble.wait, _LONGEST_PAUSE), min(patience.pause * 2 ** (failures - 1), _LONGEST_PAUSE))
            )


def _given_up(part: _Partial, reason: str) -> str:
    of = f" of {part.facts.total:,}" if part.facts.total else ""
    kept = f" {part.length:,}{of} bytes are kept: the same command goes on from there." if part.length else ""
    return f"{part.facts.url} could not be had: {reason}.{kept} Check the network and try again later."


def _receive(
    link: httpx2.Client, part: _Partial, *, size: int | None, progress: Progress, patience: Patience, what: str
) -> None:
    """One attempt: ask for what is missing and append it."""
    import httpx2

    url = part.facts.url
    if part.length and part.length == part.facts.total:
        return
    try:
        with link.stream("GET", url, headers=_asked(part)) as response:
            _judge(response, url, part)
            if response.status_code == 200:
                part.begin(_facts(response, url, asked_for=part.path.name))
            total = part.facts.total or size
            if size is not None and total != size:
                raise DamagedFileError(f"{url} has {total:,} bytes where {size:,} were expected: it was changed.")
            _check_space(part, total)
            _append(response, part, total=total, progress=progress, patience=patience, what=what)
    except httpx2.TooManyRedirects as error:
        raise ResourceError(f"{url} leads in a circle (more than 10 redirections). Try again later.") from error
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
        raise InputError(f"{url} is no address of a file on the web ({error}).") from error
    except httpx2.ConnectError as error:
        raise _Trouble(f"there is no connection to {httpx2.URL(url).host} ({error})", weight=2) from error
    except httpx2.TimeoutException as error:
        raise _Trouble(f"nothing came for {patience.stall:g} seconds") from error
    except httpx2.TransportError as error:
        raise _Trouble(f"the connection was cut ({error})") from error
    if total is not None and part.length != total:
        raise _Trouble(f"the connection ended at {part.length:,} of {total:,} bytes")


def _asked(part: _Partial) -> dict[str, str]:
    """Headers of a request: the bytes as they are, and only the missing ones if the file is still the same."""
    plain = {"Accept-Encoding": "identity"}
    if not part.length or not part.facts.validator:
        return plain
    return plain | {"Range": f"bytes={part.length}-", "If-Range": part.facts.validator}


def _judge(response: httpx2.Response, url: str, part: _Partial) -> None:
    """Return if the answer brings the file or the part that was asked for; else raise what it means."""
    match response.status_code:
        case 200 if "text/html" in response.headers.get("Content-Type", "") and not url.endswith((".html", ".htm")):
            raise ResourceError(
                f"{url} answered with a web page instead of the file: a login page of your network, or a limit of the "
                "site. Open the address in a browser to see, then try again."
            )
        case 200:
            return
        case 206:
            start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            if start is None or int(start[1]) != part.length:
                part.begin(_Facts(url))
                raise _Trouble("the server sent another part than was asked for")
        case 416:
            part.begin(_Facts(url))
            raise _Trouble("the server has a shorter file than what came before")
        case 404 | 410 as status:
            raise AbsentError(f"There is no file at {url} (the server answered {status}).")
        case 401 | 403 as status:
            raise InputError(f"The server does not let anybody read {url} (it answered {status}).")
        case 408 | 425 | 429 | 500 | 502 | 503 | 504 | 520 | 522 | 524 as status:
            wait = response.headers.get("Retry-After", "")
            raise _Trouble(f"the server answered {status}", wait=float(wait) if wait.isdigit() else 0.0)
        case status:
            raise ResourceError(f"{url} could not be had: the server answered {status}. Try again later.")


def _facts(response: httpx2.Response, url: str, *, asked_for: str) -> _Facts:
    """What the headers say of the file; a weak ETag does not promise the same bytes and is no validator."""
    etag, length = response.headers.get("ETag", ""), response.headers.get("Content-Length", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
    linked = [hop.headers.get("X-Linked-ETag", "").strip('"') for hop in (*response.history, response)]
    promised = next((value for value in linked if re.fullmatch(r"[0-9a-f]{64}", value)), None)
    return _Facts(url, validator, int(length) if length.isdigit() else None, promised)


def _check_space(part: _Partial, total: int | None) -> None:
    missing, free = (total or 0) - part.length, shutil.disk_usage(part.path.parent).free
    if missing > free:
        raise DiskError(
            f"{missing:,} bytes are to come and {free:,} are free in {part.path.parent}: free some space or choose "
            "another folder with --out."
        )


def _append(
    response: httpx2.Response,
    part: _Partial,
    *,
    total: int | None,
    progress: Progress,
    patience: Patience,
    what: str,
) -> None:
    """Write the body as it comes; a trickle counts as a dead connection."""
    done, since, came = part.length, time.monotonic(), 0
    with part.path.open("ab") as file:
        progress(what, done, total or 0)
        for piece in response.iter_raw():
            file.write(piece)
            done, came = done + len(piece), came + len(piece)
            progress(what, done, total or 0)
            if time.monotonic() - since > patience.stall:
                if came < patience.least:
                    raise _Trouble(f"only {came:,} bytes came in {patience.stall:g} seconds")
                since, came = time.monotonic(), 0
