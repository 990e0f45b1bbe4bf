"""`bajka fetch`: the list, a download, what is said when it is there, and when it fails."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from command_line import Bajka

from bajka.datasets import known_corpora

BOOK = "cache/epub/11/pg11.txt"


@pytest.fixture
def mirror(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A site on this computer with one book of Project Gutenberg."""
    folder = tmp_path_factory.mktemp("site")
    (folder / BOOK).parent.mkdir(parents=True)
    (folder / BOOK).write_text("Alice was beginning to get very tired\n", encoding="utf-8")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_without_a_name_all_corpora_are_listed_with_size_and_licence(bajka: Bajka) -> None:
    result = bajka("fetch")
    assert (result.code, result.err) == (0, "")
    assert all(name in result.out for name in [*known_corpora(), "gutenberg:NUMBER"])
    assert "1.1 MB" in result.out
    assert "CDLA-Sharing-1.0" in result.out


def test_a_book_is_fetched_and_the_next_command_is_said(bajka: Bajka, mirror: str, tmp_path: Path) -> None:
    result = bajka("fetch", "gutenberg:11", "--mirror", mirror)
    assert result.code == 0, result.err
    assert (tmp_path / "corpora" / "gutenberg-11" / "pg11.txt").read_text().startswith("Alice")
    assert "public domain" in result.out
    assert f"bajka train {Path('corpora') / 'gutenberg-11'}" in result.out


def test_what_is_there_and_intact_is_not_fetched_again(bajka: Bajka, mirror: str) -> None:
    bajka("fetch", "gutenberg:11", "--mirror", mirror)
    result = bajka("fetch", "gutenberg:11", "--mirror", "http://127.0.0.1:9")
    assert (result.code, result.err) == (0, "")
    assert "already there and intact" in result.out


def test_another_folder_may_be_chosen(bajka: Bajka, mirror: str, tmp_path: Path) -> None:
    assert bajka("fetch", "gutenberg:11", "--out", "my texts", "--mirror", mirror).code == 0
    assert (tmp_path / "my texts" / "gutenberg-11" / "pg11.txt").is_file()


def test_a_name_that_is_not_known_exits_with_2_and_a_close_one(bajka: Bajka, tmp_path: Path) -> None:
    result = bajka("fetch", "shakespere")
    assert (result.code, result.out) == (2, "")
    assert "Did you mean shakespeare?" in result.err
    assert not (tmp_path / "corpora").exists()


def test_a_book_that_is_not_there_exits_with_2(bajka: Bajka, mirror: str) -> None:
    result = bajka("fetch", "gutenberg:12", "--mirror", mirror)
    assert result.code == 2
    assert "There is no file at" in result.err


def test_a_mirror_with_other_content_exits_with_a_sentence(bajka: Bajka, mirror: str) -> None:
    result = bajka("fetch", "alice", "--mirror", mirror)
    assert result.code == 2
    assert "404" in result.err
