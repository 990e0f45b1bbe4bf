"""Texts by name: well-known corpora that are fetched once, and datasets of the Hugging Face hub."""

from bajka.datasets.catalog import KnownCorpus, known_corpora, known_corpus
from bajka.datasets.fetch import Fetched, fetch, fetched
from bajka.datasets.hub import hub_files, is_hub_name

__all__ = [
    "Fetched",
    "KnownCorpus",
    "fetch",
    "fetched",
    "hub_files",
    "is_hub_name",
    "known_corpora",
    "known_corpus",
]
