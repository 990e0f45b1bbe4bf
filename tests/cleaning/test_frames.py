"""Frames of publishers go, texts that only speak of them stay."""

from __future__ import annotations

import pytest

from bajka.cleaning.frames import without_frames

BOOK = "ALICE IN WONDERLAND\n\nLewis Carroll\n\nAlice was beginning to get very tired.\n\nTHE END"
HEADER = (
    "The Project Gutenberg EBook of Alice, by Lewis Carroll\n\nThis eBook is for the use of anyone anywhere at no cost\n\n"
    "Title: Alice\n\nAuthor: Lewis Carroll\n\nRelease Date: March, 1994 [EBook #11]\n\n"
)
LICENCE = "\n\nUpdated editions will replace the previous one.\n\n" + "Section 1. General terms of use.\n" * 300


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("*** START OF THIS PROJECT GUTENBERG EBOOK ALICE ***", "*** END OF THIS PROJECT GUTENBERG EBOOK ALICE ***"),
        ("*** START OF THE PROJECT GUTENBERG EBOOK ALICE ***", "*** END OF THE PROJECT GUTENBERG EBOOK ALICE ***"),
        ("***START OF THE PROJECT GUTENBERG EBOOK ALICE***", "***END OF THE PROJECT GUTENBERG EBOOK ALICE***"),
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK ALICE IN\nWONDERLAND ***",
            "*** END OF THIS PROJECT GUTENBERG EBOOK X",
        ),
        ("*** START DES PROJECT GUTENBERG EBOOK ALICE ***", "*** ENDE DES PROJECT GUTENBERG EBOOK ALICE ***"),
        ("*** START DU PROJET GUTENBERG ALICE ***", "*** FIN DU PROJET GUTENBERG ALICE ***"),
    ],
)
def test_only_the_book_stays_between_the_marker_lines(start: str, end: str) -> None:
    assert without_frames(f"{HEADER}{start}\n\n\n{BOOK}\n\n{end}{LICENCE}").strip() == BOOK


@pytest.mark.parametrize(
    "credit",
    [
        "Produced by Emma Dudding and David Widger",
        "E-text prepared by Juliet Sutherland",
        "This file was produced from images generously made available by The Internet Archive",
        "Transcribed from the 1895 edition by David Price, email ccx074@pglaf.org",
        "[Transcriber's Note: spelling was kept.\n\nItalics are marked _so_.]",
        "HTML version by Al Haines.",
    ],
)
def test_credits_and_transcribers_notes_behind_the_start_line_go(credit: str) -> None:
    text = f"{HEADER}*** START OF THIS PROJECT GUTENBERG EBOOK ALICE ***\n\n{credit}\n\n\n{BOOK}"
    assert without_frames(text).strip() == BOOK


def test_the_sentence_before_the_end_line_goes_with_all_behind_it() -> None:
    text = f"{BOOK}\n\nEnd of Project Gutenberg's Alice, by Lewis Carroll\n\n*** END OF THIS PROJECT GUTENBERG EBOOK ALICE ***"
    assert without_frames(text).strip() == BOOK


def test_a_header_of_the_nineties_ends_with_the_small_print() -> None:
    header = (
        "**The Project Gutenberg Etext of Alice in Wonderland**\n\nCopyright laws are changing all over the world\n\n"
        "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\n\nWhy is this Small Print here?\n\n"
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n"
    )
    text = f"{header}{BOOK}\n\nEnd of the Project Gutenberg Etext of Alice in Wonderland\n"
    assert without_frames(text).strip() == BOOK


def test_a_header_without_any_marker_ends_with_its_last_known_paragraph() -> None:
    assert without_frames(HEADER + BOOK).strip() == BOOK


def test_several_books_in_one_file_lose_the_frames_between_them() -> None:
    start, end = "*** START OF THE PROJECT GUTENBERG EBOOK X ***", "*** END OF THE PROJECT GUTENBERG EBOOK X ***"
    one = f"{HEADER}{start}\n\n{BOOK}\n\n{end}{LICENCE}\n"
    assert without_frames(one + one).split() == (BOOK + "\n\n" + BOOK).split()


@pytest.mark.parametrize(
    "story",
    [
        "She read a book of Project Gutenberg by the fire.\n\nThen she slept.",
        "Project Gutenberg was founded by Michael Hart.\n\nIt has books.",
        "Project Gutenberg's founder lived in Illinois.\n\nThis is his story, told by a friend.",
        "Produced by Alfred Hitchcock, the film opens in London.\n\nA man runs.",
        "The robot scanned by the door.\n\n" + "It went on. " * 50,
        "--------------------\nA letter\n--------------------\n\nDear Ana,\n\nyours, Ivo",
        "He was mediocre at OCR work.\n\nAnd that was that.",
        "Title: The Fox\n\nOnce upon a time there was an ebook.",
    ],
)
def test_a_story_that_only_mentions_such_things_stays(story: str) -> None:
    assert without_frames(story) == story


def test_the_ruled_head_and_the_foot_of_lib_ru_go() -> None:
    rule = "-" * 60
    head = f'Алые паруса\n{rule}\n   Изд. "Правда", М., 1980\n   OCR & spellcheck by HarryFan\n{rule}\n\n'
    foot = "\n\nПопулярность: 3, Last-modified: Mon, 12 Mar 2001 18:53:14 GMT\n"
    story = "     Лонгрен, матрос, покинул службу."
    assert without_frames(head + story + foot).split() == ["Алые", "паруса", *story.split()]


def test_the_legend_and_the_colophon_of_aozora_go() -> None:
    rule = "-" * 55
    text = (
        f"貝の火\n宮沢賢治\n\n{rule}\n【テキスト中に現れる記号について】\n\n《》：ルビ\n（例）兎《うさぎ》\n{rule}\n\n"
        "　今は兎《うさぎ》たちは、みんなみじかい茶色の着物です。\n\n\n底本：「銀河鉄道の夜」\n入力：ゆかこ\n校正：林\n"
    )
    assert without_frames(text).split() == [
        "貝の火",
        "宮沢賢治",
        "今は兎《うさぎ》たちは、みんなみじかい茶色の着物です。",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Спасибо, что скачали книгу в бесплатной электронной библиотеке Royallib.ru\nПриятного чтения!",
        "Exported from Wikisource on 3 May 2024",
        "OCR: Иванов\nSpellcheck: Петров",
        "Scanned and proofread by Jane Doe, 2001",
    ],
)
def test_the_first_lines_of_libraries_and_scanners_go(line: str) -> None:
    assert without_frames(f"{line}\n\nЖил-был кот.\n\nКонец.").strip() == "Жил-был кот.\n\nКонец."


def test_wikisource_says_at_the_end_what_edition_it_was() -> None:
    text = (
        "The tale.\n\nAbout this digital edition\n\nThis e-book comes from the online library Wikisource.\n\nLicence."
    )
    assert without_frames(text).strip() == "The tale."


@pytest.mark.parametrize(
    "piece", ["*", "***\n", "gutenberg ", "底本：\n", "[Transcriber's note ", "-" * 30 + "\n", "\n"]
)
def test_two_million_characters_of_one_kind_do_not_hang(piece: str) -> None:
    text = "gutenberg\n" + piece * (2_000_000 // len(piece))
    assert without_frames(without_frames(text)) == without_frames(text)
