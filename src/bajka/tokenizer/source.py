"""Finding a tokenizer's files: a `tokenizer.json`, a SentencePiece model, a folder that holds one, or a name on the hub."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bajka.errors import DamagedFileError, TokenizerError
from bajka.paths import typed
from bajka.tokenizer.sentencepiece_file import read_model

FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"

_MODEL = ".model"
_MODEL_FILES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
"""What Llama, T5 and XLM-R call their SentencePiece models."""

_SHORT_NAMES = {"gpt2": "openai-community/gpt2"}
_HUB_NAME = re.compile(r"[\w][\w.-]*/[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenizerSource:
    """`tokenizer.json` as text, `tokenizer_config.json` parsed (`{}` when missing), and a name for messages.

    Of a SentencePiece model, both are made from it.
    """

    name: str
    content: str
    config: dict[str, Any]


def find_tokenizer(place: str | Path) -> TokenizerSource:
    """Read the files of the tokenizer at `place`: a path that exists here, "gpt2", or a hub name "user/name".

    Raises `TokenizerError` when there is none or it cannot be downloaded, `DamagedFileError` when it cannot be read,
    `MissingExtraError` for a SentencePiece model without the library.
    """
    path = typed(place)
    if path.exists():
        return _read(_local_file(path), name=str(place))
    name = _SHORT_NAMES.get(str(place), str(place))
    if not _HUB_NAME.fullmatch(name) or path.suffix in (".json", _MODEL):
        raise TokenizerError(
            f"There is no tokenizer {str(place)!r}. Give bpe, sentencepiece-bpe, sentencepiece-unigram, characters, "
            "bytes, gpt2, the path of a tokenizer.json, of a SentencePiece .model or of a folder that holds one, or a "
            "name on the Hugging Face hub (user/name)."
        )
    return _read(_from_hub(name), name=name)


def _local_file(path: Path) -> Path:
    """The tokenizer file meant by an existing `path`; a run keeps its own in `model/`."""
    for candidate in (path, path / FILE, path / "model" / FILE, *(path / name for name in _MODEL_FILES)):
        if candidate.is_file():
            return candidate
    raise TokenizerError(
        f"The folder {path} holds no {FILE} and no {_MODEL_FILES[0]}. Give a folder that does, or the path of such a "
        "file."
    )


def _read(path: Path, *, name: str) -> TokenizerSource:
    if path.suffix == _MODEL:
        content, marker = read_model(path)
        return TokenizerSource(name, content, {"eos_token": marker})
    config_path = path.with_name(CONFIG_FILE)
    config = json.loads(_text(config_path)) if config_path.is_file() else {}
    return TokenizerSource(name, _text(path), config if isinstance(config, dict) else {})


def _text(path: Path) -> str:
    """A JSON file's text; raises `DamagedFileError` when it is not UTF-8 or not JSON."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        json.loads(text)
    except OSError as error:
        raise TokenizerError(f"{path} cannot be read: {error.strerror or error}. Check its permissions.") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is not valid JSON ({error}). Copy or download it again.") from error
    return text


def _from_hub(name: str) -> Path:
    """The path of a hub repository's tokenizer file in the local cache; `TokenizerError` says what else to do."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return _download(name)
    except RepositoryNotFoundError as error:
        cause: Exception = error
        advice = "there is no such name (or it is private). Check the spelling, or log in with: hf auth login"
    except LocalEntryNotFoundError as error:
        cause = error
        advice = "there is no connection, and no copy on this computer. Connect once, or give a folder"
    except EntryNotFoundError as error:
        cause = error
        advice = f"its repository has no {FILE}. Choose another one"
    except Exception as error:  # httpx, xet and validation errors share no base
        cause = error
        advice = f"{(str(error) or type(error).__name__).splitlines()[0]}. Check name and connection, or give a folder"
    raise TokenizerError(
        f"The tokenizer {name} is no file or folder here and could not be had from the Hugging Face hub: {advice}."
    ) from cause


def is_here(name: str) -> bool:
    """Whether the hub's tokenizer `name` is on this computer, so that no connection is needed."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(_SHORT_NAMES.get(name, name), FILE), str)


def _download(name: str) -> Path:
    """The cached file, without asking the hub, else a fresh one; beside it the configuration, if there is one."""
    from huggingface_hub import hf_hub_download  # 0.1 s, and only needed here
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, FILE, local_files_only=True))
    except LocalEntryNotFoundError:
        pass
    try:
        hf_hub_download(name, CONFIG_FILE)  # first, so that a cached tokenizer file is never without it
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        pass
    return Path(hf_hub_download(name, FILE))
