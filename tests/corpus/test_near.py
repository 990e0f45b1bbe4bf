"""Near-duplicates: found whatever was edited, never joined when the tales differ; checked against plain Python sets."""

from __future__ import annotations

import random
import re
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.corpus.near import EMPTY, SKETCH_SIZE, near_duplicate_groups, shingles, sketch, sketches

ALPHABETS = {"en": "abcdefghijklmnoprstuvw", "ru": "абвгдежзиклмнопрстуфхя"}
GOLDEN = [
    [52809388, 62990266, 182154662],
    [413934969, 345749335, 627228558],
    [542087391, 977753, 447543285],
    [555021338, 602598391, 315736055],
]
CHINESE = [chr(0x4E00 + 7 * place) for place in range(1200)]


def vocabulary(language: str) -> list[str]:
    letters, chance = ALPHABETS[language], random.Random(0)
    return ["".join(chance.choices(letters, k=chance.randint(2, 8))) for _ in range(1500)]


def tale(language: str, number: int, sentences: int = 20) -> list[str]:
    """Sentences of frequent and rare words, as in real texts."""
    chance = random.Random(f"{language} {number}")
    words = CHINESE if language == "zh" else vocabulary(language)
    frequency = [1 / place for place in range(1, len(words) + 1)]
    joiner, end = ("", "。") if language == "zh" else (" ", ".")
    lengths = (chance.randint(10, 20) if language == "zh" else chance.randint(6, 14) for _ in range(sentences))
    return [joiner.join(chance.choices(words, frequency, k=length)) + end for length in lengths]


def edited(sentences: list[str], language: str, chance: random.Random) -> list[str]:
    """One of: a typo, a name changed everywhere, a sentence added, a sentence lost, other case and punctuation."""
    edit, place = chance.randrange(5), chance.randrange(len(sentences))
    match edit:
        case 0:
            return [one[:3] + "q" + one[4:] if at == place else one for at, one in enumerate(sentences)]
        case 1:
            name = sentences[place][4:6] if language == "zh" else sentences[place].split()[1]
            return [re.sub(rf"\b{name}\b" if language != "zh" else name, "Иван Ann 张", one) for one in sentences]
        case 2:
            return [*sentences[:place], *tale(language, chance.randrange(10**6), 1), *sentences[place:]]
        case 3:
            return sentences[:place] + sentences[place + 1 :]
        case _:
            return [one.upper().replace(".", "!\n\n— ") for one in sentences]


def grams(text: str, language: str, size: int) -> set[tuple[str, ...]]:
    units = re.findall(r"\w" if language == "zh" else r"\w+", text.casefold())
    return {tuple(units[at : at + size]) for at in range(len(units) - size + 1)}


def overlap(one: str, other: str, language: str, size: int) -> float:
    ours, theirs = grams(one, language, size), grams(other, language, size)
    return len(ours & theirs) / len(ours | theirs)


def groups_of(texts: list[str], similarity: float = 0.8) -> list[int]:
    return [int(group) for group in near_duplicate_groups(sketches(texts), texts.__getitem__, similarity=similarity)]


def components(texts: list[str], language: str, size: int) -> list[int]:
    """The groups by comparing every document with every other one."""
    first, sets = list(range(len(texts))), [grams(text, language, size) for text in texts]
    for one in range(len(texts)):
        for other in range(one):
            if len(sets[one] & sets[other]) >= 0.8 * len(sets[one] | sets[other]):
                low, high = sorted((first[one], first[other]))
                first = [low if group == high else group for group in first]
    return first


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_planted_near_duplicates_are_found_and_different_tales_stay_apart(language: str) -> None:
    chance, joiner = random.Random(1), "" if language == "zh" else " "
    tales = [tale(language, number) for number in range(150)]
    copies = tales
    for _ in range(2):
        copies = [edited(one, language, chance) for one in copies]
    texts = [joiner.join(one) for one in (*tales, *copies)]
    near = [one for one in range(150) if overlap(texts[one], texts[one + 150], language, 13) >= 0.8]
    groups = groups_of(texts)
    assert len(near) > 60
    assert sum(groups[one + 150] == one for one in near) >= 0.95 * len(near)
    assert groups[:150] == list(range(150))
    assert all(group in (place % 150, place) for place, group in enumerate(groups))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_groups_are_those_of_comparing_everything_with_everything(language: str) -> None:
    chance = random.Random(2)
    tales = [tale(language, number) for number in range(60)]
    for number in range(60):
        version = tales[number]
        for _ in range(chance.randrange(4)):
            version = edited(version, language, chance)
            tales.append(version)
    texts = [" ".join(one) for one in tales]
    assert groups_of(texts) == components(texts, language, 5)


def test_the_similarity_is_the_jaccard_index_of_word_five_grams() -> None:
    one, other = (" ".join(tale("en", 1) + tale("en", number)) for number in (2, 3))
    ours, theirs = set(shingles(one).tolist()), set(shingles(other).tolist())
    assert len(ours & theirs) / len(ours | theirs) == overlap(one, other, "en", 5)


def test_chinese_shingles_cover_eight_letters() -> None:
    text = "".join(CHINESE[:100])
    assert len(shingles(text)) == 96
    assert len(np.intersect1d(shingles(text), shingles(text[:50] + "新" + text[51:]))) == pytest.approx(96 - 8, abs=1)


