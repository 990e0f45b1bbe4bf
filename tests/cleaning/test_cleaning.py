"""The whole pipeline: each step has its switch, is counted, and a clean text stays as it is."""

from __future__ import annotations

import importlib.util
import sys
import unicodedata
from dataclasses import asdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bajka.cleaning.changes import Change, excerpts
from bajka.cleaning.cleaner import Cleaner
from bajka.config import CleaningSettings
from bajka.errors import MissingExtraError
from bajka.formats.document import UnreadableError

DEFAULT = ("frames", "ruby", "control_characters", "nfc", "hyphens", "unwrap", "blank_lines")
ONLY = dict.fromkeys(DEFAULT, False)
LINE = "the old miller had three sons and a cat and nothing else at"
DIRTY = {
    "frames": "Exported from Wikisource on 3 May 2024\n\nA tale.",
    "ruby": "今は兎《うさぎ》たち",
    "control_characters": "a\x07b",
    "nfc": "Božo".replace("ž", "z\u030c"),
    "hyphens": "won\xadderful",
    "unwrap": f"{LINE}\n{LINE}\n{LINE}\n{LINE}\nall",
    "blank_lines": "a \n\n\n\n\nb\n",
}


def clean(text: str, **switches: bool) -> str:
    return Cleaner(CleaningSettings(**switches)).clean(text)


@pytest.mark.parametrize(
    ("dirty", "clean_text"),
    [
        ("\ufeffa\x01b\x1ac", "abc"),
        ("page one\fpage two", "page one\npage two"),
        ("a\x85b\u2028c\u2029d", "a\nb\nc\n\nd"),
        ("a\tb", "a\tb"),
        ("10\u202f000\xa0kuna", "10\u202f000 kuna"),
        ("a\u200bb\u2060c\u200dd", "abcd"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("അവന്\u200d വന്നു ত্\u200d ه\u200d می\u200c", "അവന്\u200d വന്നു ত্\u200d ه\u200d می"),
        ("👩\u200d👩\u200d👧 ok\u200d", "👩\u200d👩\u200d👧 ok"),
        ("ภาษา\u200bไทย", "ภาษา\u200bไทย"),
        ("\u200eabc\u202a", "abc"),
        ("\u200fשלום abc\u200e", "\u200fשלום abc\u200e"),
        ("\U0001f3f4\U000e0067\U000e007f a\U000e0061", "\U0001f3f4\U000e0067\U000e007f a"),
    ],
)
def test_characters_that_write_nothing_go_where_they_do_no_work(dirty: str, clean_text: str) -> None:
    assert clean(dirty) == clean_text


@pytest.mark.parametrize("step", DEFAULT)
def test_each_step_works_alone_and_can_be_switched_off(step: str) -> None:
    text = DIRTY[step]
    assert clean(text, **{**ONLY, step: True}) != text
    assert clean(text, **ONLY) == text


def test_changes_are_counted_with_an_example_of_both_sides() -> None:
    cleaner = Cleaner(CleaningSettings())
    for text in ("fine", "a\x07b", "x\x07\x07y"):
        cleaner.clean(text)
    assert cleaner.changes == {"control_characters": Change(2, 3, [("a\x07b", "ab"), ("x\x07\x07y", "xy")])}


def test_excerpts_are_short_and_hold_the_first_change() -> None:
    before, after = excerpts("a" * 5000 + "X" + "b" * 5000, "a" * 5000 + "b" * 5000)
    assert (len(before), len(after)) == (120, 120)
    assert "aXb" in before
    assert "aab" in after


def test_changes_add_up_and_survive_json() -> None:
    one, other = Change(1, 2, [("a", "b")]), Change(3, 4, [("c", "d")] * 3)
    one.add(other)
    assert Change(**{**asdict(one), "examples": [list(pair) for pair in one.examples]}) == one
    assert (one.documents, one.characters, len(one.examples)) == (4, 6, 3)


def test_empty_lines_are_two_at_most_and_the_final_newline_stays() -> None:
    assert clean("\n\n a  \n\n\n\n\nb\t\n \n\n\n") == " a\n\n\nb\n"
    assert clean("a\n\n\nb") == "a\n\n\nb"
    assert clean(" \n\t\n  \n") == ""


def test_two_lines_with_spaces_in_a_long_text_are_left_alone() -> None:
    text = "And  \nTwice being\n" + "a line\n" * 5000
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n",
        "Я помню чудное мгновенье:\nПередо мной явилась ты,\nКак мимолетное виденье,\nКак гений чистой красоты.",
        "def f(x):\n    return x - 1\n\n\nclass A:\n\tpass\n",
        "- Ala junaci!\n- Ala! - odgovori skup majstora.\n",
        "Once upon a time.\nThere was a fox -- and a crow.\n\nThe end",
        "　今は兎たちは。\n「ふん」\n",
        "《西游记》\n\n    诗曰：\n\n    混沌未分天地乱",
        "Он сказал: «Да»…\nИ ушёл.",
    ],
)
def test_a_clean_text_comes_back_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_lower_case_knows_turkish() -> None:
    assert clean("IVAN Čović ΑΣ", lowercase=True) == "ivan čović ας"
    assert clean("ISPARTA ılık kızıl İzmir", lowercase=True) == "ısparta ılık kızıl izmir"


