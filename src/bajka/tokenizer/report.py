"""How well a tokenizer fits texts: how much text a token holds, what of the vocabulary is used, script by script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict

from bajka.characters import script_of
from bajka.errors import TokenizerError
from bajka.tokenizer.kinds import pieces
from bajka.tokenizer.tokenizer import Tokenizer, checked

SAMPLE_BYTES = 2_000_000
"""As much text as the figures need to be steady, in UTF-8."""

_LONGEST = 20
_LONG_WORD = 20
"""Letters a word, on average, from which spaces do not separate words (Chinese, Japanese, Thai)."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptFigures(_Frozen):
    """One script's letters in the texts, and how many of them a token holds that ends in such a letter."""

    script: str
    letters: int
    letters_per_token: float
    bytes_per_token: float


class TokenizerFigures(_Frozen):
    """What one tokenizer makes of the texts; figures a token are 0 where there is no token."""

    vocab_size: int
    tokens: int
    bytes_per_token: float
    letters_per_token: float
    tokens_per_word: float | None
    """`None` where spaces do not separate words."""
    used: int
    """Entries of the vocabulary, without markers, that occur in the texts."""
    unused: int
    changed: int
    """Documents that do not come back as they were."""
    scripts: tuple[ScriptFigures, ...]
    """Most letters first."""


class TokenizerReport(_Frozen):
    """A tokenizer on a sample of texts, and another one on the same sample."""

    documents: int
    bytes: int
    letters: int
    words: int
    figures: TokenizerFigures
    longest: tuple[str, ...]
    """The longest entries of the vocabulary, longest first."""
    gguf_note: str | None
    against: TokenizerFigures | None


def tokenizer_report(
    tokenizer: Tokenizer, texts: Iterable[str], *, against: Tokenizer | None = None, limit: int = SAMPLE_BYTES
) -> TokenizerReport:
    """The report on the first `limit` bytes of `texts` (whole documents, the last one cut); give them evenly spread.

    Raises `TokenizerError` when there is no text, `InputError` for half a character.
    """
    some = list(_first(texts, limit=limit))
    if not some:
        raise TokenizerError(
            "There is no text to try the tokenizer on: the texts are empty. Give texts with some words."
        )
    counts = Counter[str]()
    for text in some:
        counts.update(text)
    words = sum(len(text.split()) for text in some)
    return TokenizerReport(
        documents=len(some),
        bytes=sum(len(one.encode()) * count for one, count in counts.items()),
        letters=sum(count for one, count in counts.items() if one.isalpha()),
        words=words,
        figures=_figures(tokenizer, some, counts, words=words),
        longest=_longest(tokenizer),
        gguf_note=gguf_note(tokenizer),
        against=_figures(against, some, counts, words=words) if against else None,
    )


def gguf_note(tokenizer: Tokenizer) -> str | None:
    """What a text loses when llama.cpp reads this tokenizer from a GGUF file, as sentences; `None`: nothing.

    Measured on ten strings of seven scripts with llama.cpp's own encoding and decoding.
    """
    match tokenizer.kind:
        case "bpe" | "characters" | "bytes" | "sentencepiece-bpe":
            return None
        case "sentencepiece-unigram":
            return (
                "A unigram tokenizer does not survive GGUF: llama.cpp writes <unk> for each character that is not in "
                "the vocabulary, where this one writes bytes. For Ollama or LM Studio choose bpe or sentencepiece-bpe."
            )
        case "gpt2":
            return (
                'In GGUF, GPT-2\'s way to split loses spaces before punctuation when text is read back ("Quoi ?" '
                'becomes "Quoi?"); the ids are right. For Ollama or LM Studio choose bpe.'
            )
        case "other":
            return "Whether llama.cpp reads this tokenizer alike is not known, so no GGUF file can be promised for it."


def _first(texts: Iterable[str], *, limit: int) -> Iterator[str]:
    """The texts that are not empty, until `limit` bytes of UTF-8."""
    left = limit
    for text in texts:
        if not text:
            continue
        data = checked(text[:left]).encode("utf-8")[:left]
        yield data.decode("utf-8", errors="ignore")
        left -= len(data)
        if left <= 0:
            return


def _figures(tokenizer: Tokenizer, texts: list[str], counts: Counter[str], *, words: int) -> TokenizerFigures:
    letters, sizes = Counter[str](), Counter[str]()
    for one, count in counts.items():
        if one.isalpha():
            script = script_of(one)
            letters[script] += count
            sizes[script] += count * len(one.encode())
    used, ends, tokens, changed = _encoded(tokenizer, texts)
    entries = set(_entries(tokenizer))
    total = sum(letters.values())
    return TokenizerFigures(
        vocab_size=tokenizer.vocab_size,
        tokens=tokens,
        bytes_per_token=_per(sum(len(one.encode()) * count for one, count in counts.items()), tokens),
        letters_per_token=_per(total, tokens),
        tokens_per_word=_per(tokens, words) if total <= words * _LONG_WORD else None,
        used=len(used & entries),
        unused=len(entries - used),
        changed=changed,
        scripts=tuple(
            ScriptFigures(
                script=script,
                letters=count,
                letters_per_token=_per(count, ends[script]),
                bytes_per_token=_per(sizes[script], ends[script]),
            )
            for script, count in letters.most_common()
        ),
    )


def _encoded(tokenizer: Tokenizer, texts: list[str]) -> tuple[set[int], Counter[str], int, int]:
    """The ids that occur, tokens that end in a letter of each script, all tokens, and texts that do not come back.

    Places come from `tokenizers`: a letter that takes three tokens ends each of them.
    """
    used, ends, tokens, changed = set[int](), Counter[str](), 0, 0
    for text in texts:
        ids: list[int] = []
        for piece in pieces(text, tokenizer.kind):
            encoding = tokenizer.backend.encode(piece, add_special_tokens=False)
            ids += encoding.ids
            places = np.array([end for _, end in encoding.offsets], dtype=np.int64)
            ends.update(_scripts_before(piece, places[places > 0]))
        used.update(ids)
        tokens += len(ids)
        changed += tokenizer.decode(ids) != text
    return used, ends, tokens, changed


def _scripts_before(text: str, places: np.ndarray) -> dict[str, int]:  # type: ignore[type-arg]
    """How many of the places stand behind a letter of each script."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)[places - 1]
    found = Counter[str]()
    for code, count in zip(*np.unique(codes, return_counts=True), strict=True):
        if chr(code).isalpha():
            found[script_of(chr(code))] += int(count)
    return found


def _entries(tokenizer: Tokenizer) -> list[int]:
    """The ids that are no markers."""
    markers = {number for number, token in tokenizer.backend.get_added_tokens_decoder().items() if token.special}
    return sorted(set(tokenizer.backend.get_vocab(with_added_tokens=True).values()) - markers)


def _longest(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The vocabulary's longest entries as text; bytes that are no whole character are left out."""
    found = tokenizer.backend.decode_batch([[number] for number in _entries(tokenizer)], skip_special_tokens=False)
    whole = [text for text in found if "\ufffd" not in text]
    return tuple(sorted(whole, key=lambda text: (-len(text), text))[:_LONGEST])


def _per(what: int, parts: int) -> float:
    return what / parts if parts else 0.0
