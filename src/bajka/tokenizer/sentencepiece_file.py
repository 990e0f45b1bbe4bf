"""A SentencePiece model as a `tokenizers.Tokenizer` with the same ids: the ones we trained, and any `.model` file.

The two libraries differ in three places, and each is closed here:

* SentencePiece writes spaces as U+2581 and cannot tell them from a U+2581 of the text. Our pieces hold real spaces, so
  both come back; what a model does to texts (normalization, a space before them) is repeated by a normalizer.
* A BPE model of `tokenizers` knows merges, SentencePiece scores: each way to halve a piece into two pieces is a merge, in
  the order of scores, as `transformers` converts it.
* A unigram model of `tokenizers` finds markers and bytes written out in a text: their first letter stands alone.

A `.model` from elsewhere is read in a process of its own, because a file can crash the C++ library (sentencepiece#1263,
#1269), and its ids are compared there on texts that usually show a difference.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from bajka.errors import DamagedFileError, TokenizerError
from bajka.tokenizer.kinds import END_OF_TEXT
from bajka.tokenizer.sentencepiece import proto

HARD_TEXTS = (
    "",
    " ",
    "Once upon a time there was a fox, 12 years old.",
    " one space before, two after  ",
    "two  three   four    spaces, a\ttab, a\nnewline and\n\ntwo\r\n",
    "Bila jednom jedna lisica: »Grožđe je kiselo!« Đak, ČAJ, žaba.",
    "Жила-была лиса. Ёжик — тоже; «да».",
    "从前有一只狐狸。昔々、キツネがいました。여우",
    "كان يا ما كان שועל नमस्ते สวัสดี",
    "e\u0301 \u00e9 ﬁ Ⅳ ２０２４ ｆｏｘ ½ … “quoted” ‘it’s’ naïve",
    "👩‍👩‍👧 🏳️‍🌈 🇭🇷 \u00a0nbsp\u3000wide\u200bzero\ufeffmark",
    "control \x01\x7f signs",
    "https://example.org/a?b=c&d=e {x: [1, 2]} #!$%^*()_+=~`|\\",
)
"""What converters get wrong: spaces, other scripts, composed letters, compatibility forms, signs, controls."""
RUNS = "aaaaaaaaaaaaaaaaaaaaa ---------- ....... hahahahaha"
"""Asked of BPE alone: here the segmentations of a unigram model are equally likely up to the rounding of float32."""

_SPACE = "\u2581"
_BYTES = "<0x[0-9A-F]{2}>"
_LARGEST_FILE = 100_000_000
_LONGEST_PIECE = 1000
_SECONDS = 120
_CHILD = "from bajka.tokenizer.sentencepiece_file import answer; answer()"


def read_model(path: Path) -> tuple[str, str]:
    """The `tokenizer.json` with the ids of the SentencePiece model at `path`, and its end-of-text marker.

    Raises `TokenizerError` when it cannot be had with the same ids, `DamagedFileError`, `MissingExtraError`.
    """
    proto()
    damaged = f"{path} is no SentencePiece model, or damaged. Copy or download it again."
    if path.stat().st_size > _LARGEST_FILE:
        raise DamagedFileError(f"{path} is larger than any tokenizer: {path.stat().st_size:,} bytes. Give another one.")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CHILD, str(path)], capture_output=True, timeout=_SECONDS, env=environment
        )
        found = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise DamagedFileError(damaged) from error
    if reason := found.get("refused"):
        raise TokenizerError(f"The tokenizer {path} cannot be used with the same ids: {reason}. Choose another one.")
    if done.returncode or "json" not in found:
        raise DamagedFileError(damaged)
    return found["json"], found["end_of_text"]


def convert(model: bytes) -> tokenizers.Tokenizer:
    """A backend with the ids of the SentencePiece `model`, without a marker before texts.

    Raises `TokenizerError` with half a sentence for what has no equal in `tokenizers`, and protobuf's `DecodeError`.
    """
    parsed = proto().ModelProto.FromString(model)
    spec, normalizer = parsed.trainer_spec, parsed.normalizer_spec
    kind = proto().TrainerSpec.ModelType.Name(spec.model_type)
    if kind == "WORD":
        raise TokenizerError("it knows whole words only")
    if spec.treat_whitespace_as_suffix or not normalizer.escape_whitespaces:
        raise TokenizerError("it treats spaces in an unusual way (as suffixes, or unescaped)")
    if any(len(piece.piece) > _LONGEST_PIECE for piece in parsed.pieces):
        raise TokenizerError(f"it holds a piece of more than {_LONGEST_PIECE} characters")
    normal = {_name(piece): piece.score for piece in parsed.pieces if piece.type == piece.NORMAL}
    backend = tokenizers.Tokenizer(_unigram(parsed) if kind == "UNIGRAM" else _bpe(parsed, normal))
    specials = [piece.piece for piece in parsed.pieces if piece.type in (piece.CONTROL, piece.UNKNOWN)]
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in specials])
    wanted = [_name(piece) for piece in parsed.pieces if piece.type == piece.USER_DEFINED]
    backend.add_tokens([AddedToken(name, normalized=False) for name in wanted])
    hidden = [re.escape(name) for name in specials] + [_BYTES] * spec.byte_fallback
    pattern = _words(list(normal), hidden if kind == "UNIGRAM" else [], has_bytes=spec.byte_fallback)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated") if pattern else None
    steps = _normalization(normalizer)
    backend.normalizer = normalizers.Sequence(steps) if steps else None
    fallback = [decoders.ByteFallback()] if spec.byte_fallback else []
    prefix = [decoders.Strip(" ", left=1, right=0)] if normalizer.add_dummy_prefix else []
    backend.decoder = decoders.Sequence([*fallback, decoders.Fuse(), *prefix])
    return backend


def answer() -> None:
    """In the process of its own: print what `read_model` wants to know about the file named on the command line."""
    model = Path(sys.argv[1]).read_bytes()
    try:
        backend = convert(model)
        _compare(backend, model)
        marker = _end_of_text(model)
    except TokenizerError as error:
        print(json.dumps({"refused": str(error)}))  # noqa: T201
        return
    backend.add_special_tokens([AddedToken(marker, special=True, normalized=False)])
    print(json.dumps({"json": backend.to_str(), "end_of_text": marker}))  # noqa: T201


def _name(piece: Any) -> str:
    """How our vocabulary writes a piece: with real spaces, but markers as they are."""
    return str(piece.piece.replace(_SPACE, " ") if piece.type in (piece.NORMAL, piece.USER_DEFINED) else piece.piece)


def _unknown(parsed: Any) -> int:
    return next((number for number, piece in enumerate(parsed.pieces) if piece.type == piece.UNKNOWN), 0)


def _unigram(parsed: Any) -> models.Unigram:
    scores = [(_name(piece), piece.score) for piece in parsed.pieces]
    return models.Unigram(scores, unk_id=_unknown(parsed), byte_fallback=parsed.trainer_spec.byte_fallback)


def _bpe(parsed: Any, normal: dict[str, float]) -> models.BPE:
    """Merges in the order of SentencePiece's scores; among those that give one piece, in the order of their halves."""
    vocabulary = {_name(piece): number for number, piece in enumerate(parsed.pieces)}
    halves = ((whole, whole[:cut], whole[cut:]) for whole in normal for cut in range(1, len(whole)))
    found = [
        (-normal[whole], vocabulary[left], vocabulary[right], left, right)
        for whole, left, right in halves
        if left in normal and right in normal
    ]
    merges = [(left, right) for *_, left, right in sorted(found)]
    has_bytes = parsed.trainer_spec.byte_fallback
    unknown = None if has_bytes else parsed.pieces[_unknown(parsed)].piece
    return models.BPE(vocab=vocabulary, merges=merges, unk_token=unknown, fuse_unk=True, byte_fallback=has_bytes)


