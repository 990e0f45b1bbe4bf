"""One class for every tokenizer: text to ids and back, always by a `tokenizers.Tokenizer` saved as `tokenizer.json`.

A text never becomes a marker: `<|endoftext|>` written in a story is encoded as the characters it consists of. Documents
are encoded without a marker (the token files put one before each), prompts with what the tokenizer's post-processor
puts before them, which for a tokenizer of our own is exactly one end-of-text. The markers of a template
(`<|title|>`) stand in a document beside its text and are put in as ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tokenizers
from tokenizers import processors

from bajka import durable
from bajka.errors import DamagedFileError, InputError, TokenizerError
from bajka.tokenizer.fast import Encode, Ids, Way, choose, plain_encode
from bajka.tokenizer.kinds import END_OF_TEXT, PIECE, Kind, kind_of, pieces
from bajka.tokenizer.source import CONFIG_FILE, FILE, TokenizerSource, find_tokenizer

if TYPE_CHECKING:
    from bajka.formats import Document

_KNOWN_ENDS = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[EOS]", "<|end▁of▁sentence|>")
_GROUP = 1 << 19
"""Characters encoded at once: what `tokenizers` notes about each token stays below some 150 MB. `gigatoken` takes more."""


class Tokenizer:
    """Text to ids and back.

    `backend` is the `tokenizers.Tokenizer`, `kind` what it does (`"other"`: an imported one we know nothing about),
    `vocab_size` the largest id plus one, `end_of_text` the id that begins and ends documents, `markers` the ids of a
    template's markers by name, and `template` says where they stand.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        end_of_text: str = END_OF_TEXT,
        markers: Sequence[str] = (),
        template: str | None = None,
    ) -> None:
        """Take over `backend`, whose vocabulary holds the marker `end_of_text`; its truncation and padding go off."""
        self.end_of_text, self._marker = id_of(backend, end_of_text), end_of_text
        backend.add_special_tokens([_special(name) for name in (end_of_text, *markers)])
        backend.encode_special_tokens = True
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.kind: Kind = kind_of(self._description())
        self.vocab_size: int = 1 + max(backend.get_vocab(with_added_tokens=True).values())
        self.markers: dict[str, int] = {name: id_of(backend, name) for name in markers}
        self.template = template
        self._encoded = 0

    @classmethod
    def load(cls, place: str | Path) -> Tokenizer:
        """The tokenizer of a `tokenizer.json`, folder, run, "gpt2" or hub name, with its own way to begin prompts.

        Raises `TokenizerError` (none there, not downloadable, without an end-of-text) and `DamagedFileError`.
        """
        source = find_tokenizer(place)
        backend = _parse(source)
        markers, template = _conditions(backend, source)
        return cls(backend, end_of_text=_end_of_text(backend, source), markers=markers, template=template)

    def with_start(self) -> Tokenizer:
        """This tokenizer, or a copy, that puts exactly one end-of-text before a prompt: for a new training run."""
        if self.encode_prompt("a") == [self.end_of_text, *self.encode("a")]:
            return self
        copy = self._copy()
        copy.post_processor = start_with(self._marker, self.end_of_text)
        return Tokenizer(copy, end_of_text=self._marker, markers=tuple(self.markers), template=self.template)

    def with_markers(self, names: Sequence[str], *, template: str | None = None) -> Tokenizer:
        """A copy that knows these markers too, with ids after all others, and keeps `template`.

        Raises `TokenizerError` when an entry of the vocabulary already has such a name.
        """
        copy, size = self._copy(), self.vocab_size
        for name in dict.fromkeys(names):
            if name in self.markers:
                continue
            if copy.token_to_id(name) is not None:
                raise TokenizerError(
                    f'The vocabulary already has an entry "{name}", so it cannot be a marker of the template. '
                    "Give the marker another name."
                )
            copy.add_special_tokens([_special(name)])
            if id_of(copy, name) < size:
                raise TokenizerError(
                    f'The marker "{name}" would take an id that lies among the others, because this vocabulary has '
                    "holes. Choose another tokenizer for a template, or leave the template out."
                )
        markers = tuple(dict.fromkeys([*self.markers, *names]))
        return Tokenizer(copy, end_of_text=self._marker, markers=markers, template=template or self.template)

    @property
    def control(self) -> tuple[int, ...]:
        """The ids that stand for no text and that no text becomes: end-of-text and the markers."""
        return (self.end_of_text, *self.markers.values())

    @property
    def text_vocab_size(self) -> int:
        """Ids from here on are markers, which a model reads and never writes."""
        return self.vocab_size - len(self.markers)

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without a marker; `InputError` when it holds half a character (a lone surrogate)."""
        return [int(one) for one in self.encode_batch([text])[0]]

    def encode_batch(self, texts: Iterable[str]) -> list[Ids]:
        """The ids of each text, `uint32` arrays of shape (tokens,): the same as `encode` gives, faster for much text."""
        texts = list(texts)
        cut = [[text] if len(text) <= PIECE else list(pieces(text, self.kind)) for text in texts]
        try:
            found = self._encode_pieces(list(chain.from_iterable(cut)))
        except (UnicodeEncodeError, TypeError):
            for text in texts:
                checked(text)
            raise
        if len(found) == len(texts):
            return found
        each = iter(found)
        return [np.concatenate(list(islice(each, len(some)))) for some in cut]

    def encode_document(self, document: Document) -> list[int]:
        """The ids of a document's text with its markers between, without end-of-text.

        Each stretch between markers is encoded on its own. Raises `TokenizerError` for a marker it does not know.
        """
        return [int(one) for one in self.encode_documents([document])[0]]

    def encode_documents(self, documents: Sequence[Document]) -> list[Ids]:
        """What `encode_document` gives for each, as `uint32` arrays of shape (tokens,)."""
        if not any(one.markers for one in documents):
            return self.encode_batch(one.text for one in documents)
        cuts = [[0, *(place for place, _ in one.markers), len(one.text)] for one in documents]
        stretches = (
            one.text[start:end] for one, places in zip(documents, cuts, strict=True) for start, end in pairwise(places)
        )
        encoded = iter(self.encode_batch(stretches))
        found = []
        for one in documents:
            parts = [next(encoded)]
            for _, name in one.markers:
                parts += [np.array([self._marker_id(name)], dtype=np.uint32), next(encoded)]
            found.append(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return found

    def encode_prompt(self, text: str) -> list[int]:
        """The ids of a text that is to be continued, as the post-processor begins it: never an empty list."""
        return list(self.backend.encode(checked(text)).ids) or [self.end_of_text]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without markers; bytes that are no character become U+FFFD."""
        return str(self.backend.decode([int(one) for one in ids], skip_special_tokens=True))

    def save(self, folder: str | Path, *, context_length: int) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`; transformers' `AutoTokenizer` gives equal ids."""
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",  # transformers 4 and 5 both know this name
            "bos_token": self._marker,
            "eos_token": self._marker,
            "pad_token": self._marker,
            "model_max_length": context_length,
            "clean_up_tokenization_spaces": False,
            "split_special_tokens": True,
        }
        if self.markers:
            config["markers"] = list(self.markers)
        if self.template is not None:
            config["template"] = self.template
        durable.write_text(Path(folder) / FILE, self.backend.to_str(pretty=True) + "\n")
        durable.write_json(Path(folder) / CONFIG_FILE, config)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that name this `tokenizer.json`, however it is laid out on the disk.

        Fields without a value are left out, so that a newer library which only adds optional ones names it the same.
        """
        canonical = json.dumps(_without_empty(self._description()), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]

    @property
    def way(self) -> Way:
        """How much text is encoded here; see `bajka.tokenizer.fast`."""
        return self._fast[0]

    @cached_property
    def _fast(self) -> tuple[Way, Encode]:
        return choose(self._description(), self.kind, self._plain)

    def get_ready(self) -> None:
        """Find the fastest way now, which takes some tenths of a second, because much text will come."""
        self._encoded = _GROUP
        assert self._fast

    def _plain(self, pieces: Sequence[str]) -> list[Ids]:
        return plain_encode(self.backend, pieces)

    def _encode_pieces(self, pieces: Sequence[str]) -> list[Ids]:
        """A short text is not worth the tenths of a second in which the fast way is made ready."""
        self._encoded += sum(map(len, pieces)) + len(pieces)
        way, encode = ("tokenizers", self._plain) if self._encoded < _GROUP else self._fast
        size = 8 * _GROUP if way == "gigatoken" else _GROUP
        return [ids for group in _groups(pieces, size) for ids in encode(group)]

    def _marker_id(self, name: str) -> int:
        try:
            return self.markers[name]
        except KeyError:
            raise TokenizerError(
                f'This tokenizer does not know the marker "{name}" of the template: its markers are '
                f"{', '.join(self.markers) or 'none'}. Use the tokenizer that was made with this template."
            ) from None

    def _copy(self) -> tokenizers.Tokenizer:
        return tokenizers.Tokenizer.from_str(self.backend.to_str())

    def _description(self) -> dict[str, Any]:
        return dict(json.loads(self.backend.to_str()))


def start_with(marker: str, identifier: int) -> processors.TemplateProcessing:
    """A post-processor that puts `marker` before a text, and before each of a pair."""
    return processors.TemplateProcessing(
        single=[marker, "$A"], pair=[marker, "$A", f"{marker}:1", "$B:1"], special_tokens=[(marker, identifier)]
    )


def _special(name: str) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(name, special=True, normalized=False)


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


def _groups(pieces: Iterable[str], size: int) -> Iterator[list[str]]:
    """The pieces in lists of about `size` characters."""
    group: list[str] = []
    waiting = 0
    for piece in pieces:
        group.append(piece)
        waiting += len(piece) + 1
        if waiting >= size:
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


def _conditions(backend: tokenizers.Tokenizer, source: TokenizerSource) -> tuple[tuple[str, ...], str | None]:
    """The markers and the template that `Tokenizer.save` wrote into the configuration."""
    markers, template = source.config.get("markers", []), source.config.get("template")
    known = isinstance(markers, list) and all(
        isinstance(one, str) and backend.token_to_id(one) is not None for one in markers
    )
    if not known or not isinstance(template, str | None):
        raise DamagedFileError(
            f"The {CONFIG_FILE} of {source.name} names markers {markers!r} and a template {template!r} that its {FILE} "
            "does not hold. Copy both files again."
        )
    return tuple(markers), template


def _without_empty(value: Any) -> Any:
    """`value` without the dictionary entries that are null or false."""
    match value:
        case dict():
            some = {key: one for key, one in value.items() if one is not None and one is not False}
            return {key: _without_empty(one) if isinstance(one, dict | list) else one for key, one in some.items()}
        case list():  # tens of thousands of merges: no call for each of their strings
            return [_without_empty(one) if isinstance(one, dict | list) else one for one in value]
        case _:
            return value
