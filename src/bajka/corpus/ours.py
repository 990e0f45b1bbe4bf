"""What bajka itself wrote among a person's texts: to be learned from, it would have to be named file by file.

Who trains on a folder has runs, prepared data and written texts in it the next time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from bajka.formats import is_file

_FOLDERS = {
    "a run of bajka": {"config.toml", "plan.json"},
    "what bajka prepared": {"meta.json", "train.bin"},
    "what bajka cleaned": {"sources.json", "texts.bin"},
    "a model": {"config.json", "model.safetensors"},
}
_UNFINISHED = re.compile(r".+-[0-9a-f]{8}\.tmp")  # holding a journal
_LOOKED_AT = 4096  # bytes at the end of a file
_LONGEST_LINE = 1_000_000
_BEGINNINGS = {
    ".html": re.compile(rb'<meta name="generator" content="bajka '),
    ".md": re.compile(rb"# [^\n]+: one prompt through time\n"),
    ".jsonl": re.compile(rb'\{"number": \d+, "prompt": ".*", "text": ".*", "reason": "(?:stop|length)", '),
    ".csv": re.compile(rb"number,prompt,text,reason,"),
}
_END = re.compile(rb"\n---\n\nWritten by [^\n]+ with [^\n]*max_new_tokens \d+[^\n]*seed \d+[^\n]*\.\n?\Z")


def our_folder(name: str, entries: set[str]) -> str:
    """What a folder of this name and with these entries is, when bajka made it; "" for any other."""
    if _UNFINISHED.fullmatch(name) and "journal.jsonl" in entries:
        return "what bajka did not finish"
    return next((what for what, known in _FOLDERS.items() if known <= entries), "")


def our_file(path: Path) -> bool:
    """Whether `bajka generate`, `inspect` or `watch --story` wrote a file; not for one that was edited in a way that shows."""
    kind = path.suffix.lower()
    try:
        if (kind not in _BEGINNINGS and kind != ".txt") or not is_file(path):
            return False
        with path.open("rb") as file:
            if kind == ".html":
                return _BEGINNINGS[kind].search(file.read(_LOOKED_AT)) is not None
            if kind != ".txt":
                return _BEGINNINGS[kind].match(file.readline(_LONGEST_LINE)) is not None
            file.seek(max(0, file.seek(0, os.SEEK_END) - _LOOKED_AT))
            return _END.search(file.read()) is not None
    except OSError:
        return False
