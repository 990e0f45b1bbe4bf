"""Sharing: what would be sent is said, what is sent are six files, and only after `--dry-run` is gone."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub
import pytest
from planted import SECRET

from bajka.errors import InputError, ResourceError
from bajka.export.folder import FILES
from bajka.export.hub import check_repo_id, share

TOKEN = "hf_a_made_up_token"


@dataclass
class Hub:
    """A hub on this computer: what was asked of it, and the files it was given."""

    url: str
    asked: list[str] = field(default_factory=list)
    created: list[dict[str, object]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    private: bool = True
    refuses: bool = False


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The endpoints of the hub that creating and filling a repository needs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.asked.append(f"GET {self.path}")
            self.answer({"id": "ana/tales", "private": place.private, "sha": "0" * 40, "tags": []})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self.chunks()
            place.asked.append(f"POST {self.path}")
            place.tokens.add(self.headers.get("Authorization", ""))
            if place.refuses:
                return self.answer({"error": "no"}, status=403)
            if self.path == "/api/repos/create":
                place.created.append(json.loads(body))
                return self.answer({"url": f"{place.url}/ana/tales"})
            if "/preupload/" in self.path:
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                return self.answer({"files": files})
            if self.path == "/api/validate-yaml":
                return self.answer({"errors": [], "warnings": []})
            if "/commit/" not in self.path:
                return self.answer({"error": "there is no such endpoint here"}, status=404)
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    place.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            url = f"{place.url}/ana/tales/commit/{'1' * 40}"
            return self.answer({"success": True, "commitOid": "1" * 40, "commitUrl": url})

        def chunks(self) -> bytes:
            body = b""
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            return body

        def answer(self, value: dict[str, object], *, status: int = 200) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    place = Hub(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield place
    server.shutdown()
    server.server_close()


@pytest.fixture
def here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """`huggingface_hub` of this process speaks with the hub of the test, with a token."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub


def test_a_dry_run_sends_nothing_and_says_everything(run: Path, here: Hub) -> None:
    said: list[str] = []
    shared = share(str(run), "ana/tales", dry_run=True, license="mit", say=said.append)
    assert here.asked == []
    assert list(shared.files) == list(FILES)
    for name, size in shared.files.items():
        assert any(name in line and f"{size:,}" in line for line in said)
    assert any(shared.card in line for line in said)
    assert "license: mit" in shared.card
    assert shared.url is None


def test_a_dry_run_needs_no_token_and_leaves_no_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    share(str(run), "ana/tales", dry_run=True)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_upload_sends_six_files_and_none_of_those_planted_in_the_run(run: Path, here: Hub) -> None:
    shared = share(str(run), "ana/tales", dry_run=False)
    assert shared.url == f"{here.url}/ana/tales"
    assert sorted(here.files) == sorted(FILES)
    assert all(SECRET.encode() not in content for content in here.files.values())
    assert here.files["README.md"].decode() == shared.card
    assert {name: len(content) for name, content in here.files.items()} == shared.files


def test_an_upload_creates_the_repository_that_was_named_and_keeps_it_private(run: Path, here: Hub) -> None:
    share(str(run), "ana/tales", dry_run=False)
    created = here.created[0]
    assert (created["organization"], created["name"]) == ("ana", "tales")
    assert created.get("private") is True or created.get("visibility") == "private"
    assert here.tokens == {f"Bearer {TOKEN}"}


def test_a_public_repository_gets_nothing_unless_that_was_said(run: Path, here: Hub) -> None:
    here.private = False
    with pytest.raises(InputError, match="exists and is public"):
        share(str(run), "ana/tales", dry_run=False)
    assert here.files == {}
    share(str(run), "ana/tales", dry_run=False, private=False)
    assert sorted(here.files) == sorted(FILES)


def test_without_a_token_one_is_told_how_to_log_in(
    run: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    with pytest.raises(InputError, match="hf auth login"):
        share(str(run), "ana/tales", dry_run=False)
    assert hub.asked == []


def test_a_refused_token_is_a_sentence(run: Path, here: Hub) -> None:
    here.refuses = True
    with pytest.raises(InputError, match="does not let you write to ana/tales"):
        share(str(run), "ana/tales", dry_run=False)


def test_a_hub_that_cannot_be_reached_is_a_sentence(run: Path, here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="Check the network"):
        share(str(run), "ana/tales", dry_run=False)


@pytest.mark.parametrize("name", ["tales", "ana/tales/more", "ana/", "ana/ta les", "../tales", "ana/a--b", "/tmp/x"])
def test_a_name_that_the_hub_would_refuse_is_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match="write USER/NAME"):
        check_repo_id(name)


def test_the_endpoint_of_the_environment_is_where_it_goes(run: Path, hub: Hub) -> None:
    code = f"from bajka.export.hub import share; share({str(run)!r}, 'ana/tales', dry_run=False, say=print)"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert sorted(hub.files) == sorted(FILES)
    assert f"Uploaded: {hub.url}/ana/tales" in done.stdout
