"""The catalog: every line is whole, open, fixed to a commit, and safe to write on any system."""

from __future__ import annotations

import re

import pytest

from bajka.datasets.catalog import KnownCorpus, at_mirror, known_corpora, known_corpus

CORPORA = list(known_corpora().values())
FILES = [file for corpus in CORPORA for file in corpus.files]


def test_the_well_known_corpora_are_there() -> None:
    names = {"tinystories", "shakespeare", "alice", "cmu-plots", "novels-hr", "novels-sr", "novels-ru", "novels-en"}
    assert names <= set(known_corpora())


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.name)
def test_a_corpus_says_what_it_is_and_under_which_licence(corpus: KnownCorpus) -> None:
    assert all((corpus.title, corpus.licence, corpus.files, corpus.size))
    assert re.fullmatch(r"[a-z]{2}", corpus.language)
    assert corpus.home.startswith("https://")
    assert re.search("public domain|CC BY|CDLA", corpus.licence)
    assert re.fullmatch(r"[a-z0-9-]+", corpus.name)


def test_every_file_has_a_sum_and_a_size_but_the_one_whose_publisher_names_none() -> None:
    unknown = [file.path for file in FILES if file.sha256 is None or file.size is None]
    assert unknown == ["MovieSummaries.tar.gz"]
    assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) for file in FILES if file.sha256)


def test_every_file_with_a_sum_stands_at_a_commit() -> None:
    assert all(re.search("/[0-9a-f]{40}/", file.urls[0]) for file in FILES if file.sha256)
    assert all(url.startswith("https://") and url.isascii() and " " not in url for file in FILES for url in file.urls)


def test_every_path_can_be_written_on_windows_too() -> None:
    for file in FILES:
        assert not re.search(r'[<>:"\\|?*\x00-\x1f]|(^|/)\.\.?(/|$)|^/|[ .](/|$)', file.path), file.path
    for corpus in CORPORA:
        paths = [file.path.lower() for file in corpus.files]
        assert len(set(paths)) == len(paths)


def test_a_gutenberg_book_is_known_by_its_number() -> None:
    book = known_corpus("gutenberg:11")
    assert book is not None
    assert book.name == "gutenberg-11"
    assert book.files[0].urls == (
        "https://www.gutenberg.org/cache/epub/11/pg11.txt",
        "https://www.gutenberg.org/files/11/11-0.txt",
    )


@pytest.mark.parametrize("name", ["gutenberg:", "gutenberg:0", "gutenberg:../x", "gutenberg:11/..", "../alice", ""])
def test_what_is_no_name_is_not_known(name: str) -> None:
    assert known_corpus(name) is None


def test_a_mirror_stands_for_scheme_and_host() -> None:
    assert (
        at_mirror("https://a.org/b/c%20d?e=f", "http://localhost:8000/copy/")
        == "http://localhost:8000/copy/b/c%20d?e=f"
    )
    assert at_mirror("https://a.org/b", None) == "https://a.org/b"
