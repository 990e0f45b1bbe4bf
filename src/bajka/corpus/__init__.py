"""Texts become documents: found, decoded, cleaned, split without leaks, and reported.

paths -> sources -> readers (encodings, cleaning; text, records, tables) -> Corpus -> split -> report
"""

from __future__ import annotations

from bajka.corpus.document import Corpus, Document, EncodingGuess, FileFacts, Skipped
from bajka.corpus.reading import read_corpus
from bajka.corpus.report import CorpusReport, inspect_corpus
from bajka.corpus.split import Split, split_documents

__all__ = [
    "Corpus",
    "CorpusReport",
    "Document",
    "EncodingGuess",
    "FileFacts",
    "Skipped",
    "Split",
    "inspect_corpus",
    "read_corpus",
    "split_documents",
]
