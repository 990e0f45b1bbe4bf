"""One class for every tokenizer: text to ids and back, always by a `tokenizers.Tokenizer` saved as `tokenizer.json`.

A text never becomes a marker: `<|endoftext|>` written in a story is encoded as the characters it consists of. Documents
are encoded without a marker (the token files put one before each), prompts with what the tokenizer's post-processor
puts before them, which for a tokenizer of our own is exactly one end-of-text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import processors

from bajka import durable
from bajka.errors import DamagedFileError, InputError, TokenizerError
from bajka.tokenizer.kinds import END_OF_TEXT, Kind, kind_of, pieces
from bajka.tokenizer.source import CONFIG_FILE, FILE, TokenizerSource, find_tokenizer

_KNOWN_ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "<|end▁of▁sentence|>")
_GROUP = 1 << 20
"""Characters encoded at once: what `tokenizers` notes about each token stays below some 300 MB."""


class Tokenizer:
    """Text to ids and back.

    `backend` is the `tokenizers.Tokenizer`, `kind` what it does (`"other"`: an imported one we know nothing about),
    `vocab_size` the largest id plus one, `end_of_text` the id that begins and ends documents.
    """

    def __init__(self, backend: tokenizers.Tokenizer, *, end_of_text: str = END_OF_TEXT) -> None:
        """Take over `backend`, whose vocabulary holds the marker `end_of_text`; its truncation and padding go off."""
        self.end_of_text, self._marker = id_of(backend, end_of_text), end_of_text
        backend.add_special_tokens([tokenizers.AddedToken(end_of_text, special=True, normalized=False)])
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.kind: Kind = kind_of(self._description())
        self.vocab_size: int = 1 + max(backend.get_vocab(with_added_tokens=True).values())

    @classmethod
    def load(cls, place: str | Path) -> Tokenizer:
        """The tokenizer of a `tokenizer.json`, folder, run, "gpt2" or hub name, with its own way to begin prompts.

        Raises `TokenizerError` (none there, not downloadable, without an end-of-text) and `DamagedFileError`.
        """
        source = find_tokenizer(place)
        backend = _parse(source)
        return cls(backend, end_of_text=_end_of_text(backend, source))

    def with_start(self) -> Tokenizer:
        """This tokenizer, or a copy, that puts exactly one end-of-text before a prompt: for a new training run."""
        if self.encode_prompt("a") == [self.end_of_text, *self.encode("a")]:
            return self
        copy = tokenizers.Tokenizer.from_str(self.backend.to_str())
        copy.post_processor = start_with(self._marker, self.end_of_text)
        return Tokenizer(copy, end_of_text=self._marker)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without a marker; `InputError` when it holds half a character (a lone surrogate)."""
        return [int(one) for one in self.encode_batch([text])[0]]

    def encode_batch(self, texts: Iterable[str]) -> list[np.ndarray[Any, np.dtype[np.uint32]]]:
        """The ids of each text, `uint32` arrays of shape (tokens,), on all cores: the same as `encode` gives."""
        found: list[list[np.ndarray[Any, np.dtype[np.uint32]]]] = []
        for group in _groups(texts, kind=self.kind):
            encodings = self.backend.encode_batch_fast([piece for _, piece in group], add_special_tokens=False)
            for (number, _), encoding in zip(group, encodings, strict=True):
                found.extend([] for _ in range(number + 1 - len(found)))
                found[number].append(np.array(encoding.ids, dtype=np.uint32))
        return [np.concatenate(parts) for parts in found]

    def encode_prompt(self, text: str) -> list[int]:
        """The ids of a text that is to be continued, as the post-processor begins it: never an empty list."""
        return list(self.backend.encode(checked(text)).ids) or [self.end_of_text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without markers; bytes that are no character become U+FFFD."""
        return str(self.backend.decode([int(one) for one in ids], skip_special_tokens=True))

    def save(self, folder: str | Path, *, context_length: int) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`; transformers' `AutoTokenizer` gives equal ids."""
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 and 5 both know this name
            "bos_token": self._marker,
            "eos_token": self._marker,
            "pad_token": self._marker,
            "model_max_length": context_length,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
        }
        durable.write_text(Path(folder) / FILE, self.backend.to_str(pretty=True) + "\n")
        durable.write_json(Path(folder) / CONFIG_FILE, config)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name this `tokenizer.json`, however it is laid out on the disk.

        Fields without a value are left out, so that a newer library which only adds optional ones names it the same.
        """
        canonical = json.dumps(_without_empty(self._description()), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]

    def _description(self) -> dict[str, Any]:
        return dict(json.loads(self.backend.to_str()))


def start_with(marker: str, identifier: int) -> processors.TemplateProcessing:
    """A post-processor that puts `marker` before a text, and before each of a pair."""
    return processors.TemplateProcessing(
        single=[marker, "$A"], pair=[marker, "$A", f"{marker}:1", "$B:1"], special_tokens=[(marker, identifier)]
    )


def id_of(backend: tokenizers.Tokenizer, token: str) -> int:
    """The id of a token that the vocabulary must hold."""
    identifier = backend.token_to_id(token)
    assert identifier is not None, token
    return int(identifier)


def checked(text: str) -> str:
    """`text` itself, or an `InputError` when a lone surrogate stands in it, which no UTF-8 file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text holds half a character, U+{ord(text[error.start]):04X}, at position {error.start}: it was "
            "decoded wrongly before it came here. Read it again with the right encoding."
        ) from None
    return text


def _groups(texts: Iterable[str], *, kind: Kind) -> Iterator[list[tuple[int, str]]]:
    """Lists of (number of the text, piece of it), each of about `_GROUP` characters, in order."""
    group: list[tuple[int, str]] = []
    waiting = 0
    for number, text in enumerate(texts):
        for piece in pieces(checked(text), kind):
            group.append((number, piece))
            waiting += len(piece) + 1
            if waiting >= _GROUP:
                yield group
                group, waiting = [], 0
    if group:
        yield group


def _parse(source: TokenizerSource) -> tokenizers.Tokenizer:
    """The Rust object of a source; whatever a hostile file does to the parser becomes a `DamagedFileError`."""
    try:
        return tokenizers.Tokenizer.from_str(source.content)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic in Rust is not an Exception
        raise DamagedFileError(
            f"The {FILE} of {source.name} cannot be used: {error}. Copy or download it again, or choose another one."
        ) from error


def _end_of_text(backend: tokenizers.Tokenizer, source: TokenizerSource) -> str:
    """The end-of-text marker: what the configuration names, else a well-known one, if the vocabulary holds it."""
    named = source.config.get("eos_token")
    named = named.get("content") if isinstance(named, dict) else named
    for marker in (named, *_KNOWN_ENDS):
        if isinstance(marker, str) and backend.token_to_id(marker) is not None:
            return marker
    raise TokenizerError(
        f"The tokenizer {source.name} has no end-of-text marker (looked for {', '.join(_KNOWN_ENDS)}). "
        f'Name it in its {CONFIG_FILE}, as {{"eos_token": "<|endoftext|>"}}, or choose another tokenizer.'
    )


def _without_empty(value: Any) -> Any:
    """`value` without the dictionary entries that are null or false."""
    match value:
        case dict():
            return {key: _without_empty(one) for key, one in value.items() if one is not None and one is not False}
        case list():
            return [_without_empty(one) for one in value]
        case _:
            return value
