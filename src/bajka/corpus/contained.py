"""Held-out text that stands in training too, inside a larger file: a volume of collected tales beside the tales, in the same
corpus or in another one.

The likeness of whole documents (near.py) cannot see it: a tale is a small part of its volume. Here pieces are compared,
word for word, by hashes of the held-out ones: linear in the texts, and memory for the held-out side only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from bajka.formats import Document

SHORTEST = 100
"""Characters of a piece: shorter ones are formulas and dialogue that stand in many texts."""
_HARMLESS = 0.02  # share of the held-out characters below which nothing is said: quotations, headers


def also_in_training(held_out: Iterable[Document], training: Iterable[Document]) -> str:
    """A sentence on how much of the held-out text stands word for word in training, and where; "" for next to nothing."""
    held: dict[int, tuple[int, int]] = {}  # a piece by its hash: its characters, and the number of its document
    everything = documents = 0
    for document in held_out:
        everything += len(document.text)
        held |= {hash(piece): (len(piece), documents) for piece in _pieces(document.text)}
        documents += 1
    found: set[int] = set()
    most, where = 0, ""
    for document in training if held else ():
        here = {key for piece in _pieces(document.text) if (key := hash(piece)) in held}
        found |= here
        touched = len({held[key][1] for key in here})
        if touched > most:  # a collection holds something of many, a tale much of one
            most, where = touched, document.name
    size = sum(held[key][0] for key in found)
    if size <= _HARMLESS * everything:
        return ""
    return (
        f"{100 * size / everything:.0f} % of the held-out text stands word for word in training too ({where} alone has "
        f"parts of {most:,} of the {documents:,} held-out documents): validation will look too good. Take out the files "
        "that repeat others."
    )


def _pieces(text: str) -> Iterator[str]:
    """Lines of at least `SHORTEST` characters, and the shorter ones of a paragraph together if they are that long."""
    short: list[str] = []
    for line in chain(map(str.strip, text.split("\n")), [""]):
        if line and len(line) < SHORTEST:
            short.append(line)
            continue
        if short:
            piece = " ".join(short)
            short.clear()
            if len(piece) >= SHORTEST:
                yield piece
        if line:
            yield line
