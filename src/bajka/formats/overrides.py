"""The encodings a person names: `--encoding "poems/*=koi8-r"`."""

from __future__ import annotations

import difflib
import encodings.aliases
import fnmatch
import unicodedata
from dataclasses import dataclass

from bajka.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Override:
    """One `--encoding "pattern=name"`."""

    pattern: str
    encoding: str

    def matches(self, *names: str) -> bool:
        """Whether the pattern fits one of the names of a file."""
        pattern = unicodedata.normalize("NFC", self.pattern)
        return any(fnmatch.fnmatchcase(unicodedata.normalize("NFC", name), pattern) for name in names)


def parse_overrides(wishes: tuple[str, ...]) -> list[Override]:
    """The overrides of `CorpusSettings.encoding`; raises `SettingsError` for a bad form or an unknown encoding."""
    return [_override(wish) for wish in wishes]


def _override(wish: str) -> Override:
    pattern, equals, encoding = wish.rpartition("=")
    if not (equals and pattern.strip() and encoding.strip()):
        raise SettingsError(
            f'The encoding "{wish}" is not of the form PATTERN=ENCODING. Write it like "poems/*=koi8-r" or "*=cp1250".'
        )
    encoding = encoding.strip()
    try:
        b"a".decode(encoding, "replace")
    except (LookupError, ValueError):  # a name with a NUL is a ValueError
        known = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "koi8_r", "koi8_u"}
        close = difflib.get_close_matches(encoding.lower().replace("-", "_"), sorted(known), n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else " Known ones are utf-8, cp1250, cp1251, koi8-r, shift_jis."
        raise SettingsError(f'There is no encoding "{encoding}" (in "{wish}").{hint}') from None
    return Override(pattern.strip(), encoding)
