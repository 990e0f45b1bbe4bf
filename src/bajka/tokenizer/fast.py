"""Encoding many megabytes: the fastest way that gives exactly the ids of `tokenizers`, chosen for each tokenizer.

* `characters` and `bytes` are tables, so numpy looks the ids up.
* `bpe` and `gpt2` are encoded by `gigatoken` where it is installed (a hundred times faster: a split written by hand, and
  words it has met before are not encoded again). It is believed only after a golden test when it is first needed. Many
  pieces are one call: joined by a separator of our own, which comes back as an id of its own.
* Without it, `bpe` and `gpt2` are cut at safe places into words, and each different word is encoded once.
* Everything else, and whatever one of these ways leaves over, goes to `tokenizers` itself.

`tokenizers` and `gigatoken` carry Unicode tables of different years, so a letter added to Unicode in between is a letter
for one and a sign for the other. `_unlike` finds these characters by experiment; a piece that holds one is not given to
`gigatoken`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Lock
from typing import Any, Literal

import numpy as np
import tokenizers
from numpy.typing import NDArray

from bajka.tokenizer.kinds import QWEN2, Kind

Ids = NDArray[np.uint32]
Encode = Callable[[Sequence[str]], list[Ids]]
"""The ids of each of several pieces of text, without markers."""

Way = Literal["numpy", "gigatoken", "words", "tokenizers"]

_COMPARED = (
    *(range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xD7A4, 0xD800), range(0xF900, 0x10000)),
    *(range(0x1D400, 0x1D800), range(0x1F000, 0x1FC00)),
)
"""Where tables may differ: all of plane 0 but Han, Hangul and private use; mathematical letters and emoji."""
_SEPARATOR = "\x1c\x1d\x1e"  # ASCII, so that joining widens no text; one that holds it itself goes to `tokenizers`
_MOST_UNLIKE = 200  # characters that the two may take differently, before gigatoken is left alone
_LETTERS = "A-Za-zÀ-ÖØ-öø-ʯΑ-ΡΣ-ώЀ-ҁҊ-ԯ"
_UNITS = re.compile(
    rf" [{_LETTERS}]+|[^{_LETTERS}]+(?<=\S)(?= [{_LETTERS}])|[^{_LETTERS}]*[{_LETTERS}]+|[^{_LETTERS}]+"
)
"""Cuts a text behind a run of letters, and before a space with a sign before and a letter behind it.

