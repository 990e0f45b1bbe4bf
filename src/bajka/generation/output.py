"""Written texts as a file: `.txt` to read, `.jsonl` and `.csv` to go on with, each with seed and settings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.errors import SettingsError
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text

KINDS = (".txt", ".jsonl", ".csv")


def check_output(path: Path) -> None:
    """Raise `SettingsError` for an output file of an unknown kind, before the work is done."""
    if path.suffix.lower() not in KINDS:
        raise SettingsError(f"--output {path}: the name must end in {', '.join(KINDS)}.")
    if path.is_dir():
        raise SettingsError(f"--output {path} is a folder: give the name of a file.")


def save_texts(path: Path, texts: Sequence[Text], sampling: Sampling, *, model: str) -> None:
    """Write all texts to `path`, replacing it atomically."""
    check_output(path)
    rows = [_row(text, sampling, model) for text in texts]
    match path.suffix.lower():
        case ".txt":
            content = _plain(texts, sampling, model)
        case ".jsonl":
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        case _:
            buffer = io.StringIO(newline="")
            writer = csv.DictWriter(buffer, list(rows[0]) if rows else [])
            writer.writeheader()
            writer.writerows(
                {k: json.dumps(v) if isinstance(v, tuple | list) else v for k, v in row.items()} for row in rows
            )
            content = buffer.getvalue()
    durable.write_text(path, content)


def _row(text: Text, sampling: Sampling, model: str) -> dict[str, Any]:
    facts = {"number": text.number, "prompt": text.prompt, "text": text.text, "reason": text.reason}
    return facts | {"tokens": len(text.ids), "model": model} | asdict(sampling)


def _plain(texts: Sequence[Text], sampling: Sampling, model: str) -> str:
    settings = ", ".join(f"{name} {value}" for name, value in asdict(sampling).items() if value not in (None, ()))
    body = "\n\n---\n\n".join(text.whole.strip("\n") for text in texts)
    return f"{body}\n\n---\n\nWritten by {model} with {settings}.\n"
