"""JSON lists and JSONL: what is a document, and the sentence for what is none."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import CorpusSettings
from bajka.formats.decoding import decoded
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.records import read_json, read_jsonl

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."
PAIR = json.dumps([{"story": STORY}, {"story": "Two."}])


def read(content: str, *, lines: bool = False, **wishes: Any) -> tuple[list[Document], Account]:
    account = Account()
    text = decoded(io.BytesIO(content.encode()), account, name="a.json")
    reader = read_jsonl if lines else read_json
    documents = list(reader(text, name="a.json", settings=CorpusSettings(**wishes), account=account))
    return documents, account


def texts(content: str, *, lines: bool = False, **wishes: Any) -> list[str]:
    return [document.text for document in read(content, lines=lines, **wishes)[0]]


def refusal(content: str, *, lines: bool = False, **wishes: Any) -> UnreadableError:
    with pytest.raises(UnreadableError) as caught:
        read(content, lines=lines, **wishes)
    return caught.value


def test_a_tinystories_shard_gives_its_stories_with_their_plain_fields() -> None:
    record = {"story": STORY, "instruction": {"prompt:": "Write.", "words": ["fox"]}, "summary": "A fox.", "year": None}
    documents, account = read(json.dumps([record] * 3, indent=1))
    assert documents[2] == Document(STORY, "a.json#3", {"summary": "A fox."})
    assert account.text_field == "story"
    assert account.note == 'text from the field "story" (others: instruction.prompt:, summary)'


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        PAIR,
        "\n " + PAIR,
        json.dumps({"version": 1, "none": [], "sizes": [1, 2], "stories": json.loads(PAIR), "end": True}, indent=2),
        json.dumps({"data": json.loads(PAIR)}),
    ],
)
def test_a_list_is_found_whatever_the_file_is_called(content: str, lines: bool) -> None:
    if lines and content.startswith("{"):
        pytest.skip("an object is no JSONL")
    assert texts(content, lines=lines) == [STORY, "Two."]


@pytest.mark.parametrize("lines", [True, False])
def test_one_record_a_line_is_found_whatever_the_file_is_called(lines: bool) -> None:
    content = '\n{"story": "One."}\n\n\ufeff{"story": "Two."}\r\n'
    assert [document.name for document in read(content, lines=lines)[0]] == ["a.json#2", "a.json#4"]


def test_lists_and_lines_of_bare_texts() -> None:
    documents, account = read('["One.", "Two."]', field="story")
    assert [document.text for document in documents] == ["One.", "Two."]
    assert (account.text_field, account.note) == ("", "every value is one text")
    assert texts('"One."\n"Two."\n', lines=True) == ["One.", "Two."]


def test_a_text_inside_another_field_is_named_with_a_dot() -> None:
    content = json.dumps([{"id": "tale-17", "data": {"text": STORY, "lang": "en"}}])
    assert texts(content) == [STORY]
    assert read(content, field="data.text")[0] == [Document(STORY, "a.json#1", {"id": "tale-17", "data.lang": "en"})]


@pytest.mark.parametrize("wish", [{}, {"field": "tale"}, {"field": "data.x"}, {"template": "{title}{tale}"}])
def test_an_object_with_a_text_and_no_list_is_one_record(wish: dict[str, str]) -> None:
    record = {"title": "The fox", "tale": STORY, "data": {"x": STORY}, "year": 1901, "tags": []}
    [document] = read(json.dumps(record, indent=2), **wish)[0]
    assert (document.text, document.fields["title"]) == (STORY, "The fox")


def test_a_list_of_texts_is_joined_for_a_template() -> None:
    content = json.dumps([{"genres": ["drama", "comedy"], "cast": ["Fox"], "sizes": [[1]], "plot": STORY}])
    [document] = read(content, template="{Genres}{sizes}{plot}")[0]
    assert document.fields == {"genres": "drama, comedy"}


def test_either_word_names_the_field() -> None:
    content = json.dumps([{"a": STORY, "b": STORY + "!"}])
    assert texts(content, field="a") == [STORY]
    assert texts(content, column="B") == [STORY + "!"]


def test_numbers_stay_as_they_are_written() -> None:
    content = '[{"text": "One.", "a": 1.10, "b": -0, "c": true, "d": ' + "9" * 5_000 + ', "e": 1e400, "f": NaN}]'
    assert read(content)[0][0].fields == {"a": "1.10", "b": "-0", "c": "true", "d": "9" * 5_000, "e": "1e400"}


def test_a_nan_is_a_missing_text() -> None:
    documents, account = read('{"text": NaN}\n{"text": "One."}\n{"text": " "}\n{}', lines=True)
    assert [document.name for document in documents] == ["a.json#2"]
    assert account.left_out == {"rows without text left out": 3}


def test_values_that_no_file_can_hold_are_counted_and_never_mangled() -> None:
    lines = [
        r'{"text": "half \ud83d"}',
        r'{"text": "zero \u0000"}',
        r'{"text": "fox", "t": "\udc00"}',
        r'{"text": "\ud83e\udd8a"}',
    ]
    documents, account = read("\n".join(lines), lines=True)
    assert [document.text for document in documents] == ["🦊"]
    assert account.left_out == {"broken rows left out": 3}


def test_newlines_of_windows_become_ours_and_nothing_else_changes() -> None:
    assert texts(r'["\ta\r\nb\rc  \n\n\n\u00ad "]') == ["\ta\nb\nc  \n\n\n\u00ad "]


def test_the_last_of_two_equal_keys_counts() -> None:
    assert texts('[{"text": "One.", "text": "Two."}]') == ["Two."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            '{"text": "x"}\n\n{"text": \n',
            "line 3 is not valid JSON (Expecting value at column 9): correct or delete it",
        ),
        ('{"text": "x"}\n{"text" "y"}', "line 2 is not valid JSON (Expecting ':' delimiter at column 9)"),
        ("{'text': 'x'}\n", "line 1 is not valid JSON (Expecting property name enclosed in double quotes"),
        ('{"text": "x"}\n{"text": "y', "line 2 is not valid JSON (Unterminated string"),
        ('[{"text": "x"},\n{"text" "y"}]' + " " * 99, "line 2 is not valid JSON (Expecting ':' delimiter at column 9)"),
        ('[{"text": "x"}\n', "line 2 is not valid JSON (Expecting ',' delimiter at column 1)"),
        ('[{"text": "x"}]\n[]', "line 2 is not valid JSON (Extra data at column 1)"),
        ('{"data":\n["x"]},', "line 2 is not valid JSON (Extra data"),
        ('{"data": ["x"],}', "line 1 is not valid JSON (Expecting property name"),
        ('{"text": "x"', "line 1 is not valid JSON (Expecting ',' delimiter"),
        ('{"data": ["x"],\n"a": 1, b: 2}', "line 2 is not valid JSON (Expecting property name"),
        ("[tru", "line 1 is not valid JSON (Expecting value at column 2)"),
        ("once upon a time", "line 1 is not valid JSON (Expecting value at column 1)"),
        ('{"year": 1901, "id": "x"}', "one JSON value and not a list of records: save one record a line"),
        ("{ }", "one JSON value and not a list of records"),
        ('"x"', "one JSON value and not a list of records"),
        ('{"a": ["x"], "b": [{"text": "y"}]}', "it holds several lists (a, b): save one record a line"),
    ],
)
def test_what_a_person_can_correct_is_asked_with_its_place(content: str, sentence: str) -> None:
    problem = refusal(content)
    assert sentence in problem.reason
    assert problem.asks


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "line 1 is not valid JSON"),
        ("[]", "it has no row with text in it"),
        ('[{"a": ""}, {}]', "it has no row with text in it"),
        ("[1, null, [2]]", "its values are neither texts nor records with fields"),
        ("[" * 100_000, "it is not JSON that can be read (line 1 is nested too deeply)"),
        ('{"a":' * 100_000, "it is not JSON that can be read (line 1 is nested too deeply)"),
        ('["x"]\n' + "[" * 100_000, "line 2 is not valid JSON"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(content: str, sentence: str) -> None:
    assert sentence in refusal(content).reason


def test_deep_nesting_in_a_line() -> None:
    assert "line 2 is nested too deeply" in refusal('"x"\n' + '{"a":' * 100_000, lines=True).reason


def test_a_value_without_end_is_not_read_into_memory() -> None:
    assert "a value in line 1 is longer than 16,000,000 characters" in refusal('["' + "x" * 40_000_000).reason


def test_an_object_on_one_long_line_streams() -> None:
    stories = ["Once upon a time. " * 50_000] * 20
    assert texts(json.dumps({"data": stories}) + "\n") == stories


def test_a_long_record_passes_where_chunks_meet() -> None:
    long = "Once upon a time. " * 400_000
    assert texts(json.dumps(["a", long, "b" * 3_000_000, "c"])) == ["a", long, "b" * 3_000_000, "c"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1), min_size=1))
def test_what_json_writes_comes_back(stories: list[str]) -> None:
    expected = [story for story in stories if story.strip()] or ["x"]
    records = [{"id": place, "story": story} for place, story in enumerate([*stories, *expected])]
    for ascii_only in (True, False):
        whole = json.dumps(records, ensure_ascii=ascii_only)
        lines = "\n".join(json.dumps(record, ensure_ascii=ascii_only) for record in records)
        assert texts(whole, field="story") == texts(lines, lines=True, field="story")
        assert texts(whole, field="story") == [record["story"] for record in records if str(record["story"]).strip()]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from('[]{},:" \n\\ud0aNtrue-1.e'), max_size=40), st.booleans())
def test_anything_at_all_gives_documents_or_a_sentence(content: str, lines: bool) -> None:
    with suppress(UnreadableError):
        assert all(text.strip() for text in texts(content, lines=lines))
