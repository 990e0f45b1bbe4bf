"""Written texts as a file: `.txt` to read, `.jsonl` and `.csv` to go on with, each with seed and settings."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.corpus.ours import our_file
from bajka.errors import SettingsError, disk_errors
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text

KINDS = (".txt", ".jsonl", ".csv")


def check_output(path: Path) -> None:
    """Raise `SettingsError` for an output file of an unknown kind, before the work is done."""
    if path.suffix.lower() not in KINDS:
        raise SettingsError(f"--output {path}: the name must end in {', '.join(KINDS)}.")
    if path.is_dir():
        raise SettingsError(f"--output {path} is a folder: give the name of a file.")
    if path.is_file() and not _ours(path):
        raise SettingsError(
            f"--output {path} exists and was not written by bajka generate: give the name of a new file."
        )
    with disk_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(path.parent, os.W_OK):
        raise SettingsError(f"--output {path}: nothing can be written to {path.parent}. Choose another folder.")


def _ours(path: Path) -> bool:
    """Whether a file looks like one that `save_texts` wrote, or is empty."""
    with disk_errors("read", path):
        return not path.read_bytes().strip() or our_file(path)


def save_texts(
    path: Path, texts: Sequence[Text], sampling: Sampling, *, model: str, fields: Mapping[str, str] | None = None
) -> None:
    """Write all texts to `path`, replacing one of ours atomically; with the `fields` that stood before each."""
    check_output(path)
    rows = [_row(text, sampling, model, dict(fields or {})) for text in texts]
    match path.suffix.lower():
        case ".txt":
            content = _plain(texts, sampling, model, dict(fields or {}))
        case ".jsonl":
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case _:
            buffer = io.StringIO(newline="")
            writer = csv.DictWriter(buffer, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(
                {
                    k: json.dumps(v, ensure_ascii=False) if isinstance(v, tuple | list | dict) else v
                    for k, v in row.items()
                }
                for row in rows
            )
            content = buffer.getvalue()
    durable.write_text(path, content)


def _row(text: Text, sampling: Sampling, model: str, fields: dict[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"number": text.number, "prompt": text.prompt, "text": text.text, "reason": text.reason}
    facts |= {"fields": fields} if fields else {}
    return facts | {"tokens": len(text.ids), "model": model} | asdict(sampling)


def _plain(texts: Sequence[Text], sampling: Sampling, model: str, fields: dict[str, str]) -> str:
    said = fields | {name: value for name, value in asdict(sampling).items() if value not in (None, ())}
    settings = ", ".join(f"{name} {value}" for name, value in said.items())
    body = "\n\n---\n\n".join(text.whole.strip("\n") for text in texts)
    return f"{body}\n\n---\n\nWritten by {model} with {settings}.\n"