def _words(pieces: list[str], hidden: list[str], *, has_bytes: bool) -> str | None:
    """A pattern whose matches can be encoded one by one, because no piece goes from one to the next.

    `hidden`: patterns of what must not be seen whole; their first letters stand alone.
    """
    rests: dict[str, list[str]] = {}
    for name in hidden:
        first = name[:2] if name.startswith("\\") else name[:1]
        rests.setdefault(first, []).append(name[len(first) :])
    if any(" " in piece.lstrip(" ") for piece in pieces):
        return "|".join(f"{first}(?={'|'.join(rest)})" for first, rest in rests.items()) or None
    newline = r"\n" if has_bytes and not any("\n" in piece for piece in pieces) else ""  # else runs are one unknown
    letter = f"[^ {newline}{''.join(rests)}]"
    inside = [f"{first}(?!{'|'.join(rest)})" for first, rest in rests.items()]
    word = f"(?:{'|'.join([letter, *inside])})+" if rests else f"{letter}+"
    return "|".join([f" *{word}", " +", *([newline] if newline else []), *rests])


def _normalization(spec: Any) -> list[normalizers.Normalizer]:
    """SentencePiece's normalizer in steps: its table, then spaces at the ends and in runs, then one before the text."""
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(bytes(spec.precompiled_charsmap)))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Replace(Regex("^ +| +$"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(" "))
    return steps


def _end_of_text(model: bytes) -> str:
    """The piece that the model calls the end of a sentence, or a marker that will be added to it."""
    parsed = proto().ModelProto.FromString(model)
    end = parsed.trainer_spec.eos_id
    is_marker = 0 <= end < len(parsed.pieces) and parsed.pieces[end].type == parsed.pieces[end].CONTROL
    return str(parsed.pieces[end].piece) if is_marker else END_OF_TEXT


def _compare(backend: tokenizers.Tokenizer, model: bytes) -> None:
    """Raise `TokenizerError` for the first text whose ids are not SentencePiece's, or that gives a marker's id."""
    from sentencepiece import SentencePieceProcessor

    parsed = proto().ModelProto.FromString(model)
    theirs = SentencePieceProcessor(model_proto=model)
    backend.encode_special_tokens = True
    wanted = [f"a {piece.piece} b" for piece in parsed.pieces if piece.type == piece.USER_DEFINED]
    runs = [RUNS] * (parsed.trainer_spec.model_type == proto().TrainerSpec.BPE)
    for text in [*HARD_TEXTS, *wanted, *runs]:
        ids = backend.encode(text, add_special_tokens=False).ids
        if ids != theirs.encode(text):
            raise TokenizerError(f"it gives other ids for {text!r}")
    markers = {number: piece.piece for number, piece in enumerate(parsed.pieces) if piece.type == piece.CONTROL}
    for text in markers.values():
        if not markers.keys().isdisjoint(backend.encode(text, add_special_tokens=False).ids):
            raise TokenizerError(f"its marker {text!r} cannot be told from the same letters in a text")
