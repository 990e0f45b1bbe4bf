"""Texts become documents: found, read, cleaned, kept on disk, compared, split, and reported.

paths -> sources -> gathering (formats, cleaning, template) -> store -> duplicates -> Corpus -> split -> report
"""

from __future__ import annotations

from bajka.corpus.document import Corpus, FileFacts
from bajka.corpus.reading import read_corpus
from bajka.corpus.report import CorpusReport, inspect_corpus
from bajka.corpus.split import Split, split_documents
from bajka.formats import Document, Template

__all__ = [
    "Corpus",
    "CorpusReport",
    "Document",
    "FileFacts",
    "Split",
    "Template",
    "inspect_corpus",
    "read_corpus",
    "split_documents",
]
