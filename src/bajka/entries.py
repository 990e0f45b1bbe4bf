"""Settings that say two things in one word: "TEXTS=SHARE" and "NAME=TEXTS". Each `ValueError` is a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable

RESERVED = ("loss", "train", "training", "val", "validation", "test", "sample", "best", "main")
"""Names that a further validation set may not have: they mean something else in plots and sentences."""
_PARTS = 10_000  # shares are counted in so many parts


def texts_and_share(entry: str) -> tuple[str, float]:
    """The texts and their share, of an entry of `mix` such as "../poems=0.3"."""
    texts, equals, typed = entry.rpartition("=")
    if not equals or not texts.strip():
        raise ValueError(f'mix = {entry!r}: write the texts and their share of the training, as "poems=0.3"')
    try:
        share = float(typed)
    except ValueError:
        raise ValueError(f"mix = {entry!r}: {typed!r} is not a number; write a share like 0.3") from None
    if not 1 / _PARTS <= share < 1:  # nan is not either
        raise ValueError(f"mix = {entry!r}: a share is from 0.0001 to below 1, such as 0.3 for 30 % of the training")
    return texts.strip(), share


def name_and_texts(entry: str) -> tuple[str | None, str]:
    """The name (if there is one) and the texts, of an entry of `validate_on` such as "poems=../poems"."""
    name, equals, texts = entry.partition("=")
    if not equals or "/" in name or "\\" in name:  # a path that has a "=" in it
        name, texts = "", entry
    if not texts.strip():
        raise ValueError(f'validate_on = {entry!r} names no texts: write a name and texts, as "poems=../poems"')
    if name and not re.fullmatch(r"[\w.-]{1,80}", name):
        raise ValueError(f"validate_on = {entry!r}: {name!r} is no name; write one word of letters, digits, - and _")
    if name.lower() in RESERVED:
        raise ValueError(f"validate_on = {entry!r}: the name {name} has a meaning of its own here; choose another one")
    return name or None, texts.strip()


def check_names(entries: Iterable[str]) -> None:
    """Raise when a name stands twice in `validate_on`."""
    names = [name for name, _ in map(name_and_texts, entries) if name]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"validate_on has the name {min(twice)} twice: give each of the texts a name of its own")


def check_shares(shares: Iterable[float]) -> None:
    """Raise when shares of further texts leave nothing for the texts themselves."""
    given = [share for share in shares if share]
    if sum(round(share * _PARTS) for share in given) >= _PARTS:
        raise ValueError(
            f"the shares of mix and replay are {' + '.join(f'{share:g}' for share in given)} = {sum(given):g}, which "
            "leaves nothing for the texts themselves: make them less than 1 together"
        )
