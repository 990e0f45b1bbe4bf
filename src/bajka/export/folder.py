"""A model as a clean Hugging Face folder: six files that are written anew, so that nothing else can come along."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bajka import durable
from bajka.checkpoint.model_folder import LoadedModel, load_model, write_model_folder
from bajka.errors import InputError, disk_errors
from bajka.export.card import model_card, run_of
from bajka.paths import typed

CARD = "README.md"
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    CARD,
)
"""All that an exported folder holds, and all that ever goes to the hub."""


def export_folder(
    name: str,
    output: str | Path,
    *,
    repo_id: str | None = None,
    license: str | None = None,
    language: Sequence[str] = (),
) -> Path:
    """Write the model `name` (run, checkpoint, folder, hub name) with its card to the folder `output`; gives its path.

    An earlier export there is replaced, file by file. Raises `InputError` when `output` holds anything else, and what
    `load_model` and `model_card` raise.
    """
    output = typed(output)
    check_output(output)
    loaded = load_model(name)
    card = model_card(loaded, repo_id=repo_id, license=license, language=language)
    with disk_errors("write", output):
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = output.parent / f".{output.name}-{secrets.token_hex(4)}{durable.TEMPORARY}"
        scratch.mkdir()  # not by tempfile: on Windows nobody else could read what is moved out of it
    try:
        write_model_folder(scratch / "model", loaded.model, loaded.tokenizer, sampling=_sampling(loaded))
        durable.write_text(scratch / "model" / CARD, card)
        _publish(scratch / "model", output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return output


def check_output(output: Path) -> None:
    """Raise `InputError` unless `output` is free, empty, or an earlier export."""
    if output.exists() and not output.is_dir():
        raise InputError(f"--output {output} is a file. Give the name of a new folder.")
    held = sorted(path.name for path in output.iterdir()) if output.is_dir() else []
    foreign = [name for name in held if name not in FILES]
    if foreign:
        raise InputError(
            f"--output {output} already holds {foreign[0]}, which is no part of an export. Give a new folder."
        )
    if held and not {CARD, "config.json"} <= set(held):
        raise InputError(f"--output {output} holds {held[0]}, which was not exported there. Give a new folder.")


def _publish(finished: Path, output: Path) -> None:
    """Move the finished files to `output`: the whole folder at once where there is none yet."""
    if not output.exists():
        durable.publish_folder(finished, output)
        return
    with disk_errors("write", output):
        for name in FILES:
            durable.replace(finished / name, output / name)
        durable.sync_folder(output)


def _sampling(loaded: LoadedModel) -> dict[str, Any]:
    """How the run writes its samples, in the words of generation_config.json; nothing for a model of no run."""
    run = run_of(loaded.folder)
    if run is None:
        return {}
    sample = run.settings.sample
    always: dict[str, Any] = {"max_new_tokens": sample.max_new_tokens}
    if sample.repetition_penalty != 1.0:
        always["repetition_penalty"] = sample.repetition_penalty
    if sample.temperature == 0:
        return {"do_sample": False, **always}
    wishes = {"temperature": sample.temperature, "top_p": sample.top_p, "min_p": sample.min_p}
    given = {name: value for name, value in wishes.items() if value is not None}
    # top_k 0 is "all": transformers takes 50 when it is left out
    return {"do_sample": True, **always, "top_k": sample.top_k or 0, **given}
