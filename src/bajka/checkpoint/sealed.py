"""Small JSON files with a seal (plan, pointers, manifests): a change of one bit in them is noticed.

A manifest says the same of large files: size and SHA-256 of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from bajka import durable

SEAL = "seal"
MANIFEST = "manifest.json"


class Facts(TypedDict):
    """What a manifest says of a file."""

    bytes: int
    sha256: str


def write_sealed(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file durably by `value` and its seal; its own name is sealed too, so that two cannot be swapped."""
    durable.write_json(path, dict(value) | {SEAL: _seal(path, value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote, without the seal; a file without one is taken as it is.

    Raises `OSError` when it is not there, `ValueError` when it is no JSON object or not what was written.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    seal = value.pop(SEAL, None)
    if seal is not None and seal != _seal(path, value):
        raise ValueError(f"{path.name} is not as it was written")
    return value


def read_manifest(folder: Path) -> dict[str, Facts]:
    """Size and hash of every file of a checkpoint by its name; raises as `read_sealed` does, and hashes nothing."""
    manifest = read_sealed(folder / MANIFEST)
    files = manifest.get("files")
    if manifest.get("format") != 1 or not isinstance(files, dict) or not all(map(_are_facts, files.values())):
        raise ValueError(f"{MANIFEST} is none of format 1")
    return files


def differs(path: Path, facts: Facts) -> bool:
    """Whether the file is missing, or of another size or content."""
    try:
        return path.stat().st_size != facts["bytes"] or durable.sha256_of(path) != facts["sha256"]
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return True


def _are_facts(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("bytes"), int) and isinstance(value.get("sha256"), str)


def _seal(path: Path, value: Mapping[str, Any]) -> str:
    content = json.dumps([path.name, value], sort_keys=True)
    return hashlib.sha256(content.encode("ascii")).hexdigest()[:16]
