"""From a path to documents: the right reader, the account, and one sentence where there is no text."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from bajka.config import CorpusSettings
from bajka.formats import Account, Document, Opened, Skipped, UnreadableError, open_path, read_opened

STORY = "Once upon a time there was a small fox who could not sleep."


def read(path: Path, account: Account, *, encoding: str | None = None, **wishes: Any) -> list[Document]:
    documents = []
    for opened in open_path(path, path.name, named=True):
        assert not isinstance(opened, Skipped)
        documents += read_opened(opened, CorpusSettings(**wishes), account, encoding=encoding)
    return documents


def test_a_text_and_how_it_was_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"{STORY} Šuma.".encode("utf-16"))
    account = Account()
    assert read(tmp_path / "a.txt", account) == [Document(f"{STORY} Šuma.", "a.txt")]
    assert (account.encoding.name, account.note) == ("utf-16", "")


def test_a_compressed_text_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(STORY.encode()))
    assert read(tmp_path / "a.txt.gz", Account()) == [Document(STORY, "a.txt.gz")]


def test_a_wrong_name_is_said(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"{STORY} {number}"}) for number in range(2)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    account = Account()
    assert [document.text for document in read(tmp_path / "a.txt", account)] == [f"{STORY} 0", f"{STORY} 1"]
    assert account.note.startswith("read as one JSON record a line, whatever its name says")


def test_an_encoding_that_was_named_overrules_the_guess(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("шум".encode("cp866"))
    account = Account()
    assert read(tmp_path / "a.txt", account, encoding="cp866")[0].text == "шум"
    assert account.encoding.name == "cp866"
    with pytest.raises(UnreadableError, match=r"byte 0 \(0xe8\) is not ascii") as caught:
        read(tmp_path / "a.txt", account, encoding="ascii")
    assert caught.value.asks


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.jsonl", "a.csv", "a.html", "a.xml"])
def test_white_space_alone_gets_a_sentence_in_every_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(" \n\n")
    with pytest.raises(UnreadableError):
        read(tmp_path / name, Account())


def test_a_failing_disk_is_a_reason(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as unreadable:
        opened = Opened("a.txt", tmp_path / "a.txt", cast(BinaryIO, unreadable), 1, "text", True)
        with pytest.raises(UnreadableError, match="it cannot be read"):
            list(read_opened(opened, CorpusSettings(), Account()))


def test_one_line_of_fifty_megabytes_is_read_in_parts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"the fox counted stars " * 2_300_000)
    lengths = [len(document.text) for document in read(tmp_path / "a.txt", Account())]
    assert sum(lengths) == 22 * 2_300_000
    assert max(lengths) < 8_200_000
