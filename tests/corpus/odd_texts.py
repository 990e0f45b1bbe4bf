"""Hand-made bad and odd texts: what the files hold, and what must come of them. Books and archives: odd_files.py."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."
OWL = "An owl in a hollow oak heard him count, and said that nobody had ever come further than to nine hundred."
BAJKA = "Bio jednom jedan čovjek koji je živio sam u šumi. Žena mu je umrla, a kći se udala preko sedam gora. "

Files = Mapping[str, bytes | str] | Callable[[Path], None]
"""Contents by path, or a function that makes them in a folder."""


@dataclass(frozen=True)
class Odd:
    """Texts, and either the texts of the documents that come (or their number), or part of the sentence.

    One file is given to the reader itself, several as their folder; `given` are other words for the command line.
    """

    files: Files
    texts: tuple[str, ...] | int | None = None
    sentence: str = ""
    given: tuple[str, ...] = ()
    wishes: dict[str, Any] = field(default_factory=dict)


def works(files: Files, *texts: str, number: int | None = None, **wishes: Any) -> Odd:
    """These documents come, in this order."""
    return Odd(files, texts if number is None else number, wishes=wishes)


def refused(files: Files, sentence: str, *, given: tuple[str, ...] = (), **wishes: Any) -> Odd:
    """Nothing comes but a sentence."""
    return Odd(files, sentence=sentence, given=given, wishes=wishes)


def txt(content: bytes | str) -> Files:
    """One plain text."""
    return {"a.txt": content}


def jsonl(*records: object) -> Files:
    """One JSON value a line."""
    return {"a.jsonl": "\n".join(json.dumps(record) for record in records)}


CONTROLS = "".join(map(chr, (*range(1, 9), *range(14, 26), *range(28, 32), *range(0x7F, 0xA0)))).replace("\x85", "")
PLAIN = {
    "an empty text": refused(txt(""), "a.txt cannot be used: it is empty."),
    "one byte": works(txt("x"), "x"),
    "one space": refused(txt(" "), "it holds only white space"),
    "one newline": refused(txt("\n"), "it holds only white space"),
    "only a mark of byte order": refused(txt(codecs.BOM_UTF8), "it holds only white space"),
    "only a mark of UTF-16": refused(txt(codecs.BOM_UTF16_LE), "it holds only white space"),
    "two marks of byte order": works(txt("\ufeff\ufeffFox."), "Fox."),
    "a mark of byte order in the middle": works(txt("Fox\ufeffes."), "Foxes."),
    "one NUL": refused(txt("\0"), "it is binary"),
    "a NUL at the end": refused(txt(STORY + "\0"), "it is binary (a byte of zero at position 103)"),
    "a NUL behind a megabyte": refused(
        txt("The fox sat. " * 100_000 + "\0"), "it is binary (a byte of zero at position 1300000)"
    ),
    "every byte": refused(txt(bytes(range(256)) * 4), "it is binary"),
    "control characters among words": works(txt("The\x01 fox\x1f slept.\x7f " + STORY), "The fox slept. " + STORY),
    "all control characters": refused(txt(CONTROLS), "control bytes), not text"),
    "control characters of Unicode": refused(txt("\x80\x81\x9f" * 99), "all documents are empty"),
    "escape sequences of a terminal": works(txt(f"\x1b[31mThe fox.\x1b[0m {STORY}"), f"[31mThe fox.[0m {STORY}"),
    "bells and backspaces": works(txt(STORY + " H\x08Hi\x07"), STORY + " HHi"),
    "Ctrl-Z of DOS at the end": works(txt("The fox.\r\n\x1a"), "The fox.\n"),
    "only carriage returns": works(txt("one\rtwo\r\rthree\r"), "one\ntwo\n\nthree\n"),
    "newlines of every kind": works(txt("a\rb\nc\r\nd\u2028e\x85f\x0bg\x0ch"), "a\nb\nc\nd\ne\nf\ng\nh"),
    "a carriage return at the edge of a block": works(
        txt("x" * ((1 << 21) - 1) + "\r\nfox"), "x" * ((1 << 21) - 1) + "\nfox"
    ),
    "100,000 empty lines": refused(txt("\n" * 100_000), "it holds only white space"),
    "100,000 empty lines between two words": works(txt("fox" + "\n" * 100_000 + "owl"), "fox\n\n\nowl"),
    "100,000 lines of one letter": works(txt("x\n" * 100_000), "x\n" * 100_000),
    "one line of 2 MB": works(txt("fox " * 500_000), ("fox " * 500_000).rstrip()),
    "one letter two million times": works(txt("x" * 2_000_000), "x" * 2_000_000),
    "a million combining marks": works(txt("a" + "\u0301" * 1_000_000), number=1),
    "combining marks alone": works(txt("\u0301\u0308\u0327"), number=1),
    "Zalgo": works(txt("".join(f"{letter}\u0316\u0317\u0318\u0319" for letter in STORY)), number=1),
    "letters from right to left": works(txt("שועל קטן אחד\nالثعلب الصغير"), "שועל קטן אחד\nالثعلب الصغير"),
    "overrides of direction": works(txt("The \u202efox\u202c."), "The fox."),
    "private use": works(txt("\ue000\uf8ff\U0010fffd fox"), "\ue000\uf8ff\U0010fffd fox"),
    "noncharacters": works(txt("fo\ufdd0\ufffex\uffff"), "fox"),
    "unassigned characters": works(txt("fox \U000e0fff \u0378"), "fox \U000e0fff \u0378"),
    "replacement characters": works(txt("the f\ufffdx and the \ufffdwl"), "the f\ufffdx and the \ufffdwl"),
    "the last character there is": works(txt("\U0010ffff\U00010000x"), number=1),
    "emoji families": works(txt("👩‍👩‍👧‍👦 🏳️‍🌈 🦊🏽"), "👩‍👩‍👧‍👦 🏳️‍🌈 🦊🏽"),
    "white space of every kind": refused(txt(" \t\u00a0\u1680\u2003\u2009\u200a\u202f\u205f\u3000\x85"), "white space"),
    "nothing but zero widths": refused(txt("\u200b\u200c\u200d\u2060\ufeff" * 9), "all documents are empty"),
    "nothing but soft hyphens": refused(txt("\u00ad" * 9), "all documents are empty"),
    "nothing but tabs": refused(txt("\t\t\n\t"), "it holds only white space"),
    "nothing but punctuation": works(txt("?!?!... --- !!!"), "?!?!... --- !!!"),
    "nothing but digits": works(txt("31415926535\n8979"), "31415926535\n8979"),
    "one combining sequence longer than a piece": works(txt("fox " + "\u0301" * 70_000 + " owl"), number=1),
    "special tokens of every tool": works(
        txt("<s>[INST] <|im_start|>x</s> <|endoftext|> <pad> <unk> ▁ Ġ <0x0A> [UNK]"),
        "<s>[INST] <|im_start|>x</s> <|endoftext|> <pad> <unk> ▁ Ġ <0x0A> [UNK]",
    ),
    "nothing but marker lines": refused(txt("<|endoftext|>\n" * 9), 'nothing but "<|endoftext|>" lines'),
    "one lone marker line": works(txt(f"{STORY}\n<|endoftext|>\n"), f"{STORY}\n<|endoftext|>\n"),
    "markers with spaces around": works(txt(f"{STORY}\n <|endoftext|> \n{OWL}\n<|endoftext|>"), STORY, OWL),
    "a marker that is a letter": works(txt("a\nx\nb\nx\nc"), "a", "b", "c", marker="x"),
    "a marker of regular expressions": works(txt("a\n.*\nb\n.*\n"), "a", "b", marker=".*"),
    "a marker of two lines": works(txt("a\n-\n-\nb"), number=1, marker="-\n-"),
    "100,000 marker lines": works(txt("<|endoftext|>\n" * 100_000 + STORY), STORY),
    "2,000 stories of one line": works(
        txt("\n".join(f"Fox {n}." for n in range(2_000))), number=2_000, documents="line"
    ),
    "the same line many times": works(txt("The fox.\n" * 2_000), "The fox.", documents="line"),
    "stories between newlines": works(txt("a\n\nb\nc"), "a\n\nb", "c", documents="newline"),
    "only newlines between newlines": refused(txt("\n\n\n\n"), "only white space", documents="newline"),
    "a limit smaller than a word": works(txt(STORY), "On", limit="2B"),
    "a limit inside a letter": refused(txt("šuma"), "all documents are beyond the limit", limit="1B"),
    "a limit of nothing": refused(txt(STORY), "leaves no text", limit="0B"),
    "a limit that is no size": refused(txt(STORY), "is not a size", limit="much"),
    "a limit above all text": works(txt(STORY), STORY, limit="900GB"),
    "a frame without a book": refused(
        txt("*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***"),
        "all documents are empty",
    ),
    "a frame that never ends": works(txt(f"*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n{STORY}\n"), f"{STORY}\n"),
    "the end of a frame first": refused(
        txt(f"*** END OF THE PROJECT GUTENBERG EBOOK X ***\n{STORY}\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n"),
        "all documents are empty",
    ),
    "ruby that never closes": works(txt("｜狐《きつね\nは眠れなかった。"), number=1),
    "30,000 broken words": works(txt("bro-\nken " * 30_000), number=1),
}

ENCODED = {
    "UTF-16 with a mark": works(txt(STORY.encode("utf-16")), STORY),
    "UTF-16 of the other order": works(txt(codecs.BOM_UTF16_BE + STORY.encode("utf-16-be")), STORY),
    "UTF-16 without a mark": works(txt(BAJKA.encode("utf-16-le")), BAJKA.strip(), encoding=("*=utf-16-le",)),
    "UTF-16 of an odd length": refused(txt(STORY.encode("utf-16") + b"x"), "the file is damaged or binary"),
    "UTF-16 with half a pair": refused(txt(codecs.BOM_UTF16_LE + b"\x3d\xd8x\0"), "it begins as utf-16"),
    "UTF-32": works(txt(BAJKA.encode("utf-32")), BAJKA.strip()),
    "a mark of UTF-16 before UTF-8": refused(txt(codecs.BOM_UTF16_LE + b"fox"), "the file is damaged or binary"),
    "UTF-8 cut inside a letter": refused(txt((BAJKA * 9 + "č").encode()[:-1]), "not valid UTF-8"),
    "halves of letters in UTF-8": refused(
        txt(BAJKA.encode() * 9 + b"\xed\xa0\xbd" + BAJKA.encode()), "not valid UTF-8"
    ),
    "overlong UTF-8": refused(txt(BAJKA.encode() * 9 + b"\xc0\xaf"), "not valid UTF-8"),
    "Croatian of cp1250": works(txt((BAJKA * 20).encode("cp1250")), (BAJKA * 20).strip()),
    "Croatian of ISO-8859-2": works(txt((BAJKA * 20).encode("iso8859-2")), (BAJKA * 20).strip()),
    "two encodings in one file": refused(
        txt((BAJKA * 20).encode() + (BAJKA * 5).encode("cp1250") + BAJKA.encode()), "damaged bytes: 25, the first is"
    ),
    "an encoding that does not exist": refused(txt(STORY), 'There is no encoding "klingon"', encoding=("*=klingon",)),
    "an encoding with a NUL": refused(txt(STORY), "There is no encoding", encoding=("*=utf\0",)),
    "an encoding that is no encoding of texts": refused(txt(STORY), "There is no encoding", encoding=("*=rot13",)),
    "an encoding of bytes": refused(txt(STORY), "There is no encoding", encoding=("*=base64",)),
    "an encoding of names of hosts": refused(txt("fox"), "There is no encoding", encoding=("*=idna",)),
    "an encoding of escapes": refused(txt("fox \\ud83d"), "lone surrogate", encoding=("*=unicode_escape",)),
    "an encoding of escapes cut off": refused(
        txt("fox \\u12"), "is not unicode-escape", encoding=("*=unicode_escape",)
    ),
    "UTF-7": works(txt("fox +ATABfg-"), "fox \u0130\u017e", encoding=("*=utf-7",)),
    "UTF-7 cut off": refused(txt("fox +AT"), "is not utf-7", encoding=("*=utf-7",)),
    "the wrong encoding": refused(txt(BAJKA), "is not ascii", encoding=("*=ascii",)),
    "a pattern for another file": refused(txt(STORY), "fits none of the 1 files", encoding=("b*=utf-8",)),
    "a pattern that is broken": refused(txt(STORY), "fits none of the 1 files", encoding=("[=utf-8",)),
    "an encoding without a pattern": refused(txt(STORY), "PATTERN=ENCODING", encoding=("utf-8",)),
}

DEEP = '{"text": "x", "a": ' + "[" * 100_000 + "]" * 100_000 + "}"
JSON = {
    "JSON of nothing": refused({"a.json": ""}, "it is empty"),
    "JSON of white space": refused({"a.json": " \n"}, "line 2 is not valid JSON"),
    "JSON that is null": refused({"a.json": "null"}, "one JSON value and not a list of records"),
    "JSON that is a number": refused({"a.json": "1e999"}, "one JSON value and not a list of records"),
    "JSON of empty records": refused({"a.json": "[{}, {}, []]"}, "neither texts nor records"),
    "JSON of numbers": refused({"a.json": "[1, 2, 3.5]"}, "neither texts nor records"),
    "JSON cut off in a text": refused({"a.json": json.dumps([{"text": STORY}])[:40]}, "is not valid JSON"),
    "JSON cut off in an escape": refused({"a.json": '["fox \\u26'}, "is not valid JSON"),
    "JSON with something behind": refused({"a.json": '["fox"] fox'}, "Extra data"),
    "JSON with a comma too many": refused({"a.json": '[{"text": "fox"},]' + " " * 40}, "is not valid JSON"),
    "JSON in single quotes": refused({"a.jsonl": "{'text': 'fox'}"}, "is not valid JSON"),
    "JSON in depth": refused({"a.json": "[" * 100_000}, "nested too deeply"),
    "JSON in depth and back": refused({"a.json": "[" * 50_000 + "]" * 50_000}, "nested too deeply"),
    "a line of JSON in depth": refused({"a.jsonl": DEEP}, "nested too deeply"),
    "an enormous integer": works({"a.jsonl": '{"text": "fox", "n": ' + "9" * 100_000 + "}"}, "fox"),
    "infinities": works({"a.jsonl": '{"text": "fox", "n": Infinity}\n{"text": NaN}'}, "fox"),
    "the same key twice": works({"a.jsonl": '{"text": "owl", "text": "fox"}'}, "fox"),
    "half a character": refused({"a.jsonl": '{"text": "\\ud83d"}'}, "all its 1 rows with text are broken"),
    "halves in the wrong order": refused({"a.json": '["\\udd8a\\ud83e"]'}, "rows with text are broken"),
    "half a character in another field": refused(jsonl({"text": STORY, "title": "\ud83d"}), "are broken"),
    "half a character in a key": works(jsonl({"\ud83d": STORY, "a": 1}), STORY),
    "a NUL in JSON": refused(jsonl({"text": "fox\0"}), "NUL characters"),
    "texts that are not text": refused(jsonl({"text": 1}, {"text": 2}), "holds text, only numbers"),
    "texts of every type": works(jsonl({"text": STORY}, {"text": None}, {"text": [1]}, {"text": {}}, 7, None), STORY),
    "a list of tags beside a text": refused(
        {"a.json": json.dumps({"text": STORY, "tags": ["fox"]}, indent=1)}, "it may be one record (text) or the list"
    ),
    "a list of tags in a record": works({"a.json": json.dumps({"tags": ["fox"], "text": STORY})}, STORY),
    "one list in an object on one line": works(
        {"a.json": json.dumps({"version": 1, "data": [{"text": STORY}]})}, STORY
    ),
    "one list in an object, as lines": works({"a.jsonl": json.dumps({"version": 1, "data": [{"text": STORY}]})}, STORY),
    "JSON called text": works(txt(json.dumps([{"text": STORY}, {"text": OWL}])), STORY, OWL),
    "text called JSON": refused({"a.json": STORY}, "line 1 is not valid JSON"),
    "no field is the text": refused(jsonl({"a": STORY, "b": OWL}), "no field is plainly the text"),
    "a field that is not there": refused(jsonl({"text": STORY}), 'no field "plot"', field="plot"),
    "a field of numbers": works(jsonl({"text": STORY, "id": 7}), "7", field="id"),
    "a field that is empty": refused(jsonl({"text": "", "id": 7}), "empty in every row", field="text"),
    "a field with an empty name": works(jsonl({"": STORY}), STORY),
    "10,000 fields": works(jsonl({f"f{n}": n for n in range(10_000)} | {"text": STORY}), STORY),
    "the same record many times": works(jsonl(*[{"text": STORY}] * 1_000), STORY),
    "a template without fields": refused(jsonl({"text": STORY}), "has no field", template="<|x|>"),
    "a template with a field twice": refused(jsonl({"text": STORY}), "twice", template="{text}{text}"),
    "a template with its own end": refused(jsonl({"text": STORY}), "leave it out", template="<|endoftext|>{text}"),
    "a template of missing fields": works(jsonl({"text": STORY}), STORY, template="<|title|>{title}<|plot|>{text}"),
    "a template for plain text": works(txt(STORY), STORY, template="<|title|>{title}<|plot|>{text}"),
    "a template whose text is missing": refused(jsonl({"text": STORY}), 'no field "plot"', template="{title}{plot}"),
    "a template with open braces": refused(jsonl({"text": STORY}), "has no field", template="{text"),
    "markers of a template in the text": works(
        jsonl({"text": "<|plot|>x<|title|>"}), "<|plot|>x<|title|>", template="<|title|>{title}<|plot|>{text}"
    ),
}

TABLES = {
    "a table of nothing": refused({"a.csv": ""}, "it is empty"),
    "a table of delimiters": refused({"a.csv": ",,,\n,,,\n"}, "it has no row with text in it"),
    "a table of newlines": refused({"a.csv": "\r\n\r\n"}, "it has no row with text in it"),
    "a table of names only": refused({"a.csv": "title,text\n"}, "it has no row with text in it"),
    "a table of numbers": refused({"a.csv": "a,b\n1,2\n3,4\n"}, "only numbers, ids or addresses"),
    "a column of numbers": refused({"a.csv": "a\n1\n2\n3\n"}, "only numbers, ids or addresses"),
    "a quote that never closes": refused({"a.csv": f'id,text\n1,"{STORY}\n2,fox\n'}, "close its quote"),
    "a quote in the middle": works({"a.csv": f'id,text\n1,the "small" fox\n2,{OWL.replace(",", "")}\n'}, number=2),
    "a quote with something behind": works({"a.csv": f'id,text\n1,"fox" x\n2,"{STORY}"\n3,"{OWL}"\n'}, number=2),
    "rows of every length": works({"a.csv": f'id,text\n1\n2,"{STORY}"\n3,"{OWL}",,\n,\n'}, STORY, OWL),
    "rows that are too long": refused(
        {"a.csv": "id,text\n" + "1,fox,owl,hare\n" * 9}, "more values than its first row"
    ),
    "the same name twice": refused({"a.csv": f'a,a\n"{STORY}","{OWL}"\n'}, "a, a (2)"),
    "names that are empty": works({"a.csv": f',\n1,"{STORY}"\n'}, number=1),
    "a table of one value": works({"a.csv": "fox"}, "fox"),
    "a table that is prose": refused({"a.csv": STORY}, "no column is plainly the text"),
    "a table of semicolons": works({"a.csv": f"id;text\n1;{STORY}\n"}, STORY),
    "a table of tabs": works({"a.tsv": f"id\ttext\n1\t{STORY}\n2\t{OWL}"}, STORY, OWL),
    "a table called tabs": works({"a.tsv": f'id,text\n1,"{STORY}"\n'}, STORY),
    "sep= of Excel alone": refused({"a.csv": "sep=;\n"}, "it has no row with text in it"),
    "a table with carriage returns": works({"a.csv": f'id,text\r1,"{STORY}"\r2,"{OWL}"\r'}, STORY, OWL),
    "a NUL in a table": refused({"a.csv": "id,text\n1,fox\0\n"}, "binary"),
    "20,000 columns": works(
        {"a.csv": ",".join(["n"] * 20_000 + ["text"]) + "\n" + "1," * 20_000 + f'"{STORY}"\n'}, STORY
    ),
    "a field of 2 MB": works({"a.csv": f'text\n"{"fox " * 500_000}"\n'}, number=1),
    "a field that is too long": refused({"a.csv": f'id,text\n1,"{"fox " * 4_500_000}"\n'}, "never ends"),
    "a column that is not there": refused({"a.csv": f'id,text\n1,"{STORY}"\n'}, 'no column "x"', column="x"),
    "literals of Python": works({"a.csv": "id,text\n1,b'\\xc5\\xa1uma'\n2,b'fox\\n'\n"}, "šuma", "fox\n"),
    "literals of Python that are broken": refused({"a.csv": "id,text\n1,b'\\xff\\xfe'\n"}, "rows with text are broken"),
    "a table of UTF-16": works({"a.csv": f'id,text\n1,"{STORY}"\n'.encode("utf-16")}, STORY),
}
