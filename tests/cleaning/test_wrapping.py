"""Wrapped prose is joined; what has its own line ends keeps them."""

from __future__ import annotations

import textwrap

import pytest

from bajka.cleaning.wrapping import without_wrapping

PROSE = {
    "en": "The old miller had three sons and a cat, and when he died the sons shared what he left behind them, which was soon "
    "done, for there was only the mill, the donkey and the cat. The youngest, who got the cat, was very sad about it and sat "
    'down by the river. "What shall I do with a cat?" he said to himself, and threw stones into the water until it was dark.',
    "de": "Ein alter Müller hatte drei Söhne und einen Kater, und als er starb, teilten die Söhne das Erbe unter sich, was "
    "bald geschehen war, denn es gab nur die Mühle, den Esel und den Kater. Der Jüngste, der den Kater bekam, war darüber sehr "
    "traurig und setzte sich an den Fluss und warf Steine ins Wasser, bis es dunkel wurde und die Sterne kamen.",
    "hr": "Bio jednom jedan stari mlinar koji je imao tri sina i mačka, a kad je umro, sinovi podijeliše što je ostalo, i to "
    "brzo, jer nije bilo nego mlin, magarac i mačak. Najmlađi, koji je dobio mačka, bio je vrlo žalostan, pa je sjeo kraj "
    "rijeke i bacao kamenje u vodu dok se nije smračilo i dok nisu izašle zvijezde nad šumom.",
    "ru": "Жил-был старый мельник, и было у него три сына и кот, а когда он умер, сыновья поделили наследство, и скоро, потому "
    "что была только мельница, осёл и кот. Младший, которому достался кот, очень горевал, сел у реки и бросал камни в воду, "
    "пока не стемнело и не взошли над лесом звёзды, и тогда кот заговорил с ним человеческим голосом.",
}
VERSE = """Tyger Tyger, burning bright,
In the forests of the night;
What immortal hand or eye,
Could frame thy fearful symmetry?"""


@pytest.mark.parametrize("language", PROSE)
@pytest.mark.parametrize("width", [60, 72])
def test_wrapped_prose_is_joined_in_every_language(language: str, width: int) -> None:
    paragraphs = "\n\n".join([PROSE[language]] * 3)
    wrapped = "\n\n".join([textwrap.fill(PROSE[language], width, break_on_hyphens=False)] * 3)
    assert without_wrapping(wrapped) == paragraphs


def test_paragraphs_told_apart_by_indentation_stay_apart() -> None:
    one = textwrap.fill(PROSE["ru"], 70, initial_indent="    ", break_on_hyphens=False)
    assert without_wrapping(f"{one}\n{one}\n    - Да.\n    - Нет.\n") == (
        f"    {PROSE['ru']}\n    {PROSE['ru']}\n    - Да.\n    - Нет.\n"
    )


def test_verse_lists_addresses_and_headings_inside_wrapped_prose_stay() -> None:
    kept = [
        textwrap.indent(VERSE, "    "),
        " Will you walk a little faster, said a whiting to a snail that was\n  There's a porpoise close behind us, on my tail.",
        " Will you, won't you, will you, won't you, will you join the dance?\n Will you, won't you, will you, won't you?",
        VERSE,
        "ALICE'S RIGHT FOOT, ESQ.\n  HEARTHRUG,\n    NEAR THE FENDER",
        "CONTENTS\n1. The mill\n2. The cat",
        "CHAPTER I\nThe mill",
        "name      | age  | city\nAna       | 7    | Split and the islands around it, with all ships",
    ]
    wrapped = textwrap.fill(PROSE["en"], 72)
    text = "\n\n".join(part for verse in kept for part in (wrapped, verse))
    assert without_wrapping(text) == "\n\n".join(part for verse in kept for part in (PROSE["en"], verse))


def test_dialogue_behind_a_full_line_begins_a_line_of_its_own() -> None:
    wrapped = textwrap.fill(PROSE["hr"], 60)
    last = "a" * 20 + " i tako je to bilo na kraju svega, reče stari."
    text = f"{wrapped}\n\n{wrapped}\n\n{last}\n- Nije, reče mladi.\n- Jest."
    assert without_wrapping(text).endswith(f"{last}\n- Nije, reče mladi.\n- Jest.")


def test_chinese_is_joined_without_a_space() -> None:
    paragraph = (
        "从前有一个老磨坊主他有三个儿子和一只猫他死的时候儿子们分了他留下的东西很快就分完了因为只有磨坊驴子和猫" * 5
    )
    wrapped = "\n".join(paragraph[place : place + 38] for place in range(0, len(paragraph), 38))
    assert without_wrapping(f"{wrapped}\n\n{wrapped}") == f"{paragraph}\n\n{paragraph}"


@pytest.mark.parametrize(
    ("wrapped", "joined"),
    [("question--\nfancy", "question--fancy"), ("Anglo-\nSaxon", "Anglo-Saxon"), ("Haus-\nund Hof", "Haus- und Hof")],
)
def test_hyphens_and_dashes_at_a_line_end_touch_their_words(wrapped: str, joined: str) -> None:
    before, after = wrapped.split("\n")
    prose = textwrap.fill(PROSE["en"], 72)
    first = "x" * (71 - len(before)) + " " + before
    text = f"{prose}\n\n{first}\n{after} and so on it went, for a long time"
    assert joined in without_wrapping(text)


@pytest.mark.parametrize(
    "text",
    [
        "\n\n".join([VERSE] * 20),
        "\n\n".join(["First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak."] * 20),
        "\n".join(f"- {word} went to the market and bought a {word}" for word in PROSE["en"].split()),
        "\n".join(f"    {name} = compute({name}, other_{name}) + 1" for name in PROSE["en"].split() if name.isalpha()),
        "\n".join([PROSE["en"], PROSE["de"], PROSE["hr"]] * 5),
        "古池や\n蛙飛びこむ\n水の音\n" * 20,
        "床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。\n" * 20,
        "one line only",
        "",
        "a\nb\nc",
    ],
)
def test_line_ends_of_the_author_stay(text: str) -> None:
    assert without_wrapping(text) == text


@pytest.mark.parametrize("piece", ["\n", " ", "a\n", "word ", "-\n", "漢\n", "\u0301", "      a\n"])
def test_two_million_characters_of_one_kind_do_not_hang(piece: str) -> None:
    text = piece * (2_000_000 // len(piece))
    assert without_wrapping(text) == text
