"""A model folder in Hugging Face's format: written from a model and a tokenizer, read back, nothing to convert."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bajka import durable
from bajka.checkpoint.locate import locate_model
from bajka.checkpoint.opened import check_model
from bajka.errors import DamagedFileError, ModelError
from bajka.hardware import choose_device, use_processors
from bajka.model.config import ModelConfig
from bajka.model.convert import load_hugging_face_weights, to_hugging_face_weights
from bajka.model.families import from_hugging_face, to_hugging_face
from bajka.model.transformer import Transformer
from bajka.tokenizer import Tokenizer

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class LoadedModel:
    """A model with its tokenizer; `folder` is where it was read, `name` what the person called it."""

    model: Transformer
    tokenizer: Tokenizer
    folder: Path
    name: str


def write_model_folder(
    folder: Path, model: Transformer, tokenizer: Tokenizer, *, sampling: Mapping[str, Any] | None = None
) -> None:
    """Fill `folder` with config.json, generation_config.json, model.safetensors (fp32) and the tokenizer's two files."""
    config, end = model.config, tokenizer.end_of_text
    durable.write_json(folder / "config.json", to_hugging_face(config, end_of_text=end))
    generation = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    durable.write_json(folder / "generation_config.json", generation | dict(sampling or {}))
    tokenizer.save(folder, context_length=config.context_length)
    weights = to_hugging_face_weights(model)
    needs = sum(tensor.nbytes for tensor in weights.values())
    durable.write_file(folder / WEIGHTS, lambda path: save_tensors(path, weights), needs=needs)


def load_model(name: str, *, device: str = "cpu", dropout: float = 0.0) -> LoadedModel:
    """Open a run, a checkpoint, a Hugging Face folder or a hub name as an fp32 model on `device`, in evaluation mode.

    Raises `ModelError` when it is none of these or of an unknown architecture, `DamagedFileError` for broken files.
    """
    folder = locate_model(name)
    check_model(folder)
    config = read_model_config(folder, name).model_copy(update={"dropout": dropout})
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device="cpu").complete()  # a tied head and the rotations do not survive `to_empty`
    load_hugging_face_weights(model, read_weights(folder), source=name)
    tokenizer = Tokenizer.load(str(folder))
    if tokenizer.vocab_size > config.vocab_size:
        raise ModelError(
            f"The tokenizer of {name} has {tokenizer.vocab_size} entries, its model only {config.vocab_size}: "
            "they do not belong together."
        )
    return LoadedModel(model.to(device).eval(), tokenizer, folder, name)


def open_model(name: str, *, device: str = "auto") -> LoadedModel:
    """`load_model` to write with or to judge: on the device that is wished for, with all processors that may be used."""
    use_processors()
    return load_model(name, device=choose_device(device))


def read_model_config(folder: Path, name: str) -> ModelConfig:
    """The shape that `config.json` describes."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(f"The config.json of {name} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise DamagedFileError(f"The config.json of {name} is not a JSON object.")
    return from_hugging_face(config, source=name)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of `model.safetensors`, or of the parts that its index names."""
    weights: dict[str, Tensor] = {}
    for name in _weight_files(folder):
        try:
            with safe_open(folder / name, framework="pt") as file:
                weights |= {key: file.get_tensor(key) for key in file.keys()}
        except FileNotFoundError:
            raise ModelError(f"{folder} has no {name}. bajka reads weights from .safetensors files only.") from None
        except (SafetensorError, OSError) as error:
            raise DamagedFileError(f"{folder / name} is damaged: {error}.") from error
    return weights


def _weight_files(folder: Path) -> list[str]:
    """`model.safetensors`, or the names of its parts beside it."""
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return [WEIGHTS]
    try:
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return sorted({Path(part).name for part in parts})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedFileError(f"{index} is damaged: {error}.") from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a .safetensors file; what the disk refuses is an `OSError`, as everywhere, and no `SafetensorError`."""
    try:
        save_file(dict(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        code = int(number[1])
        if os.name == "nt":
            raise OSError(0, "", str(path), code) from error  # the system's own number, of which Python makes an errno
        raise OSError(code, os.strerror(code), str(path)) from error
