"""Bytes become the right letters, or an open doubt."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from bajka.formats import UnreadableError, parse_overrides
from bajka.formats.decoding import decode

CROATIAN = """Bio jednom jedan ribar koji je živio u maloj kući pokraj mora sa svojom ženom i kćeri. Svakoga dana
išao je na more, ali riba nije bilo. Žena mu reče: »Što ćemo večeras jesti?« A on šuteći uze mrežu i pođe još jednom.
Ćutio je da će se nešto dogoditi. Đavo nije spavao: vjetar se dižao, a čamac je škripao kao stara vrata.
"""
RUSSIAN = """Жили-были старик со старухой у самого синего моря. Старик ловил неводом рыбу, а старуха пряла свою пряжу.
Раз он в море закинул невод, и пришёл невод с одною тиной. Он в другой раз закинул невод, но пришёл с травой морскою.
«Отпусти ты, старче, меня в море!» — сказала рыбка. Ещё не бывало такого чуда на его веку.
"""
SERBIAN = """Био један цар па имао три кћери и држао их вазда у кавезу. Кад дођу на удају, пусти их цар у коло.
Али тек што су оне почеле да играју, дуну вихор и однесе све три. Њихова мајка је плакала, а он није знао шта ће.
"""
JAPANESE = """むかしむかし、あるところに、おじいさんとおばあさんがありました。まいにち、おじいさんは山へしば刈りに、
おばあさんは川へ洗濯に行きました。ある日、おばあさんが、川のそばで、せっせと洗濯をしていますと、大きな桃が流れて来ました。
"""
CHINESE = """从前有一个国王，他有一个很美丽的女儿。有一天，她在花园里玩的时候，看见一只小鸟站在树上唱歌。
她对小鸟说：“你为什么不飞走呢？”小鸟回答说：“因为我已经没有家了。”于是她把它带回了自己的房间。
"""
GERMAN = """Es war einmal ein Müller, der hatte eine schöne Tochter. Über den Hügeln stand ein großes Schloß, und der
König ließ sie zu sich führen. »Könntest du Stroh zu Gold spinnen«, sagte er, »so würde ich dich für immer behüten.«
"""


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((RUSSIAN, encoding) for encoding in ("cp1251", "koi8-r", "cp866", "iso8859-5")),
        *((CROATIAN, encoding) for encoding in ("iso8859-2", "cp1250", "cp852")),
        *((SERBIAN, encoding) for encoding in ("cp1251", "iso8859-5")),
        *((JAPANESE, encoding) for encoding in ("shift_jis", "euc_jp", "iso2022_jp")),
        *((CHINESE, encoding) for encoding in ("gb18030",)),
        *((GERMAN, encoding) for encoding in ("cp1252", "iso8859-1", "cp850")),
        *((CROATIAN, encoding) for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be")),
    ],
)
def test_old_encodings_are_recognised_surely(text: str, encoding: str) -> None:
    text = text.encode(encoding, "ignore").decode(encoding)
    decoded, guess = decode(text.encode(encoding), name="a.txt")
    assert decoded == text
    assert guess.sure


def test_english_with_typographic_quotes_in_cp1252() -> None:
    text = "“It was the best of times,” he said, and that was the end of it… “Well – I don’t know.” "
    assert decode(text.encode("cp1252"), name="a.txt")[0] == text


def test_one_odd_letter_is_not_enough_to_be_sure() -> None:
    _, guess = decode("Plain words.\nNjegova žena".encode("cp1250"), name="a.txt")
    assert not guess.sure
    assert guess.instead
    assert guess.sample.startswith("Njegova")


def test_a_guess_shows_a_line_and_its_language() -> None:
    _, guess = decode(("Plain words.\n" + RUSSIAN).encode("koi8-r", "ignore"), name="a.txt")
    assert (guess.name, guess.language) == ("koi8_r", "Russian")
    assert guess.sample.startswith("Жили-были старик")


def test_utf8_is_not_shown_as_a_guess() -> None:
    _, guess = decode(CROATIAN.encode(), name="a.txt")
    assert (guess.name, guess.sure, guess.sample) == ("utf-8", True, "")


def test_an_encoding_can_be_overruled_by_file() -> None:
    everywhere, poems = parse_overrides(("*=cp866", "poems/*=koi8-r"))
    assert everywhere.matches("b.txt")
    assert poems.matches("a.txt", "poems/a.txt")
    assert not poems.matches("b.txt")
    assert decode("шум".encode("koi8-r"), name="a.txt", encoding=poems.encoding)[0] == "шум"


def long(text: str, length: int) -> str:
    """The sentences over and over in changing order, so that no two pieces are equal."""
    sentences = [sentence.strip() + "." for sentence in text.replace("。", ".").split(".") if sentence.strip()]
    order = random.Random(length)
    pieces: list[str] = []
    while sum(map(len, pieces)) < length:
        pieces += [*order.sample(sentences, len(sentences)), "\n"]
    return " ".join(pieces)[:length]


OLD = [
    *((CROATIAN, encoding) for encoding in ("iso8859-2", "cp852", "cp1250")),
    *((RUSSIAN, encoding) for encoding in ("cp1251", "koi8-r", "cp866")),
    *((SERBIAN, encoding) for encoding in ("cp1251", "iso8859-5")),
    *((JAPANESE, encoding) for encoding in ("shift_jis", "euc_jp")),
    (CHINESE, "gb18030"),
    (GERMAN, "cp1252"),
]
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize("length", [200, 1_000, 30_000])
@pytest.mark.parametrize(("text", "encoding"), OLD)
def test_old_encodings_are_right_at_every_length(text: str, encoding: str, length: int) -> None:
    data = long(text, length).encode(encoding, "ignore")
    assert decode(data, name="a.txt")[0] == data.decode(encoding)


@pytest.mark.parametrize("length", [200, 1_000, 30_000])
@pytest.mark.parametrize("text", [CROATIAN, RUSSIAN, SERBIAN, JAPANESE, CHINESE, GERMAN])
def test_unicode_with_and_without_its_mark_is_right_in_every_language(text: str, length: int) -> None:
    text = long(text, length)
    for encoding in UNICODE:
        decoded, guess = decode(text.encode(encoding), name="a.txt")
        assert (decoded, guess.sure) == (text, True), encoding


def test_wide_chinese_without_any_space_is_right() -> None:
    text = "".join(CHINESE.split())
    for encoding in ("utf-16-le", "utf-16-be", "utf-32-be"):
        assert decode(text.encode(encoding), name="a.txt")[0] == text, encoding


@pytest.mark.parametrize("wrong", [b"\xff", b"\xc3(", b"\xf0\x9f\x98", b"\x80"])
def test_a_wrong_byte_anywhere_in_utf8_is_refused(wrong: bytes) -> None:
    data = long(CROATIAN, 3_000).encode()
    for place in range(0, len(data), len(data) // 50):
        with pytest.raises(UnreadableError, match="not valid UTF-8"):
            decode(data[:place] + wrong + data[place:], name="a.txt")


@pytest.mark.parametrize(("text", "encoding"), [*OLD, (RUSSIAN, "utf-16"), (JAPANESE, "utf-16-le")])
def test_damage_never_leaves_a_replacement_character(text: str, encoding: str) -> None:
    data = long(text, 600).encode(encoding, "ignore")
    for place in range(0, len(data), len(data) // 50):
        with contextlib.suppress(UnreadableError):
            decoded, _ = decode(data[:place] + b"\xff\x00\x81"[place % 3 :][:1] + data[place:], name="a.txt")
            assert "\ufffd" not in decoded


REAL = Path(__file__).parents[3] / "shared" / "corpora"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real texts are not on this machine")
def test_a_real_poem_in_cp1251() -> None:
    (path,) = (REAL / "russian-classics").rglob("Руслан и Людмила.txt")
    text, guess = decode(path.read_bytes(), name=path.name)
    assert (guess.name, guess.sure) == ("cp1251", True)
    assert "У лукоморья дуб зелёный" in text