@pytest.mark.skipif(importlib.util.find_spec("ftfy") is None, reason="ftfy is not installed")
def test_mojibake_is_repaired_when_asked_for() -> None:
    assert clean("Ä\x8dovjek je rekao \u201eÅ¡ta\u201c “quoted” ﬁne", mojibake=True).startswith("čovjek")
    assert clean("cafÃ© “x” ﬁ", mojibake=True) == "café “x” ﬁ"
    assert clean("cafÃ©") == "cafÃ©"


def test_repairing_mojibake_without_ftfy_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(MissingExtraError, match=r"ftfy|bajka\[data\]"):
        clean("cafÃ©", mojibake=True)


def test_long_paragraphs_seen_before_go_and_refrains_stay() -> None:
    cleaner = Cleaner(CleaningSettings(duplicate_paragraphs=True))
    long, refrain = "Once upon a time there was a very long paragraph. " * 5, "Snip, snap, snout."
    assert cleaner.clean(f"A\n\n{long}\n\n{refrain}") == f"A\n\n{long.rstrip()}\n\n{refrain}"
    assert cleaner.clean(f"B\n\n{long}\n\n{refrain}\n\n{refrain}") == f"B\n\n{refrain}\n\n{refrain}"
    assert cleaner.changes["duplicate_paragraphs"].documents == 1


def test_half_a_character_is_refused() -> None:
    with pytest.raises(UnreadableError, match="half a character"):
        clean("a\ud800b")


WORDS = st.sampled_from(
    [
        "won-",
        "derful",
        "miller",
        "the",
        "—",
        "-",
        "Kuća",
        "lije-",
        "кто-",
        "то",
        "漢",
        "《かん》",
        "［＃",
        "］",
        "｜",
        "e\u0301",
        "\xad",
        "\u200b",
        " ",
        "\t",
        "\n",
        "\n\n",
        "  \n",
        "\f",
        ".",
        "***",
        "a" * 30,
        "и",
        "«",
        "\u0301",
        "gutenberg",
        "“",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join), st.lists(WORDS, max_size=60).map("".join)
    )
)
@example("won-\n\xadderful")
@example("漢《か》\u3099")
@example("ab-\nund-\nfg")
@example("AA-\nAA- AA")
@example("AA-\na\u0300a")
@example("AA-\na\xad\u0300a")
def test_cleaning_a_clean_text_changes_nothing(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join)))
def test_no_letter_is_lost_or_moved(text: str) -> None:
    def letters(of: str) -> str:
        return "".join(character for character in unicodedata.normalize("NFD", of) if character.isalpha())

    assert letters(clean(text, frames=False, ruby=False)) == letters(text)


@pytest.mark.parametrize(
    "piece", [" ", "\n", "-", "-\n", "\u0301", "a", " a", "\t\n", "\xa0", "\u200d", "а\u0306", "漢", "* "]
)
def test_two_million_characters_of_one_kind_do_not_hang(piece: str) -> None:
    once = clean(piece * (2_000_000 // len(piece)))
    assert clean(once) == once
