"""The built-in tales: reproducible, varied, held together by their hero, and in any language that has a data file."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

import pytest

from bajka.corpus.tales import first_hero, languages, last_sentence, load_language, names_first_hero_again, write_tales
from bajka.errors import CorpusError, SettingsError

CROATIAN = """
language = "Croatian"
code = "hr"
order = ["opening", "problem", "ending"]
cast = { hero = "name", object = "toy" }

[words.name]
m = [{ base = "Ivo", dat = "Ivi" }]
f = [{ base = "Mira", dat = "Miri" }]

[words.toy]
m = [{ base = "zmaj", acc = "zmaja" }]
f = [{ base = "lopta", acc = "loptu" }]
n = [{ base = "zvono", acc = "zvono" }]

[common]
opening = ["Bio jednom jedan dječak, {hero}.", "{Hero} je {hero|imao|imala} {object.acc}."]

[plots.wind]
problem = ["{Object} je {object|odletio|odletjela|odletjelo}."]
ending = ["Ptica je vratila {object.acc} {hero.dat}."]

[plots.river]
problem = ["{Hero|on|ona} je {hero|izgubio|izgubila} {object|crvenog|crvenu|crveno} {object.acc}."]
ending = ["Na kraju se {hero} {hero|nasmijao|nasmijala}!"]
"""


@pytest.fixture(scope="module")
def tales() -> list[str]:
    return write_tales(10_000)


@pytest.fixture
def croatian(tmp_path: Path) -> Path:
    path = tmp_path / "tales_hr.toml"
    path.write_text(CROATIAN, encoding="utf-8")
    return path


def test_the_same_seed_writes_the_same_tales() -> None:
    assert write_tales(50, seed=7) == write_tales(50, seed=7)
    assert write_tales(50, seed=7) != write_tales(50, seed=8)


def test_the_first_tales_of_a_longer_list_are_the_shorter_list(tales: list[str]) -> None:
    assert write_tales(100) == tales[:100]


def test_no_tales_are_an_empty_list() -> None:
    assert write_tales(0) == []


def test_ten_thousand_tales_are_distinct(tales: list[str]) -> None:
    assert len(tales) - len(set(tales)) < 100


def test_tales_have_several_hundred_words(tales: list[str]) -> None:
    counts = Counter(word.lower() for tale in tales for word in re.findall(r"[A-Za-z-]+", tale))
    assert 500 < len(counts) < 1500
    assert sum(count < 20 for count in counts.values()) == 0


def test_tales_are_short(tales: list[str]) -> None:
    lengths = [len(tale.split()) for tale in tales]
    assert min(lengths) > 50
    assert max(lengths) < 130


def test_every_tale_names_its_first_hero_again_in_its_last_sentence(tales: list[str]) -> None:
    for tale in tales:
        hero = first_hero(tale)
        assert hero is not None
        assert hero in last_sentence(tale)
        assert names_first_hero_again(tale)


def test_every_tale_has_one_hero_only(tales: list[str]) -> None:
    names = load_language("en").heroes
    assert all(len(names.keys() & set(re.findall(r"\w+", tale))) == 1 for tale in tales)


def test_every_tale_is_one_clean_paragraph(tales: list[str]) -> None:
    for tale in tales:
        assert not re.search(r"[{}|\n\t]|  | [.,!?]", tale), tale
        assert tale.count('"') % 2 == 0, tale
        assert re.fullmatch(r'[A-Z"].*[.!?]"?', tale), tale


def test_every_sentence_begins_with_a_capital(tales: list[str]) -> None:
    assert [tale for tale in tales if re.search(r"\. [\"']?[a-z]", tale)] == []


def test_a_and_an_stand_where_they_belong(tales: list[str]) -> None:
    wrong = re.compile(r"\ba [aeio]\w+|\ban [^aeiou\W]\w+", re.IGNORECASE)
    assert [wrong.findall(tale) for tale in tales if wrong.search(tale)] == []


def test_ten_thousand_tales_take_seconds_at_most() -> None:
    start = time.perf_counter()
    write_tales(10_000, seed=1)
    assert time.perf_counter() - start < 5


def test_the_last_sentence_may_be_spoken_or_unfinished() -> None:
    assert last_sentence('Mira sat. "Come in!" said the owl. "Thank you."') == '"Thank you."'
    assert last_sentence("Mira sat. And then the ow") == "And then the ow"
    assert last_sentence("") == ""


def test_a_hero_is_looked_for_in_the_first_sentence_only() -> None:
    assert first_hero("Mira met Otto. Then it rained.") == "Mira"
    assert first_hero("A fox slept. Mira woke it.") is None
    assert first_hero("") is None


def test_a_tale_that_never_returns_to_its_hero_is_told_apart() -> None:
    assert names_first_hero_again("Mira met Otto. Otto thanked Mira.")
    assert not names_first_hero_again("Mira met Otto. Otto slept.")
    assert not names_first_hero_again("A fox slept. It slept.")
    assert not names_first_hero_again("Mira slept")


def test_another_language_is_one_data_file(croatian: Path) -> None:
    told = write_tales(200, language=croatian)
    assert "Ivo je imao zvono. Zvono je odletjelo. Ptica je vratila zvono Ivi." in told
    assert "Mira je imala zmaja. Ona je izgubila crvenog zmaja. Na kraju se Mira nasmijala!" in told
    assert all(names_first_hero_again(tale, language=croatian) for tale in told)


def test_a_list_that_counts_more_often_is_drawn_more_often(croatian: Path) -> None:
    shared = CROATIAN.replace('hero = "name"', "hero = { name = 1, rare = 3 }") + '[words.rare]\nm = ["Jan"]\nf = []\n'
    croatian.write_text(shared.replace("{hero.dat}", "{hero}"), encoding="utf-8")
    jan = sum(first_hero(tale, language=croatian) == "Jan" for tale in write_tales(1000, language=croatian))
    assert 550 < jan < 650  # three of five


def test_english_is_built_in() -> None:
    assert "en" in languages()


def test_an_unknown_language_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no built-in tales in 'xx'. Choose one of: .*en"):
        write_tales(1, language="xx")


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(SettingsError, match="Cannot write -1 tales: give a count of 0 or more"):
        write_tales(-1)


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no file of tales .*nowhere\.toml"):
        write_tales(1, language=tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"),
    [
        ('code = "hr"', "code = ", "is not valid TOML"),
        ('code = "hr"', "", "is wrong at code: Field required"),
        ('code = "hr"', 'code = "hr"\ncolour = "red"', "is wrong at colour: Extra inputs"),
        ("{object.acc}.", "{objekt.acc}.", r"opening: {objekt.acc} names no role .* it has hero, object"),
        ("{object.acc}.", "{object.gen}.", "asks for a form that the word 'zmaj' lacks; give it gen ="),
        ("{hero|imao|imala}", "{hero|imao}", "has 1 choices, but the word 'Ivo' is in a list of 2 groups"),
        ("{hero|imao|imala}", "{hero|imao", "a brace is left over"),
        ('object = "toy"', 'object = "toys"', r"object asks for the list toys, but there is no words\.toys"),
        ('hero = "name", ', "", "plot wind has no hero"),
        ("{hero.dat}.", "djetetu.", "a sentence of the part ending does not name the {hero}"),
        ("[plots.river]", '[plots.river]\nend = ["x"]', "plot river: end is no part of a tale"),
        ("problem = [", "problem = [] # [", "plot wind has no sentence for the part problem"),
        ('[{ base = "Ivo", dat = "Ivi" }]', '[{ dat = "Ivi" }]', "a word in the list name has no base"),
        ("[words.toy]", "[words]\nempty = []\n[words.toy]", "the list of words empty is empty"),
    ],
)
def test_a_faulty_data_file_gets_a_sentence(croatian: Path, right: str, wrong: str, sentence: str) -> None:
    croatian.write_text(CROATIAN.replace(right, wrong), encoding="utf-8")
    with pytest.raises(CorpusError, match=sentence) as caught:
        write_tales(1, language=croatian)
    assert str(croatian) in str(caught.value)


def test_a_data_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tales.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorpusError, match="cannot be read"):
        write_tales(1, language=path)