At both places every rule of the two splits ends a word, and no rule looks back over them, so units are encoded alone.
"""
_MOST_UNITS = 1_000_000

GOLDEN = (
    "Once upon a time there was a fox. She'd said: “I can't, WE'LL see!” And they've 12,345.67 reasons, he's I'M 'Tis ''s",
    "Bila jednom jedna lisica: »Grožđe je kiselo!« – Đački ŠKOLSKI čćžšđ ǅ ǆ ß ẞ ﬁ ſ İı",
    "Жила-была лиса, 12 лет. Ёж, ѣ, Ђорђе Љубав; ҐґЇї Ӂ",
    "Μια φορά κι έναν καιρό, ἀρχή. שָׁלוֹם עולם مرحبًا بالعالم ١٢٣ नमस्ते दुनिया १२३ ไทยสวัสดี ภาษา ខ្មែរ မြန်မာ",
    "日本語のテキスト。\u3000全角１２３ ①②③ Ⅳ ½ ² 中文没有空格，标点。한국어 텍스트 가각",
    "  two  spaces \n\n new line \r\n\ttab\t\t2024  \n \n\r\r\n x\u00a0y\u2003z\u2028w\u2029v\u0085u\u200bt\u2060s\ufeffr",
    "👩‍👩‍👧‍👦🏳️‍🌈 🇭🇷 🎄! 𝐀𝟏𝔸 𐍈 𓀀 e\u0301 é \u0301a \u00ad \x00\x01\x1c\x1f\x7f \ufffd \ue000 \U0010ffff",
    "<|endoftext|> a<|endoftext|>b <|endo ftext|> <s></s> [CLS] <unk> <0x41><0xFF> Ġ Ċ ▁ <|title|><|plot|> <|im_start|>",
    "...!!! ?!\n\n---\n***\n~~~ :-) ;) (¿¡) @#$%^&*_+={}[]|\\/<>,. 'quoted' \"x\"'s x's'll\n's 're'D",
    "a" * 300 + " " * 300 + "é" * 100 + "!" * 100 + "\n" * 100 + "7" * 100 + " \n" * 50 + "字" * 100 + "ab" * 100,
)
"""Texts on which two encoders that differ would show it: scripts, digits, contractions, white space, markers, signs."""


def choose(description: dict[str, Any], kind: Kind, plain: Encode) -> tuple[Way, Encode]:
    """The fastest way to encode with the tokenizer of a parsed `tokenizer.json`, equal to `plain`, and its name."""
    match kind:
        case "characters":
            return "numpy", _characters(description, plain)
        case "bytes":
            return "numpy", _bytes(plain)
        case "bpe" | "gpt2":
            fast = with_gigatoken(description, plain)
            return ("words", WordTable(plain)) if isinstance(fast, str) else ("gigatoken", fast)
        case _:
            return "tokenizers", plain


def examine_gigatoken() -> str:
    """Why `gigatoken` is not used on this machine, as a clause; "" when it is. For the doctor."""
    qwen2 = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
    for split in (qwen2, None):
        description = _every_cut_shows(_splitting(split))
        backend = tokenizers.Tokenizer.from_str(json.dumps(description))
        fast = with_gigatoken(description, partial(plain_encode, backend))
        if isinstance(fast, str):
            return fast
    return ""


def plain_encode(backend: tokenizers.Tokenizer, pieces: Sequence[str]) -> list[Ids]:
    """What `tokenizers` gives, on all cores."""
    encodings = backend.encode_batch_fast(list(pieces), add_special_tokens=False)
    return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]


def with_gigatoken(description: dict[str, Any], plain: Encode) -> Encode | str:
    """`gigatoken` with this tokenizer, proven on the golden texts; else why not, as a clause."""
    try:
        unlike = _unlike(json.dumps(description["pre_tokenizer"]))
        fast = _careful(Gigatoken(description), unlike, plain)
        markers = "".join(token["content"] for token in description["added_tokens"])
        golden = [*GOLDEN, markers, f"a {markers} b"]
        equal = all(map(np.array_equal, plain(golden), fast(golden)))
    except ImportError:
        return "gigatoken is not installed"
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic in Rust is not an Exception
        return f"gigatoken cannot read it ({(str(error) or type(error).__name__).splitlines()[0]})"
    if not equal or len(unlike) > _MOST_UNLIKE:
        return "gigatoken gives other ids"
    return fast


class Gigatoken:
    """`gigatoken` with one tokenizer; it is told of no marker, so that it finds none in a text, but of a separator."""

    def __init__(self, description: dict[str, Any]) -> None:
        from gigatoken.gigatoken_rs import BytesSource, PadTruncate, load_hf_json

        known = [*description["model"]["vocab"].values(), *(token["id"] for token in description["added_tokens"])]
        self._separator = 1 + max(known)
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        token = {"id": self._separator, "content": _SEPARATOR, "special": True} | flags
        changed = description | {"added_tokens": [token], "post_processor": None}
        self._backend = load_hf_json(json.dumps(changed))
        self._source, self._whole = BytesSource, PadTruncate(0)

    def encode(self, joined: str) -> list[Ids]:
        """The ids of each piece of a text of pieces with the separator between: views of one array."""
        source = self._source([joined.encode("utf-8")])  # a list would import awkward
        # A batch of one, because the method for one text lets no other thread run.
        (ids,), _ = self._backend.encode_batch_padded(source, self._whole, parallel=False)
        ends = [*np.flatnonzero(ids == self._separator).tolist(), len(ids)]
        starts = [0, *(end + 1 for end in ends[:-1])]
        return [ids[start:end] for start, end in zip(starts, ends, strict=True)]


def _careful(fast: Gigatoken, unlike: frozenset[str], plain: Encode) -> Encode:
    """`fast` for pieces without a character of `unlike`, and of those above U+FFFF that were not compared."""
    low = [one for one in unlike if one < "\U00010000"]
    sure = np.array([one for some in _COMPARED for one in some if one > 0xFFFF and chr(one) not in unlike])

    def is_doubtful(text: str) -> bool:
        if text.isascii():
            return False
        if any(map(text.__contains__, low)):
            return True
        if len(text.encode("utf-16-le")) == 2 * len(text):  # nothing above U+FFFF
            return False
        codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
        return not np.isin(np.unique(codes[codes > 0xFFFF]), sure).all()

    def encode(pieces: Sequence[str]) -> list[Ids]:
        joined = _SEPARATOR.join(pieces)
        if not is_doubtful(joined):
            found = fast.encode(joined)
            if len(found) == len(pieces):  # else a separator stands in the text
                return found
        doubts = [_SEPARATOR in piece or is_doubtful(piece) for piece in pieces]
        return [
            (plain([piece]) if doubt else fast.encode(piece))[0] for piece, doubt in zip(pieces, doubts, strict=True)
        ]

    return encode


@cache
def _unlike(pre_tokenizer: str) -> frozenset[str]:
    """The characters of `_COMPARED` that the two split differently by a pre-tokenizer given as JSON.

    Each stands between letters, signs and spaces, under a vocabulary that makes every cut visible.
    """
    description = _every_cut_shows(json.loads(pre_tokenizer))
    fast, backend = Gigatoken(description), tokenizers.Tokenizer.from_str(json.dumps(description))

    def differing(texts: list[str]) -> list[str]:
        both = zip(texts, plain_encode(backend, texts), fast.encode(_SEPARATOR.join(texts)), strict=True)
        return [text for text, ids, others in both if not np.array_equal(ids, others)]

    characters = [chr(one) for some in _COMPARED for one in some]
    rows = [characters[start : start + 256] for start in range(0, len(characters), 256)]
    doubtful = differing(["\n".join(f"a{one}!{one}a" for one in row) for row in rows])
    return frozenset(line[1] for line in differing([line for row in doubtful for line in row.split("\n")]))


def _every_cut_shows(pre_tokenizer: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer.json that joins any byte with an "a" before or behind it and a "!" behind it, if they are one word."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = list(dict.fromkeys(pair for one in alphabet for pair in (("a", one), (one, "a"), (one, "!"))))
    names = dict.fromkeys([*alphabet, *(first + second for first, second in merges)])
    vocabulary = {name: number for number, name in enumerate(names)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": merges, "byte_fallback": False}
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": pre_tokenizer, "model": model}


def _splitting(split: dict[str, Any] | None) -> dict[str, Any]:
    """The pre-tokenizer of a byte-level tokenizer, by `split` or else by GPT-2's own rule."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": split is None}
    return {"type": "Sequence", "pretokenizers": [split, byte_level]} if split else byte_level


