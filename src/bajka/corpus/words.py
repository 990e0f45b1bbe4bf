"""What the words of a corpus tell: its languages, the commonest words, alphabets mixed in one word, old spelling."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bajka.formats.languages import LANGUAGES, Language

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LATIN_OR_CYRILLIC, _LATIN = re.compile(r"[a-zA-Z\u0400-\u04ff]{2,}"), re.compile(r"[a-zA-Z]")
_OLD = {
    "Russian before 1918": re.compile(r"\b\w*[ѣѢіІѳѲѵѴ]\w*\b|\b\w+[бвгджзклмнпрстфхцчшщ]ъ\b"),
    "the long s": re.compile(r"\b\w*ſ\w*\b"),
}
_OLD_SHARE = 0.01  # of the words: fewer are quotations
_FAMILIAR = 0.04  # share of a language's commonest words, below which no language is named
_SCRIPTS_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass
class WordFacts:
    """Of the words that were looked at: the commonest, languages by documents, and oddities with examples."""

    commonest: list[tuple[str, int]] = field(default_factory=list)
    languages: dict[str, int] = field(default_factory=dict)
    mixed: list[str] = field(default_factory=list)
    mixed_count: int = 0
    old_spelling: dict[str, list[str]] = field(default_factory=dict)


def word_facts(texts: Iterable[str], *, most: int = 60) -> WordFacts:
    """Facts of a sample of texts; for scripts without spaces a "word" is a character."""
    words, mixed, languages = Counter[str](), Counter[str](), Counter[str]()
    old: dict[str, Counter[str]] = {name: Counter() for name in _OLD}
    for text in texts:
        here = Counter(words_of(text))
        words += here
        languages[language_of(here)] += 1
        if not text.isascii():
            mixed.update(_mixed(text))
            for name, pattern in _OLD.items():
                old[name].update(pattern.findall(text))
    seen = max(1, words.total())
    return WordFacts(
        commonest=words.most_common(most),
        languages=dict(languages.most_common()),
        mixed=[word for word, _ in mixed.most_common(10)],
        mixed_count=mixed.total(),
        old_spelling={
            name: [word for word, _ in found.most_common(10)]
            for name, found in old.items()
            if found.total() >= _OLD_SHARE * seen
        },
    )


def _mixed(text: str) -> list[str]:
    """Words with letters of both alphabets; a lookahead for each would make one long run of letters quadratic."""
    words = _LATIN_OR_CYRILLIC.findall(text)
    return [word for word in words if not word.isascii() and _LATIN.search(word)]


def words_of(text: str) -> list[str]:
    """Small words of a text; characters, where they are not divided by spaces."""
    small = text.lower()
    if len(_SCRIPTS_WITHOUT_SPACES.findall(small[:2_000])) * 4 > len(small[:2_000]):
        return [character for character in small if character.isalpha()]
    return _WORD.findall(small)


def language_of(words: Counter[str]) -> str:
    """The language whose commonest words stand there most often; "unknown" when none of them is at home."""
    total = max(1, words.total())
    best = max(LANGUAGES, key=lambda language: _at_home(language, words))
    return best.name if _at_home(best, words) >= _FAMILIAR * total else "unknown"


def _at_home(language: Language, words: Counter[str]) -> int:
    return sum(words[word] for word in language.words)
