"""Soft hyphens and words broken at line ends."""

from __future__ import annotations

import pytest

from bajka.cleaning.hyphens import with_whole_words


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("It was won-\nderful to see.", "It was wonderful\nto see."),
        ("It was won-  \n   derful, he said.", "It was wonderful,\nhe said."),
        ("a won-\nderful day, and a won-derful night", "a won-derful\nday, and a won-derful night"),
        ("well done and known, a well-\nknown man", "well done and known, a well-known\nman"),
        ("to je bilo vrlo lije-\npo jutro", "to je bilo vrlo lijepo\njutro"),
        ("била је ле-\nпа девојка", "била је лепа\nдевојка"),
        ("кто-\nто пришёл", "кто-то\nпришёл"),
        ("говорил по-\nрусски хорошо", "говорил по-русски\nхорошо"),
        ("мес-\nто было, и место прошло", "место\nбыло, и место прошло"),
        ("WON-\nDERFUL NEWS", "WONDERFUL\nNEWS"),
        ("in-\ncompre-\nhensible words", "incomprehensible\nwords"),
        ("сло\xac\nво дела", "слово\nдела"),
        ("so\xadft hy\xad\nphen here", "soft hyphen\nhere"),
        ("the end won-\nderful.\n\nNext", "the end wonderful.\n\nNext"),
    ],
)
def test_a_broken_word_is_whole_again(broken: str, whole: str) -> None:
    assert with_whole_words(broken) == whole


@pytest.mark.parametrize(
    "text",
    [
        "- Dobar dan, reče on.\n- Dobar dan.",
        "I thought--\nfancy that",
        "Он пришёл —\nи ушёл.",
        "Haus-\nund Hof",
        "Anglo-\nSaxon",
        "1914-\n1918",
        "a-\nb",
        "漢-\n字",
        "won-\n\nderful",
    ],
)
def test_other_hyphens_stay(text: str) -> None:
    assert with_whole_words(text) == text


def test_a_long_text_with_hardly_any_hyphen_at_line_ends_has_only_compounds_there() -> None:
    text = "This is a line of a book.\n" * 500 + "an ass's pack-\nsaddle\n"
    assert with_whole_words(text) == text


@pytest.mark.parametrize("piece", ["-", "\xad", "ab-\n", "-\n", "a", " ", "- ", "ab\xad\n"])
def test_a_million_characters_without_words_do_not_hang(piece: str) -> None:
    once = with_whole_words("won-\nderful\n" + piece * (1_000_000 // len(piece)))
    assert with_whole_words(once) == once