@pytest.mark.parametrize("words", [15, 60, 400])
def test_sketches_agree_in_the_share_of_common_shingles(words: int) -> None:
    chance, ours, theirs = random.Random(3), [], []
    for _ in range(300):
        one = chance.choices(vocabulary("en"), k=words)
        ours.append(" ".join(one))
        theirs.append(" ".join([*one[: words // 2], "other", *one[words // 2 + 1 :]]))
    agreement = (sketches(ours) == sketches(theirs)).mean()
    exact = np.mean([overlap(one, other, "en", 5) for one, other in zip(ours, theirs, strict=True)])
    assert agreement == pytest.approx(exact, abs=0.015)


def test_sketches_are_the_same_on_every_machine() -> None:
    texts = ["Once upon a time there was a fox.", "Жила-была лиса в тёмном лесу.", "从前有一只狐狸住在山里。", "fox"]
    assert sketches(texts)[:, :3].tolist() == GOLDEN


def test_a_sketch_does_not_depend_on_the_texts_beside_it() -> None:
    long = " ".join(vocabulary("en")) * 60
    assert len(long) > 500_000
    texts = ["", "fox", long, "!", *(" ".join(tale("ru", number)) for number in range(300)), long[:260_000], ""]
    assert np.array_equal(sketches(texts), np.stack([sketch(text) for text in texts]))
    assert sketches([]).shape == (0, SKETCH_SIZE)


def test_case_punctuation_and_line_breaks_do_not_count() -> None:
    one = "“Who’s there?” said the Fox; nobody answered him in the dark wood."
    other = "who's there said the fox\n\nNobody answered him (in the dark wood)"
    assert np.array_equal(sketch(one), sketch(other))
    assert not np.array_equal(sketch(one), sketch(one.replace("Fox", "Ox")))


def test_texts_shorter_than_a_shingle_must_have_equal_words() -> None:
    texts = ["The end.", "the end", "The bend.", "the end the end", "THE END!", "end the"]
    assert groups_of(texts) == [0, 0, 2, 3, 0, 5]


def test_texts_without_letters_are_alone() -> None:
    assert groups_of(["***", "***", "", "?!", " \n"]) == [0, 1, 2, 3, 4]
    assert (sketches(["***"]) == EMPTY).all()


def test_a_long_text_finds_its_edited_copy_with_bounded_memory() -> None:
    text = "".join(random.Random(4).choices(CHINESE, k=3_000_000))
    sketch(text[:1000])
    tracemalloc.start()
    one = sketch(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000
    assert (one == sketch("前言" + text)).mean() > 0.95


def test_thousands_of_equal_documents_are_each_read_once() -> None:
    reads = []

    def read(number: int) -> str:
        reads.append(number)
        return text

    text = " ".join(tale("en", 1))
    groups = near_duplicate_groups(np.tile(sketch(text), (3000, 1)), read, similarity=0.8)
    assert not groups.any()
    assert len(reads) == len(set(reads)) == 3000


def test_what_two_documents_share_with_a_third_joins_them() -> None:
    sentences = tale("en", 1, 60)
    texts = [" ".join(sentences[at : at + 50]) for at in (0, 4, 8)]
    assert overlap(texts[0], texts[2], "en", 5) < 0.8 < overlap(texts[0], texts[1], "en", 5)
    assert groups_of(texts) == [0, 0, 0]


@pytest.mark.parametrize(("similarity", "joined"), [(0.4, True), (0.8, False)])
def test_the_similarity_asked_for_decides(similarity: float, joined: bool) -> None:
    start = tale("en", 1, 30)
    texts = [" ".join(start + tale("en", number, 15)) for number in range(2, 12)]
    assert all(0.4 < overlap(one, other, "en", 5) < 0.7 for one, other in pairwise(texts))
    assert (groups_of(texts, similarity) == [0] * 10) == joined


def test_equal_sets_are_asked_for_by_a_similarity_of_one() -> None:
    text = " ".join(tale("en", 1))
    assert groups_of([text, text.upper(), text + " More."], 1.0) == [0, 0, 2]


def test_sketches_may_lie_on_the_disk(tmp_path: Path) -> None:
    texts = [" ".join(tale("en", number % 7)) for number in range(20)]
    sketches(texts).tofile(tmp_path / "sketches")
    stored = np.memmap(tmp_path / "sketches", dtype="<u4", mode="r").reshape(-1, SKETCH_SIZE)
    groups = near_duplicate_groups(stored, texts.__getitem__, similarity=0.8)
    assert groups.tolist() == [number % 7 for number in range(20)]


def test_progress_runs_to_the_number_of_documents() -> None:
    told: list[tuple[str, int, int]] = []

    def tell(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    near_duplicate_groups(sketches(["a"] * 32), lambda number: "a", similarity=0.8, progress=tell)
    assert told[0] == ("looking for near-duplicates", 0, 32)
    assert told[-1][1:] == (32, 32)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_text_has_a_sketch_and_a_group(texts: list[str]) -> None:
    groups = groups_of(texts)
    assert all(groups[group] == group <= place for place, group in enumerate(groups))
