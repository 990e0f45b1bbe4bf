"""One file in, its documents out: told apart by content, unpacked, decoded, read.

path -> opening (archives, compression) -> kinds -> decoding (encodings, guessing)
     -> reading: plain, records, tables, parquet, plots, markup, epub, office -> Document
"""

from __future__ import annotations

from bajka.formats.cutting import cut_near
from bajka.formats.document import Account, Document, EncodingGuess, Skipped, UnreadableError
from bajka.formats.kinds import READABLE, Kind
from bajka.formats.opening import Opened, is_file, open_path
from bajka.formats.overrides import Override, parse_overrides
from bajka.formats.reading import read_opened
from bajka.formats.template import Template

__all__ = [
    "READABLE",
    "Account",
    "Document",
    "EncodingGuess",
    "Kind",
    "Opened",
    "Override",
    "Skipped",
    "Template",
    "UnreadableError",
    "cut_near",
    "is_file",
    "open_path",
    "parse_overrides",
    "read_opened",
]