class WordTable:
    """Encodes each different unit of the texts once, and looks the others up."""

    def __init__(self, plain: Encode) -> None:
        self._plain = plain
        self._known: dict[str, bytes] = {}
        self._alone = Lock()

    def __call__(self, pieces: Sequence[str]) -> list[Ids]:
        """The ids of each piece. Texts whose units hardly repeat (no spaces, other scripts) are encoded as they are."""
        with self._alone:
            return self._encoded(pieces)

    def _encoded(self, pieces: Sequence[str]) -> list[Ids]:
        units = [_UNITS.findall(piece) for piece in pieces]
        new = list(set().union(*units) - self._known.keys())
        if len(new) * 3 > sum(map(len, units)):
            return self._plain(pieces)
        if len(self._known) + len(new) > _MOST_UNITS:
            self._known, new = {}, list(set().union(*units))
        self._known.update(zip(new, (ids.tobytes() for ids in self._plain(new)), strict=True))
        return [np.frombuffer(b"".join(map(self._known.__getitem__, some)), dtype=np.uint32) for some in units]


def _characters(description: dict[str, Any], plain: Encode) -> Encode:
    """One id a character; a piece with a character outside the vocabulary goes to `plain`."""
    table = np.full(0x110000, -1, dtype=np.int32)
    for token, number in description["model"]["vocab"].items():
        if len(token) == 1:
            table[ord(token)] = number

    def encode(pieces: Sequence[str]) -> list[Ids]:
        found = []
        for piece in pieces:
            ids = table[np.frombuffer(piece.encode("utf-32-le"), dtype=np.uint32)]
            found.append(plain([piece])[0] if (ids < 0).any() else ids.astype(np.uint32))
        return found

    return encode


def _bytes(plain: Encode) -> Encode:
    """One id a byte, learnt from a text that holds every byte of UTF-8."""
    letters = [*range(0x800), *range(0x800, 0xD800, 0x400), *range(0xE000, 0x110000, 0x400)]
    text = "".join(map(chr, letters))
    table = np.zeros(256, dtype=np.uint32)
    table[np.frombuffer(text.encode(), dtype=np.uint8)] = plain([text])[0]
    return lambda pieces: [table[np.frombuffer(piece.encode(), dtype=np.uint8)] for piece in pieces]
