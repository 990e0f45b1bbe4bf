"""A way out for little text: a base in the same language first, then the person's own texts."""

from __future__ import annotations

from bajka.formats.languages import LANGUAGES, Language

LITTLE_TEXT_BYTES = 1_000_000
"""Text below which a network soon knows it by heart, when it reads it more than a few times."""

BASES = {"English": "novels-en", "Croatian": "novels-hr", "Serbian": "novels-sr", "Russian": "novels-ru"}
"""The corpus of the catalog to begin with, by language (the names of `bajka.formats.languages`)."""

GAINS = {
    "English": "1.48 bits a byte instead of 1.78 for a novel of 150 KB, with five minutes on the base",
    "Croatian": "2.22 bits a byte instead of 2.44 for a novel of 140 KB, with five minutes on the base",
}
"""What a base brought on a small text, by language, as half a sentence (docs/experiments.md, "A base first"). Only what was
measured stands here; without an entry no gain is promised."""

_SURE = 0.08


def language_of(text: str) -> str:
    """The language whose commonest words stand most often in a text, by its English name; "" when none does."""
    words = text.lower().split()
    shares = {one.name: _share(one, words, text) for one in LANGUAGES}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= _SURE else ""


def _share(language: Language, words: list[str], text: str) -> float:
    """The share of the words, or of the characters where there are no spaces, that are the language's commonest."""
    pieces = text if language.writing == "han" else words
    return sum(piece in language.words for piece in pieces) / max(1, len(pieces))


def way_out(size: int, language: str) -> list[str]:
    """What to say to somebody with `size` bytes of text; nothing when that is enough."""
    if size >= LITTLE_TEXT_BYTES:
        return []
    said = [
        f"This is a small text ({size / 1000:,.0f} KB): read often, it is learnt by heart. The checkpoint with the best "
        "validation loss is kept."
    ]
    base = BASES.get(language)
    if base is None:
        return [
            *said,
            "More text of the same kind helps most, or --from MODEL, a model trained on more of this language.",
        ]
    gain = GAINS.get(language)
    return [
        *said,
        f"A base in the same language first helps most{f' ({gain})' if gain else ''}: bajka fetch {base}; "
        f"bajka train corpora/{base} --out runs/base; then your texts with --from runs/base.",
    ]
