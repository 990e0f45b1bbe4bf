"""Which field of a record, or column of a table, is the text, and how rows become documents."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bajka.config import CorpusSettings
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.template import Template

Row = Mapping[str, str]
Word = Literal["field", "column"]

LONGEST_RECORD = 16_000_000
"""Characters of one record or value; what is longer is damage (a quote without its partner) or needs its own file."""
NO_TEXT = "rows without text left out"
BROKEN = "broken rows left out"

_USUAL = """
    text story plot content contents body tale poem article document summary synopsis lyrics lyric paragraph chapter
    tekst priča prica pripovijest pripovetka pripovijetka bajka sadržaj sadrzaj radnja pjesma pesma zgodba besedilo vsebina
    opowieść historia opowiadanie treść fabuła wiersz příběh obsah děj báseň прича текст приповетка бајка садржај радња песма
    рассказ история содержание сюжет сказка стихотворение стих статья повесть документ описание оповідання казка зміст вірш
    приказка разказ съдържание geschichte märchen inhalt handlung gedicht texte histoire conte récit contenu intrigue poème
    texto cuento contenido trama poema conto história conteúdo enredo testo racconto storia contenuto favola poesia
    本文 文章 物語 内容 あらすじ 詩 正文 文本 故事 剧情 诗 小说 본문 내용 이야기 줄거리
"""
"""Names that say "this is the text", alone or as the last word ("full_text"), whatever the case."""

_SAMPLE_ROWS = 1_000
_SAMPLE_CHARACTERS = 4_000_000
_LONG = 80  # mean characters of a field that may be the text without a usual name
_MUCH_LONGER = 3
_MOST = 0.9
_NO_PROSE = re.compile(
    r"[-+]?[\d\s.,:/%$€£()+-]+"  # numbers, amounts, dates, times
    r"|(?:https?://|www\.|/)\S+|[\w.+-]+@[\w.-]+"  # addresses
    r"|(?=\S*\d)[\w:.#/-]{4,}"  # ids: tt0012345, 3f9c-11, m/0abc
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The field that is the text; `literals` are the fields whose values are Python bytes literals to be decoded."""

    text: str
    word: Word
    literals: frozenset[str] = frozenset()


def sample_of(rows: Iterable[tuple[int, Row]]) -> list[Row]:
    """The first rows with anything in them, enough to choose by; raises `UnreadableError` when there is none."""
    sample: list[Row] = []
    characters = 0
    for _, row in rows:
        if any(value and not value.isspace() for value in row.values()):
            sample.append(row)
            characters += sum(map(len, row.values()))
        if len(sample) >= _SAMPLE_ROWS or characters >= _SAMPLE_CHARACTERS:
            break
    if not sample:
        raise UnreadableError("it has no row with text in it")
    return sample


def choose(sample: list[Row], settings: CorpusSettings, *, word: Word, account: Account) -> Choice:
    """The named field, else the template's last one, else the one that plainly is the text: said in `account`.

    Raises `UnreadableError`, which asks, when there is none or the named one is not there.
    """
    names = list(dict.fromkeys(key for row in sample for key in row))
    wanted = named_text(settings)
    chosen = _named(wanted, names, word=word) if wanted else _evident(names, sample, word=word)
    others = [name for name in names if name != chosen]
    account.text_field, account.columns = chosen, names
    account.notes.append(f'text from the {word} "{chosen}"' + (f" (others: {_listed(others)})" if others else ""))
    literals = frozenset(name for name in names if _share(sample, name, is_literal) >= _MOST)
    if chosen in literals:
        account.notes.append("its values are Python literals (b'...'), decoded as UTF-8")
    return Choice(chosen, word, literals)


def documents_of(rows: Iterable[tuple[int, Row]], choice: Choice, *, name: str, account: Account) -> Iterator[Document]:
    """One document a row, with its other fields; rows without text and broken ones are counted in `account`.

    A row is broken when a value holds a NUL or half of a surrogate pair. Raises `UnreadableError` at the end when no
    row gave a document.
    """
    before, given = account.left_out[BROKEN], 0
    for number, row in rows:
        values = {key: _decoded(value) if key in choice.literals else value for key, value in row.items()}
        text = values.pop(choice.text, "")
        if not text or text.isspace():
            account.left_out[NO_TEXT] += 1
        elif not (_is_proper(text) and all(map(_is_proper, values.values()))):
            account.left_out[BROKEN] += 1
        else:
            given += 1
            fields = {key: with_newlines(value) for key, value in values.items()}
            yield Document(with_newlines(text), f"{name}#{number}", fields)
    broken = account.left_out[BROKEN] - before
    for reason in (NO_TEXT, BROKEN):
        if not account.left_out[reason]:
            del account.left_out[reason]
    if not given and broken:
        raise UnreadableError(f"all its {broken:,} rows with text are broken (NUL characters or halves of letters)")
    if not given:
        raise UnreadableError(f'the {choice.word} "{choice.text}" is empty in every row', asks=True)


