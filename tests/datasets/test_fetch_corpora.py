"""A corpus by name: its folder, what is done when it is there, damaged, half there, and what is said when it is not."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from loopback import HASTE, Site, noise

from bajka.datasets.catalog import KnownCorpus, RemoteFile
from bajka.datasets.download import AbsentError
from bajka.datasets.fetch import Fetched, fetch, fetch_corpus, fetched, is_fetched
from bajka.errors import CorpusError, DamagedFileError, ResourceError, readable

BOOK = ("/cache/epub/11/pg11.txt", "/files/11/11-0.txt")
TALES = {"a/one tale.txt": noise(50_000), "b.txt": noise(70_000, seed=1)}


def tale(path: str) -> RemoteFile:
    content = TALES[path]
    url = f"https://example.org/{path.replace(' ', '%20')}"
    return RemoteFile(path, (url,), len(content), hashlib.sha256(content).hexdigest())


CORPUS = KnownCorpus("tales", "Tales", "en", "public domain", "https://example.org", tuple(map(tale, TALES)))


def bring(site: Site, folder: Path) -> Fetched:
    return fetch_corpus(CORPUS, folder, mirror=site.url, patience=HASTE)


def bring_book(site: Site, folder: Path) -> Fetched:
    return fetch("gutenberg:11", folder, mirror=site.url, patience=HASTE)


@pytest.fixture
def tales(site: Site) -> Site:
    """The site that has the two files of `CORPUS`."""
    site.files.update({urlsplit(file.urls[0]).path: TALES[file.path] for file in CORPUS.files})
    return site


def test_all_files_come_into_the_folder_of_the_corpus(tales: Site, tmp_path: Path) -> None:
    done = bring(tales, tmp_path)
    assert (done.path, done.bytes, done.downloaded) == (tmp_path / "tales", 120_000, 2)
    assert {path: (tmp_path / "tales" / path).read_bytes() for path in TALES} == TALES


def test_only_texts_are_to_be_seen_in_the_folder(tales: Site, tmp_path: Path) -> None:
    bring(tales, tmp_path)
    seen = [path for path in (tmp_path / "tales").rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert sorted(path.name for path in seen) == ["b.txt", "one tale.txt"]


def test_the_second_time_nothing_is_asked_for(tales: Site, tmp_path: Path) -> None:
    bring(tales, tmp_path)
    tales.asked.clear()
    assert bring(tales, tmp_path).downloaded == 0
    assert tales.asked == []


def test_a_damaged_file_alone_is_fetched_again(tales: Site, tmp_path: Path) -> None:
    bring(tales, tmp_path)
    (tmp_path / "tales" / "b.txt").write_bytes(bytes(70_000))
    assert bring(tales, tmp_path).downloaded == 1
    assert (tmp_path / "tales" / "b.txt").read_bytes() == TALES["b.txt"]


def test_a_corpus_that_was_interrupted_between_files_goes_on(tales: Site, tmp_path: Path) -> None:
    tales.plan["/b.txt"] = ["404"]
    assert not is_fetched(CORPUS, tmp_path)
    with pytest.raises(AbsentError, match="no file at"):
        bring(tales, tmp_path)
    assert not is_fetched(CORPUS, tmp_path)
    assert bring(tales, tmp_path).downloaded == 1
    assert is_fetched(CORPUS, tmp_path)


def test_progress_counts_the_whole_corpus_and_never_goes_back(tales: Site, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fetch_corpus(CORPUS, tmp_path, mirror=tales.url, progress=lambda *what: told.append(what), patience=HASTE)
    assert {(what, total) for what, _, total in told} == {("fetching tales", 120_000)}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] == 120_000


def test_a_file_that_was_put_there_by_hand_counts(tales: Site, tmp_path: Path) -> None:
    for path, content in TALES.items():
        (tmp_path / "tales" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tales" / path).write_bytes(content)
    assert bring(tales, tmp_path).downloaded == 0
    assert is_fetched(CORPUS, tmp_path)


@pytest.mark.parametrize("page", ["", "{", "[]", '{"files": 3}', '{"files": {"b.txt": 7}}', '{"files": {"b.txt": {}}}'])
def test_a_damaged_record_is_as_none(tales: Site, tmp_path: Path, page: str) -> None:
    bring(tales, tmp_path)
    (tmp_path / "tales" / ".fetched.json").write_text(page)
    assert not is_fetched(CORPUS, tmp_path)
    assert bring(tales, tmp_path).downloaded == 0
    assert is_fetched(CORPUS, tmp_path)


def test_a_book_comes_by_its_number(site: Site, tmp_path: Path) -> None:
    site.files[BOOK[0]] = b"Alice was beginning"
    done = bring_book(site, tmp_path)
    assert (done.path / "pg11.txt").read_bytes() == b"Alice was beginning"
    assert fetched("gutenberg:11", tmp_path) == tmp_path / "gutenberg-11"


def test_a_book_that_stands_elsewhere_is_found_there(site: Site, tmp_path: Path) -> None:
    site.files[BOOK[1]] = b"Alice was beginning"
    assert (bring_book(site, tmp_path).path / "pg11.txt").read_bytes() == b"Alice was beginning"


def test_a_book_that_does_not_exist_is_a_sentence(site: Site, tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match="no file at"):
        bring_book(site, tmp_path)
    assert [path for path, _ in site.asked] == list(BOOK)


def test_the_sum_of_the_first_download_is_asked_of_the_next(site: Site, tmp_path: Path) -> None:
    site.files[BOOK[0]] = b"Alice was beginning"
    place = bring_book(site, tmp_path).path
    (place / "pg11.txt").unlink()
    site.files[BOOK[0]] = b"Something else"
    with pytest.raises(DamagedFileError, match=r"sum of the first download.*remove .*\.fetched\.json"):
        bring_book(site, tmp_path)
    assert not (place / "pg11.txt").exists()
    (place / ".fetched.json").unlink()
    bring_book(site, tmp_path)
    assert (place / "pg11.txt").read_bytes() == b"Something else"


def test_the_record_says_where_a_corpus_is_from(tales: Site, tmp_path: Path) -> None:
    bring(tales, tmp_path)
    page = json.loads((tmp_path / "tales" / ".fetched.json").read_text(encoding="utf-8"))
    assert (page["licence"], page["home"]) == ("public domain", "https://example.org")
    assert page["files"]["b.txt"]["sha256"] == hashlib.sha256(TALES["b.txt"]).hexdigest()


def test_two_processes_do_not_fetch_the_same_corpus(tales: Site, tmp_path: Path) -> None:
    tales.plan["/b.txt"] = ["slow 0.2"]
    first = threading.Thread(target=bring, args=(tales, tmp_path))
    first.start()
    while not tales.asked:
        pass
    with pytest.raises(ResourceError, match="Another bajka is fetching tales"):
        bring(tales, tmp_path)
    first.join()
    assert is_fetched(CORPUS, tmp_path)


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="Did you mean tinystories"):
        fetch("tiny-stories", tmp_path)
    with pytest.raises(CorpusError, match=r"These are known: .*shakespeare"):
        fetch("zzz", tmp_path)
    with pytest.raises(CorpusError, match="gutenberg:NUMBER"):
        fetch("gutenberg:alice", tmp_path)


def test_a_known_corpus_that_is_not_there_is_answered_with_the_command_and_its_size(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"run `bajka fetch tinystories` \(2\.3 GB\) first"):
        fetched("tinystories", tmp_path)


@pytest.mark.parametrize("name", ["my-texts", "../tinystories", "", "hf:user/name", "c:\\texts"])
def test_other_names_are_no_business_of_the_catalog(tmp_path: Path, name: str) -> None:
    assert fetched(name, tmp_path) is None


@pytest.mark.parametrize(("size", "said"), [(7, "7 bytes"), (1_115_394, "1.1 MB"), (2_250_255_763, "2.3 GB")])
def test_sizes_are_said_for_people(size: int, said: str) -> None:
    assert readable(size) == said
