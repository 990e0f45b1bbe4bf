"""Where a tokenizer may come from, and what is said when it does not. The hub is a server of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from bajka.errors import DamagedFileError, TokenizerError
from bajka.tokenizer import Tokenizer

REPOSITORIES: dict[str, dict[str, bytes]] = {"ana/empty": {}, "ana/fox": {}, "openai-community/gpt2": {}}


class HubHandler(BaseHTTPRequestHandler):
    """The two answers of the hub that a download needs: a file's head and its content."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name, _, file = self.path.lstrip("/").partition("/resolve/main/")
        content = REPOSITORIES.get(name, {}).get(file)
        self.send_response(200 if content else 404)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", f'"{name.replace("/", "-")}-{file}"')
        self.send_header("Content-Length", str(len(content or b"")))
        if not content:
            self.send_header("X-Error-Code", "EntryNotFound" if name in REPOSITORIES else "RepoNotFound")
        self.end_headers()
        if content and self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(tmp_path: Path, gpt2_like: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub on this machine with an empty cache."""
    content = (gpt2_like / "tokenizer.json").read_bytes()
    monkeypatch.setitem(REPOSITORIES, "openai-community/gpt2", {"tokenizer.json": content})
    config = b'{"eos_token": "!"}'
    monkeypatch.setitem(REPOSITORIES, "ana/fox", {"tokenizer.json": content, "tokenizer_config.json": config})
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {"ENDPOINT": address, "HF_HUB_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_a_folder_and_a_run_are_the_same_tokenizer(gpt2_like: Path, tmp_path: Path) -> None:
    whole = Tokenizer.load(gpt2_like)
    whole.save(tmp_path / "runs" / "fox" / "model", context_length=64)
    places = [gpt2_like / "tokenizer.json", str(gpt2_like), tmp_path / "runs" / "fox"]
    assert {Tokenizer.load(place).fingerprint for place in places} == {whole.fingerprint}


@pytest.mark.usefixtures("hub")
def test_gpt2_and_hub_names_are_downloaded(gpt2_like: Path) -> None:
    assert Tokenizer.load("gpt2").fingerprint == Tokenizer.load(gpt2_like).fingerprint
    fox = Tokenizer.load("ana/fox")
    assert fox.backend.id_to_token(fox.end_of_text) == "!"


@pytest.mark.usefixtures("hub")
def test_what_was_downloaded_once_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Tokenizer.load("ana/fox")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    after = Tokenizer.load("ana/fox")
    assert (after.fingerprint, after.end_of_text) == (before.fingerprint, before.end_of_text)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ana/typo", "ana/typo is no file or folder here .* there is no such name .* Check the spelling"),
        ("ana/empty", r"its repository has no tokenizer\.json"),
        ("ana/..bad", "Check name and connection"),
    ],
)
def test_a_wrong_hub_name_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(TokenizerError, match=sentence):
        Tokenizer.load(name)


@pytest.mark.usefixtures("hub")
def test_no_connection_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TokenizerError, match=r"openai-community/gpt2 .* no connection, and no copy .* Connect once"):
        Tokenizer.load("gpt2")


@pytest.mark.parametrize("place", ["bpee", "./missing", "missing/tokenizer.json", "a b/c", ""])
def test_a_missing_tokenizer_is_a_sentence(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TokenizerError, match=r"There is no tokenizer|holds no tokenizer\.json"):
        Tokenizer.load(place)


def test_a_folder_without_a_tokenizer_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"holds no tokenizer\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b'{"version": "1.0", "mod', b"\xff\xfe", b"{}", b"[1]", b'{"model": {"type": "BPE"}}', b"[" * 100_000],
)
def test_a_damaged_file_is_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match="download it again"):
        Tokenizer.load(tmp_path)
