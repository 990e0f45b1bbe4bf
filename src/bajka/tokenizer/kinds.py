"""The shapes of tokenizer that we know from inside, and where their text may be cut without changing an id.

`tokenizers` encodes in linear time, but one text on one core and with some 200 bytes of bookkeeping a token. Cut into
pieces, a novel uses all cores and a bounded amount of memory. A cut is safe where no rule of the split looks across it:

* `characters`, `bytes`: every character is encoded on its own, so anywhere.
* `gpt2`: before a space that follows a letter or sign; GPT-2's split never joins them and looks at nothing behind.
* `bpe` (the `qwen2` split): there too, and between a newline and what stands after it, because white space that ends in
  a newline is always one unit.
* `sentencepiece-bpe`, `sentencepiece-unigram`: before a space that follows anything else, and around a newline.
* `other`: unknown normalizers and rules, so nowhere.

Without a safe place for a million characters (a line of 10 MB of spaces, on which the regular expression gives up) the
text is cut all the same: there, and only there, ids differ from those of the uncut text. It still decodes to itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

Kind = Literal["bpe", "sentencepiece-bpe", "sentencepiece-unigram", "characters", "bytes", "gpt2", "other"]

END_OF_TEXT = "<|endoftext|>"
PIECE = 1 << 16
"""Characters after which the next safe place to cut is looked for."""
LONGEST_PIECE = 1 << 20
"""Characters after which a text without a safe place is cut anywhere."""

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 splits a text into words before merging: single digits, and llama.cpp gives such texts back unchanged."""

SENTENCEPIECE_BPE = r" *[^ \n]+| +|\n"
"""Spaces with the word after them, and single newlines: no piece of ours crosses these borders, so that encoding word
by word is encoding the whole line, as SentencePiece does, and faster."""

SENTENCEPIECE_UNIGRAM = r" *(?:[^ \n<]|<(?!\|endoftext\|>|0x[0-9A-F]{2}>))+| +|\n|<"
"""The same, and the first letter of a written-out "<|endoftext|>" or "<0x41>" alone: a unigram model finds any entry of
its vocabulary in the text, the marker and the bytes too, unless it never sees them whole."""

# Python's \s holds every character of Oniguruma's \s (and U+001C-1F), so \S here is never white space there.
_SAFE_CUTS: dict[Kind, re.Pattern[str]] = {
    "bpe": re.compile(r"(?<=\n)(?=\S)|(?<=\S)(?= )"),
    "sentencepiece-bpe": re.compile(r"(?<=\n)|(?=\n)|(?<=[^ ])(?= )"),
    "sentencepiece-unigram": re.compile(r"(?<=\n)|(?=\n)|(?<=[^ ])(?= )"),
    "gpt2": re.compile(r"(?<=\S)(?= )"),
    "characters": re.compile(""),
    "bytes": re.compile(""),
}


def kind_of(description: dict[str, Any]) -> Kind:
    """Which shape the parsed `tokenizer.json` has, read from what it does rather than from a name."""
    model = description["model"]
    markers_only = all(token["special"] for token in description["added_tokens"])
    if description["normalizer"] is not None or not markers_only:
        return "other"
    match model["type"], description["pre_tokenizer"], bool(model.get("merges")):
        case "BPE", None, False if model["byte_fallback"]:
            return "characters"
        case "BPE", {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}, False:
            return "bytes"
        case "BPE", {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, _:
            return "gpt2"
        case "BPE", {"type": "Sequence", "pretokenizers": [split, byte_level]}, _ if _is_qwen2(split, byte_level):
            return "bpe"
        case "BPE", split, _ if split == _isolated(SENTENCEPIECE_BPE) and model["byte_fallback"]:
            return "sentencepiece-bpe"
        case "Unigram", split, _ if split == _isolated(SENTENCEPIECE_UNIGRAM) and model["byte_fallback"]:
            return "sentencepiece-unigram"
        case _:
            return "other"


def pieces(text: str, kind: Kind, *, size: int = PIECE) -> Iterator[str]:
    """`text` in pieces of about `size` characters whose ids, one after the other, are the ids of the whole.

    Always at least one piece; longer ones, up to `LONGEST_PIECE`, where no safe place is near (a line without spaces).
    """
    start = 0
    cut = _SAFE_CUTS.get(kind)
    while cut and len(text) - start > size:
        place = cut.search(text, start + size, start + LONGEST_PIECE)
        end = place.start() if place else start + LONGEST_PIECE
        if end >= len(text):
            break
        yield text[start:end]
        start = end
    yield text[start:]


def _is_qwen2(split: dict[str, Any], byte_level: dict[str, Any]) -> bool:
    flags = (byte_level["add_prefix_space"], byte_level["use_regex"])
    return split == _isolated(QWEN2) and flags == (False, False)


def _isolated(pattern: str) -> dict[str, Any]:
    """A pre-tokenizer whose words are the matches of `pattern`, as `tokenizer.json` writes it."""
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
