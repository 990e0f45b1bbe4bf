"""Built-in tales: a small grammar whose every word stands in one data file per language, `tales_XX.toml`.

A tale is one plot with its cast. Each role (hero, object, place, helper...) is drawn once and keeps its word to the
end, so that problem, cause, turn and ending speak of the same things.
`tales_en.toml` says how to write another language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bajka.errors import CorpusError, SettingsError

Entry = str | dict[str, str]
Lists = str | list[str] | dict[str, Annotated[int, Field(ge=1)]]
Some = Field(min_length=1)

_FIELD = re.compile(r"\{(?P<role>\w+)(?:\.(?P<form>\w+)|(?P<choices>(?:\|[^{}|]*)+))?\}")
_STOP = re.compile(r"""(?:[.!?…]["'”’»)]*\s+|[。！？][」』]*)(?=["'“‘„«(¿¡—]*(?P<next>.))""", re.DOTALL)


class _PlotPage(BaseModel):
    """One [plots.NAME] table: its cast, and sentences for parts of the tale under the parts' own names."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[str]] = Field(init=False)
    cast: dict[str, Lists] = {}


class _Page(BaseModel):
    """A data file as it is written."""

    model_config = ConfigDict(extra="forbid")
    language: str
    code: str
    between: str = " "
    order: list[str] = Some
    cast: dict[str, Lists]
    words: dict[str, list[Entry] | dict[str, list[Entry]]]
    common: dict[str, list[str]] = {}
    plots: dict[str, _PlotPage] = Some


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its forms by name ("base" is always there) and its agreement group: the `group`-th of `groups`."""

    forms: Mapping[str, str]
    group: int
    groups: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One pair of braces: a form of a role's word, or the choice that agrees with the word's group."""

    role: str
    form: str
    choices: tuple[str, ...]
    capital: bool

    def fill(self, word: Word) -> str:
        """The text that stands here when the role is played by `word`."""
        text = self.choices[word.group] if self.choices else word.forms[self.form]
        return text[:1].upper() + text[1:] if self.capital else text


Sentence = tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """The words that may play each role, and for each part of the tale the sentences that may tell it."""

    cast: Mapping[str, tuple[Word, ...]]
    parts: tuple[tuple[Sentence, ...], ...]


@dataclass(frozen=True, slots=True)
class Language:
    """A checked data file: every brace of every sentence can be filled by every word of its role."""

    code: str
    between: str
    plots: tuple[Plot, ...]
    heroes: Mapping[str, str]
    """Every form of every hero's name, and the name it belongs to."""


def write_tales(count: int, *, seed: int = 0, language: str | Path = "en") -> list[str]:
    """`count` tales of one paragraph (English: 50-120 words), the same for the same seed on every machine.

    The first n of a longer list are the same tales. `language` is the code of a built-in language or the path of a data
    file. Raises `SettingsError` for a negative count or unknown language, `CorpusError` for a faulty data file.
    """
    if count < 0:
        raise SettingsError(f"Cannot write {count} tales: give a count of 0 or more.")
    grammar = load_language(language)
    random = Random(f"{grammar.code}:{seed}")
    return [_tell(grammar, random) for _ in range(count)]


def first_hero(tale: str, *, language: str | Path = "en") -> str | None:
    """The name (base form) of the hero who is named first in the first sentence of `tale`, or None."""
    return next(_heroes_in(_sentences(tale)[0], load_language(language)), None)


def names_first_hero_again(tale: str, *, language: str | Path = "en") -> bool:
    """Whether the last of at least two sentences names, in any form, the hero whom the first sentence names first."""
    hero = first_hero(tale, language=language)
    if hero is None or len(_sentences(tale)) < 2:
        return False
    return hero in _heroes_in(last_sentence(tale), load_language(language))


def last_sentence(tale: str) -> str:
    """The last sentence of `tale`, stripped; what follows the last full stop of an unfinished tale counts as one."""
    return _sentences(tale)[-1]


def languages() -> list[str]:
    """The codes of the built-in languages."""
    names = (entry.name for entry in resources.files("bajka.corpus").iterdir())
    return sorted(name[len("tales_") : -len(".toml")] for name in names if re.fullmatch(r"tales_\w+\.toml", name))


def load_language(language: str | Path) -> Language:
    """The grammar of a built-in language's code or of a data file; the errors are those of `write_tales`."""
    return _read_file(language) if isinstance(language, Path) else _built_in(language)


@lru_cache
def _built_in(code: str) -> Language:
    if code not in languages():
        raise SettingsError(f"There are no built-in tales in {code!r}. Choose one of: {', '.join(languages())}.")
    with resources.as_file(resources.files("bajka.corpus") / f"tales_{code}.toml") as path:
        return _read_file(path)


def _read_file(path: Path) -> Language:
    try:
        page = _Page.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise SettingsError(f"There is no file of tales {path}. Give the path of an existing one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"The file of tales {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise CorpusError(f"The file of tales {path} is not valid TOML: {error}. Correct that line.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CorpusError(f"The file of tales {path} is wrong at {where}: {first['msg']}.") from error
    try:
        return _language(page)
    except _FaultError as fault:
        raise CorpusError(f"The file of tales {path} is wrong: {fault}.") from None


class _FaultError(Exception):
    """A fault of a data file, as a sentence part; it is told with the name of the file."""


def _language(page: _Page) -> Language:
    lists = {name: tuple(_words(name, entries)) for name, entries in page.words.items()}
    plots = tuple(_plot(page, name, lists) for name in page.plots)
    heroes = {form: word.forms["base"] for plot in plots for word in plot.cast["hero"] for form in word.forms.values()}
    return Language(page.code, page.between, plots, heroes)


def _words(name: str, entries: list[Entry] | dict[str, list[Entry]]) -> Iterator[Word]:
    groups = list(entries.values()) if isinstance(entries, dict) else [entries]
    if not any(groups):
        raise _FaultError(f"the list of words {name} is empty; write at least one word")
    for group, members in enumerate(groups):
        for entry in members:
            forms = {"base": entry} if isinstance(entry, str) else entry
            if "base" not in forms:
                raise _FaultError(f'a word in the list {name} has no base: {forms}; write base = "..."')
            yield Word(forms, group, len(groups))


def _plot(page: _Page, name: str, lists: Mapping[str, tuple[Word, ...]]) -> Plot:
    written = page.plots[name]
    own = written.__pydantic_extra__ or {}
    unknown = sorted((own.keys() | page.common.keys()) - set(page.order))
    if unknown:
        raise _FaultError(f"plot {name}: {unknown[0]} is no part of a tale; the order names {', '.join(page.order)}")
    cast = {role: tuple(_called(name, role, names, lists)) for role, names in (page.cast | written.cast).items()}
    if "hero" not in cast:
        raise _FaultError(f'plot {name} has no hero; write hero = "..." under [cast]')
    parts = []
    for part in page.order:
        texts = own.get(part) or page.common.get(part)
        if not texts:
            raise _FaultError(f"plot {name} has no sentence for the part {part}, and [common] has none either")
        parts.append(tuple(_sentence(text, cast, f"plot {name}, {part}") for text in texts))
    for part, sentences in ((page.order[0], parts[0]), (page.order[-1], parts[-1])):
        if not all(any(isinstance(piece, Slot) and _names_hero(piece) for piece in one) for one in sentences):
            raise _FaultError(f"plot {name}: a sentence of the part {part} does not name the {{hero}}; name them there")
    return Plot(cast, tuple(parts))


def _called(plot: str, role: str, asked: Lists, lists: Mapping[str, tuple[Word, ...]]) -> Iterator[Word]:
    """All words of the lists that a cast asks for in one role, each as many times as its list counts."""
    shares = asked if isinstance(asked, dict) else dict.fromkeys([asked] if isinstance(asked, str) else asked, 1)
    for name, share in shares.items():
        if name not in lists:
            raise _FaultError(f"plot {plot}: {role} asks for the list {name}, but there is no words.{name}")
        yield from lists[name] * share


def _sentence(text: str, cast: Mapping[str, tuple[Word, ...]], where: str) -> Sentence:
    """`text` cut into plain pieces and slots, each slot checked against every word that may fill it."""
    pieces: list[str | Slot] = []
    end = 0
    for match in _FIELD.finditer(text):
        name, choices = match["role"], tuple((match["choices"] or "").split("|")[1:])
        slot = Slot(name[0].lower() + name[1:], match["form"] or "base", choices, name[0].isupper())
        if slot.role not in cast:
            raise _FaultError(f"{where}: {match[0]} names no role of this plot in {text!r}; it has {', '.join(cast)}")
        for word in cast[slot.role]:
            _check_fits(slot, word, f"{where}: {match[0]}")
        pieces += [text[end : match.start()], slot]
        end = match.end()
    pieces.append(text[end:])
    if any("{" in piece or "}" in piece for piece in pieces if isinstance(piece, str)):
        raise _FaultError(f"{where}: a brace is left over in {text!r}; write {{role}}, {{role.form}} or {{role|a|b}}")
    return tuple(piece for piece in pieces if piece)


def _check_fits(slot: Slot, word: Word, where: str) -> None:
    base = word.forms["base"]
    if slot.choices and len(slot.choices) != word.groups:
        count = f"{len(slot.choices)} choices, but the word {base!r} is in a list of {word.groups} groups"
        raise _FaultError(f"{where} has {count}; write one choice a group")
    if slot.form not in word.forms:
        raise _FaultError(f"{where} asks for a form that the word {base!r} lacks; give it {slot.form} = ...")


def _names_hero(slot: Slot) -> bool:
    return slot.role == "hero" and not slot.choices


def _tell(grammar: Language, random: Random) -> str:
    """One tale; only `random.random()` is drawn from, which Python keeps the same from version to version."""
    plot = grammar.plots[int(random.random() * len(grammar.plots))]
    cast: dict[str, Word] = {}
    taken: set[str] = set()
    for role, words in plot.cast.items():
        word = words[int(random.random() * len(words))]
        if word.forms["base"] in taken:
            free = [other for other in words if other.forms["base"] not in taken] or words
            word = free[int(random.random() * len(free))]
        cast[role] = word
        taken.add(word.forms["base"])
    told = (sentences[int(random.random() * len(sentences))] for sentences in plot.parts)
    return grammar.between.join(_fill(sentence, cast) for sentence in told)


def _fill(sentence: Iterable[str | Slot], cast: Mapping[str, Word]) -> str:
    return "".join(piece if isinstance(piece, str) else piece.fill(cast[piece.role]) for piece in sentence)


def _sentences(tale: str) -> list[str]:
    """`tale` cut at full stops, except those that a small letter follows ("Come!" said the owl); never empty."""
    tale = tale.strip()
    ends = [stop.end() for stop in _STOP.finditer(tale) if not stop["next"].islower()]
    return [tale[start:end].strip() for start, end in pairwise([0, *ends, len(tale)])]


def _heroes_in(sentence: str, grammar: Language) -> Iterator[str]:
    """The base names of the heroes in `sentence`, in order."""
    for word in re.findall(r"\w+", sentence):
        if word in grammar.heroes:
            yield grammar.heroes[word]
