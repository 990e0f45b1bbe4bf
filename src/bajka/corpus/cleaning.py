"""Cleaning a decoded text: an ordered list of steps, each from text to text, refusing what it cannot make right."""

from __future__ import annotations

from collections.abc import Callable

from bajka.corpus.document import UnreadableError

Step = Callable[[str], str]


def clean(text: str) -> str:
    """`text` after every step of `STEPS`; raises `UnreadableError` for text that no tokenizer could give back."""
    for step in STEPS:
        text = step(text)
    return text


def without_marks(text: str) -> str:
    """Without a byte order mark at the beginning and the end-of-file sign (Ctrl-Z) of DOS at the end."""
    return text.lstrip("\ufeff").rstrip("\x1a")


def with_plain_newlines(text: str) -> str:
    r"""Every \r\n and every lone \r is \n."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def refused_if_broken(text: str) -> str:
    """Unchanged; raises `UnreadableError` when the text holds a NUL or half a UTF-16 pair, which UTF-8 cannot hold."""
    if "\0" in text:
        raise UnreadableError(f"it holds a NUL character (at {text.index(chr(0))}), so it is not text")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableError(f"it holds half a character (a lone surrogate, at {error.start})") from None
    return text


STEPS: tuple[Step, ...] = (without_marks, with_plain_newlines, refused_if_broken)
