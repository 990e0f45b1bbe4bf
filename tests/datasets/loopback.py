"""A web site on this computer that misbehaves as it is told."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bajka.datasets.download import Patience

HASTE = Patience(attempts=4, connect=2.0, stall=0.5, least=4096, pause=0.01)
"""Patience of tests."""


@dataclass
class Site:
    """Files by path, what the next answers for a path are to be (then: served well), and what was asked."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    plan: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)


def noise(size: int, *, seed: int = 0) -> bytes:
    """Bytes that no part of a file shares with another."""
    return random.Random(seed).randbytes(size)


@contextmanager
def serving() -> Iterator[Site]:
    """The site, while it is up."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers.get("Range")))
            plan = site.plan[self.path]
            answer = plan.pop(0) if plan else site.always.get(self.path, "serve")
            word, _, value = answer.partition(" ")
            if word.isdigit():
                self.refuse(int(word))
            elif word == "redirect":
                self.refuse(302, Location=value)
            elif self.path not in site.files:
                self.refuse(404)
            else:
                with suppress(OSError):
                    self.body(site.files[self.path], word, value)

        def body(self, content: bytes, word: str, value: str) -> None:
            etag = f'"{hash(content)}"'
            start = self.start(etag) if site.ranges and word != "ignore-range" else 0
            if start > len(content) - 1 and start:
                return self.refuse(416)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            length = len(content) - start
            if word == "longer":
                length += int(value)
            elif word == "shorter":
                length -= int(value)
            if word != "unsized":
                self.send_header("Content-Length", str(length))
            if site.etags:
                self.send_header("ETag", etag)
            for name, header in site.headers.items():
                self.send_header(name, header)
            self.end_headers()
            rest = content[start:]
            if word == "cut":
                rest = rest[: int(value)]
            if word in ("trickle", "slow"):
                return self.drop_by_drop(rest, float(value), 10 if word == "trickle" else 20_000)
            self.wfile.write(rest)
            self.close_connection = True

        def drop_by_drop(self, rest: bytes, pause: float, piece: int) -> None:
            for at in range(0, len(rest), piece):
                self.wfile.write(rest[at : at + piece])
                time.sleep(pause)

        def start(self, etag: str) -> int:
            asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
            return int(asked.removeprefix("bytes=").rstrip("-")) if asked and condition in (None, etag) else 0

        def refuse(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.socket.close()
