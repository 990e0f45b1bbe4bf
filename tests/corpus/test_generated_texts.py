"""Bad and odd texts, by chance: each works or gets one clear sentence, within seconds, and leaves nothing behind."""

from __future__ import annotations

import bz2
import csv
import gc
import gzip
import io
import json
import lzma
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_checks import check_sentence, check_works, make, read
from odd_files import DOCX, EPUB, FB2, ODT, PAGE, RTF, parquet, tarred, zipped, zstd
from odd_texts import BAJKA, OWL, STORY, Odd

from bajka.config import CleaningSettings
from bajka.errors import BajkaError

LONGEST = 10  # seconds
RECORDS = [{"id": 1, "text": STORY, "genre": "tale"}, {"id": 2, "text": OWL, "genre": None}]
LINES = "\n".join(map(json.dumps, RECORDS)).encode()
TALES = f"{STORY}\n<|endoftext|>\n{BAJKA}\n<|endoftext|>\n{OWL}\n".encode()
VALID: dict[str, bytes] = {
    "a.txt": TALES,
    "b.txt": (BAJKA * 3).encode("cp1250"),
    "c.txt": BAJKA.encode("utf-16"),
    "a.md": f"# Fox\n\n{STORY}\n\n* {OWL}\n".encode(),
    "a.html": PAGE.encode(),
    "a.epub": zipped(EPUB),
    "a.fb2": FB2.encode(),
    "a.docx": zipped(DOCX),
    "a.odt": zipped(ODT),
    "a.rtf": RTF.encode(),
    "a.jsonl": LINES,
    "a.json": json.dumps(RECORDS, indent=1).encode(),
    "a.csv": f'id,text\n1,"{STORY}"\n2,"{OWL}"\n'.encode(),
    "a.tsv": f"id\ttext\n1\t{STORY}\n2\t{OWL}\n".encode(),
    "plot_summaries.txt": f"23\t{STORY}\n42\t{OWL}\n".encode(),
    "a.txt.gz": gzip.compress(TALES, mtime=0),
    "a.txt.bz2": bz2.compress(TALES),
    "a.txt.xz": lzma.compress(TALES),
    "a.zip": zipped({"a.txt": STORY, "b.jsonl": LINES, "c.epub": zipped(EPUB)}),
    "a.tar": tarred({"a.txt": STORY, "b.csv": "text\nfox"}),
    "a.tar.gz": gzip.compress(tarred({"a.txt": STORY, "b.html": PAGE}), mtime=0),
}
NAMES = st.sampled_from([*VALID, "a.parquet", "a.txt.zst", "a.xml", "a", "a.pdf", "a.doc"])
CLEANING = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.booleans() for name, one in CleaningSettings.model_fields.items() if one.annotation is bool},
        "minimum_characters": st.integers(1, 50),
        "maximum_characters": st.integers(50, 500),
        "near_duplicate_similarity": st.floats(0.31, 1),
    },
)
READING = st.fixed_dictionaries(
    {},
    optional={
        "documents": st.sampled_from(["auto", "file", "line", "newline", "marker"]),
        "marker": st.sampled_from(["<|endoftext|>", "---", "a", " x ", "\u2028"]),
        "limit": st.sampled_from(["1B", "17B", "200B", "1kB", "5MB"]),
        "field": st.sampled_from(["text", "id", "TEXT", "", "data.text", "nothing"]),
        "column": st.sampled_from(["text", "id", "nothing"]),
        "template": st.sampled_from(
            ["{text}", "<|t|>{genre}<|p|>{text}", "{id}: {text}.", "{", "<|t|>", "{nothing}{text}"]
        ),
        "encoding": st.lists(
            st.sampled_from(["*=utf-8", "*=cp1250", "*.txt=utf-16", "a*=ascii", "*=utf-7", "*=shift_jis", "x=y", "*="]),
            max_size=2,
        ).map(tuple),
    },
)
ALPHABET = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("\n\n\n\r\t  -—.…'\"«»abcžšćжф狐《》｜［＃］\u00ad\u200b\u200d\u202e\u0301\u2028\ufeff\u3000*=|<>"),
)
TEXTS = st.one_of(
    st.text(ALPHABET, max_size=300),
    st.lists(
        st.sampled_from(
            [
                *(
                    "\n",
                    "\n\n",
                    " ",
                    "-\n",
                    STORY,
                    OWL,
                    BAJKA,
                    "Chapter I",
                    "<|endoftext|>\n",
                    "\r\n",
                    "a" * 70,
                    "《",
                    "》",
                ),
                *(
                    "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
                    "*** END OF THE PROJECT GUTENBERG EBOOK X ***",
                    "底本：",
                ),
                *(
                    "Produced by Fox\n",
                    "[Illustration]\n",
                    "-------\n",
                    "Å¡",
                    "Ã©",
                    "\x00",
                    "\x01",
                    "bro-\nken",
                    "  verse,\n",
                ),
            ]
        ),
        max_size=30,
    ).map("".join),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from([STORY, OWL, "\ud800", "\0"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["text", "id", "", "a.b", "ž"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def any_bytes(draw: st.DrawFn) -> Odd:
    """Bytes under any name, perhaps behind the first bytes of a known kind."""
    head = draw(
        st.sampled_from([b"", *{data[:n] for data in VALID.values() for n in (2, 8, 40)}, b"PAR1", b"(\xb5/\xfd"])
    )
    return Odd({draw(NAMES): head + draw(st.binary(max_size=600))})


@st.composite
def mutated(draw: st.DrawFn) -> Odd:
    """A good file of any kind with a few bytes turned, cut out, put in, or exchanged with another file's."""
    valid = VALID | {"a.parquet": parquet(text=[STORY, OWL], id=[1, 2]), "a.txt.zst": zstd(TALES)}
    name = draw(st.sampled_from(list(valid)))
    data = bytearray(valid[name])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from([1, 2, 4, 30, 1_000]))
        match draw(st.sampled_from(["turn", "cut", "insert", "exchange", "repeat", "end"])):
            case "turn" if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place : place + length]
            case "insert":
                data[place:place] = draw(st.binary(max_size=length))
            case "exchange":
                data[place : place + length] = valid[draw(st.sampled_from(list(valid)))][:length]
            case "repeat":
                data[place:place] = data[place : place + length] * 3
            case "end":
                del data[place:]
    return Odd({name if draw(st.integers(0, 4)) else draw(NAMES): bytes(data)})


@st.composite
def structures(draw: st.DrawFn) -> Odd:
    """Records of every shape as JSON, JSONL or a table, with any wishes about their fields."""
    values = draw(st.lists(VALUES, max_size=6))
    match draw(st.sampled_from(["json", "jsonl", "csv", "tsv"])):
        case "json":
            name, content = "a.json", json.dumps(values if draw(st.booleans()) else values[:1] and values[0])
        case "jsonl":
            name, content = "a.jsonl", "\n".join(map(json.dumps, values))
        case ending:
            rows = [row if isinstance(row, list) else [row] for row in values]
            written = io.StringIO()
            csv.writer(written, delimiter=draw(st.sampled_from(",;\t|"))).writerows(rows)
            name, content = f"a.{ending}", written.getvalue()
    return Odd({name: content.encode("utf-8", "replace")}, wishes=draw(READING))


@st.composite
def cleaned(draw: st.DrawFn) -> Odd:
    """Any text with any switches of cleaning; with all of them off it comes back as it was."""
    text, wishes = draw(TEXTS), draw(CLEANING)
    if draw(st.integers(0, 3)) or any(letter < " " and letter not in "\t\n\r" for letter in text):
        return Odd({"a.txt": text}, wishes=wishes)
    off = {name: False for name, one in CleaningSettings.model_fields.items() if one.annotation is bool}
    plain = text.encode().decode("utf-8-sig").lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return Odd({"a.txt": text}, texts=(plain,) if plain.strip() else None, wishes=off | {"documents": "file"})


@st.composite
def wished(draw: st.DrawFn) -> Odd:
    """Some good files, perhaps with an odd one, under any settings."""
    names = draw(st.lists(st.sampled_from(list(VALID)), min_size=1, max_size=3, unique=True))
    files: dict[str, bytes | str] = {name: VALID[name] for name in names}
    if draw(st.booleans()):
        files["z.txt"] = draw(TEXTS)
    return Odd(files, wishes=draw(READING) | draw(CLEANING))


STRATEGIES: dict[str, tuple[Callable[[], st.SearchStrategy[Odd]], int]] = {
    "bytes": (any_bytes, 800),
    "mutated files": (mutated, 1_800),
    "structures": (structures, 800),
    "cleaned texts": (cleaned, 1_000),
    "wishes": (wished, 600),
}


def try_out(what: str, tmp_path: Path, share: int) -> None:
    """Read one of `share` of the examples of a strategy."""
    strategy, number = STRATEGIES[what]

    @settings(
        max_examples=number // share,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy())
    def check(odd: Odd) -> None:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            one(odd, Path(folder))
        assert time.monotonic() - begun < LONGEST

    check()


def one(odd: Odd, folder: Path) -> None:
    """What comes of one input."""
    texts: Any = make(odd, folder / "texts")
    try:
        corpus = read(texts, odd.wishes)
    except BajkaError as error:
        assert not odd.texts
        check_sentence(str(error))
        return
    if odd.texts:
        assert tuple(document.text for document in corpus.documents) == odd.texts
    assert all(document.text.strip() for document in corpus.documents)
    for skipped in corpus.skipped:
        check_sentence(skipped.reason)
    check_works(corpus)


@pytest.mark.parametrize("what", STRATEGIES)
def test_it_works_or_gets_one_sentence(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    try_out(what, tmp_path, share=25)
    gc.collect()
    assert list(scratch.iterdir()) == []


@pytest.mark.torture
@pytest.mark.parametrize("what", STRATEGIES)
def test_each_of_5000_works_or_gets_one_sentence(what: str, tmp_path: Path) -> None:
    try_out(what, tmp_path, share=1)