def named_text(settings: CorpusSettings) -> str | None:
    """The field that a person named as the text, by itself or as the last one of the template."""
    return settings.field or settings.column or next(reversed(template_fields(settings)), None)


def template_fields(settings: CorpusSettings) -> tuple[str, ...]:
    """The fields that the template names, in order; the last one is the text."""
    return Template.parse(settings.template).fields if settings.template else ()


def conditions(settings: CorpusSettings) -> frozenset[str]:
    """The other fields of the template, in small letters: of these a list of texts is read too, as `joined`."""
    return frozenset(field.casefold() for field in template_fields(settings)[:-1])


def joined(values: Iterable[str]) -> str:
    """A list of texts as one: "adventure, comedy"."""
    return ", ".join(values)


def is_usual(name: str) -> bool:
    """Whether a field of this name is likely the text."""
    words = re.split(r"[\W_]+", name.casefold())
    return name.casefold().strip() in _USUAL.split() or words[-1] in _USUAL.split()


def with_newlines(text: str) -> str:
    """The text with every line end as one newline character."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def is_literal(value: str) -> bool:
    """Whether this is Python's way of writing bytes, b'...', as scraped tables hold it."""
    value = value.strip()
    return len(value) > 2 and value[:2] in ("b'", 'b"') and value[-1] == value[1] and value.isascii()


def _decoded(value: str) -> str:
    """What a bytes literal holds; the value itself when it is none, half a surrogate (broken) when it is not UTF-8."""
    if not is_literal(value):
        return value
    try:
        held = ast.literal_eval(value.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return value
    return held.decode("utf-8", errors="surrogateescape") if isinstance(held, bytes) else value


def _is_proper(value: str) -> bool:
    """Whether a value has neither a NUL nor half of a surrogate pair, which no file and no tokenizer can hold."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _named(wanted: str, names: list[str], *, word: Word) -> str:
    if wanted in names:
        return wanted
    by_case = {name.casefold(): name for name in names}
    if wanted.casefold() in by_case:
        return by_case[wanted.casefold()]
    close = difflib.get_close_matches(wanted.casefold(), list(by_case), n=1, cutoff=0.6)
    hint = f'; did you mean --{word} "{by_case[close[0]]}"?' if close else f"; choose one with --{word}"
    raise UnreadableError(f'it has no {word} "{wanted}", only {_listed(names)}{hint}', asks=True)


def _evident(names: list[str], sample: list[Row], *, word: Word) -> str:
    """The only field, one with a usual name that is not short beside the longest, or one much longer than the rest."""
    prose = [name for name in names if _share(sample, name, lambda value: not _is_no_prose(value)) > 1 - _MOST]
    if not prose:
        raise UnreadableError(f"no {word} holds text, only numbers, ids or addresses: {_listed(names)}", asks=True)
    if len(names) == 1:
        return names[0]
    means = {name: sum(len(row.get(name, "").strip()) for row in sample) / len(sample) for name in prose}
    longest, *shorter = sorted(prose, key=lambda name: -means[name])
    usual = [name for name in prose if is_usual(name) and means[name] * _MUCH_LONGER >= means[longest]]
    if usual:
        return max(usual, key=lambda name: means[name])
    if means[longest] >= max([_LONG, *(_MUCH_LONGER * means[name] for name in shorter)]):
        return longest
    advice = f'choose one with --{word} ({_listed(names)}), as in --{word} "{longest}"'
    raise UnreadableError(f"no {word} is plainly the text: {advice}", asks=True)


def _is_no_prose(value: str) -> bool:
    return _NO_PROSE.fullmatch(value) is not None


def _share(sample: list[Row], name: str, fits: Callable[[str], bool]) -> float:
    """The share of the sample's filled values of a field for which `fits` is true; 0 when none is filled."""
    values = [value for row in sample if (value := row.get(name, "").strip())]
    return sum(map(fits, values)) / len(values) if values else 0.0


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")
