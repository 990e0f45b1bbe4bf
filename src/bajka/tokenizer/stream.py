"""Text from ids as they come, one by one, without ever showing half a letter."""

from __future__ import annotations

import re

from bajka.tokenizer.tokenizer import Tokenizer

_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


class TextStream:
    """All that `feed` returned, then what `finish` returns, is `tokenizer.decode` of all ids.

    Ids wait while their text may still change: it ends in an incomplete UTF-8 letter (which decodes to U+FFFD), in a
    byte token (a run of them is decoded as one, and a wrong byte spoils the whole run), or is empty so far.
    The last ids shown are decoded again before the new ones, because some tokenizers write no space at a beginning.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Begin a stream of its own; one for each text."""
        self._tokenizer = tokenizer
        self._shown: list[int] = []
        self._waiting: list[int] = []

    def feed(self, token: int) -> str:
        """The text that is certain now and was not before; often empty."""
        self._waiting.append(int(token))
        text = self._new_text()
        if not text or text.endswith("\ufffd") or self._is_open(token):
            return ""
        self._shown, self._waiting = self._waiting, []
        return text

    def finish(self) -> str:
        """The text that still waited, with U+FFFD for what never became a letter."""
        text = self._new_text() or ""
        self._shown, self._waiting = [], []
        return text

    def _new_text(self) -> str | None:
        """The text of the waiting ids after the shown ones; None when they would change what was shown."""
        before = self._tokenizer.decode(self._shown)
        text = self._tokenizer.decode(self._shown + self._waiting)
        return text[len(before) :] if text.startswith(before) else None

    def _is_open(self, token: int) -> bool:
        """Whether the next id may be decoded together with this one: a marker (invisible) or a byte token."""
        name = self._tokenizer.backend.id_to_token(int(token)) or ""
        return _BYTE_TOKEN.fullmatch(name) is not None or not self._tokenizer.decode([token])
