"""Aozora Bunko's readings and notes."""

from __future__ import annotations

import pytest

from bajka.cleaning.ruby import without_ruby


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("今は兎《うさぎ》たちは", "今は兎たちは"),
        ("一生｜満足《まんぞく》に、兎《うさぎ》", "一生満足に、兎"),
        ("愈々《いよ／＼》兎《うさぎ》狐《きつね》と｜愛《love》と《狼》", "愈々兎狐と愛と《狼》"),
        ("｜ＡＢＣ《エービーシー》と兎《うさぎ》", "ＡＢＣと兎"),
        ("兎《うさぎ》と vague《バーグ》な α《アルフア》", "兎と vagueな α"),
        ("それは外［＃「外」に傍点］です", "それは外です"),
        ("［＃７字下げ］一［＃「一」は中見出し］\n本文", "一\n本文"),
        ("前\n［＃改ページ］\n後", "前\n後"),
        ("※［＃「てへん＋劣」、第3水準1-84-77］", "挘"),
        ("※［＃「口＋世」、U+546D、12-3］", "呭"),
        ("※［＃始め二重括弧、1-1-52］本※［＃終わり二重括弧、1-1-53］", "≪本≫"),
        ("※［＃小書き平仮名ん、168-12］", "ん"),
        ("※［＃ト音記号、3-14］", "〓"),
        ("［＃「※［＃ト音記号、3-14］」に傍点］歌", "歌"),
    ],
)
def test_aozora_notation_becomes_plain_text(written: str, read: str) -> None:
    assert without_ruby(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "《西游记》吴承恩（明）\n他读了《红楼梦》。",
        "我喜欢电影《となりのトトロ》。他读《红楼梦》和《三国演义》，又看了小说《西游记》。",
        "我喜欢电影《となりのトトロ》。",
        "彼は言った《やめろ》と。",
        "a < b ｜ c",
        "「兎」と※印",
        "плот《x》",
    ],
)
def test_texts_that_are_not_written_so_stay(text: str) -> None:
    assert without_ruby(text) == text


@pytest.mark.parametrize("piece", ["［", "［＃", "《", "漢《", "｜", "※［＃", "漢《かん》"])
def test_two_million_characters_of_notation_do_not_hang(piece: str) -> None:
    once = without_ruby("漢《かん》と\n" + piece * (2_000_000 // len(piece)))
    assert without_ruby(once) == once
