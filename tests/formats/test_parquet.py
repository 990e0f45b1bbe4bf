"""Parquet by pyarrow: the columns that are texts, what is left out, damaged files."""

from __future__ import annotations

import io
import sys
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import CorpusSettings
from bajka.errors import MissingExtraError
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.parquet import read_parquet

pa = pytest.importorskip("pyarrow", reason="the data extra is not installed")
STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."


def parquet(columns: dict[str, Any], **form: Any) -> BinaryIO:
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(columns), file, **form)
    return file


def read(file: BinaryIO, **wishes: Any) -> tuple[list[Document], Account]:
    account = Account()
    documents = read_parquet(file, name="a.parquet", settings=CorpusSettings(**wishes), account=account)
    return list(documents), account


def refusal(file: BinaryIO, **wishes: Any) -> str:
    with pytest.raises(UnreadableError) as caught:
        read(file, **wishes)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["string", "large_string", "string_view", "dictionary"])
def test_every_kind_of_text_column(kind: str) -> None:
    column = pa.array([STORY, None, "Two.\r\n"])
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(getattr(pa, kind)())
    documents, account = read(parquet({"text": column, "tags": [["a"], [], None], "id": [1, 2, 3]}, row_group_size=1))
    assert documents == [Document(STORY, "a.parquet#1"), Document("Two.\n", "a.parquet#3")]
    assert account.left_out == {"rows without text left out": 1}
    assert account.note.startswith('text from the field "text" (others: id)')


def test_other_columns_are_read_only_for_a_template() -> None:
    file = parquet({"plot": [STORY], "year": [1901], "silent": [True], "genre": [None], "cast": ["Fox"]})
    documents, _ = read(file, template="{year}{silent}{genre}{plot}")
    assert documents[0].fields == {"year": "1901", "silent": "true"}


@pytest.mark.parametrize("kind", ["list_", "large_list"])
def test_a_list_of_texts_is_joined_for_a_template(kind: str) -> None:
    genres = pa.array([["drama", "comedy"], [], None], getattr(pa, kind)(pa.string()))
    file = parquet({"genres": genres, "sizes": [[1], [2], [3]], "plot": [STORY] * 3})
    documents, account = read(file, template="{Genres}{sizes}{plot}")
    assert [document.fields for document in documents] == [{"genres": "drama, comedy"}, {"genres": ""}, {}]
    assert account.columns == ["plot", "genres"]


def test_bytes_that_are_no_utf8_in_a_list_are_a_broken_row() -> None:
    genres = pa.array([[b"\xe9t\xe9"], [b"drama"]])
    lists = pa.ListArray.from_arrays(genres.offsets, pa.Array.from_buffers(pa.string(), 2, genres.values.buffers()))
    documents, account = read(parquet({"genres": lists, "plot": [STORY] * 2}), template="{genres}{plot}")
    assert [document.fields for document in documents] == [{"genres": "drama"}]
    assert account.left_out == {"broken rows left out": 1}


def test_a_text_inside_another_column() -> None:
    file = parquet({"id": [1, 2], "data": [{"meta": {"text": STORY}, "n": 1}, None]})
    assert read(file)[0] == [Document(STORY, "a.parquet#1")]
    assert read(file, field="data.n")[0] == [Document("1", "a.parquet#1")]


def test_bytes_that_are_no_utf8_are_a_broken_row() -> None:
    column = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xe9t\xe9", b"Two."]).buffers())
    documents, account = read(parquet({"text": column}))
    assert [document.text for document in documents] == ["Two."]
    assert account.left_out == {"broken rows left out": 1}


def test_a_named_column_that_is_no_text_is_refused_with_the_others() -> None:
    assert 'it has no field "tags", only text' in refusal(parquet({"text": [STORY], "tags": [["a"]]}), field="tags")


def test_files_without_text() -> None:
    assert refusal(parquet({"tags": [["a"]], "raw": [b"a"]})) == "it has no column of texts"
    assert refusal(parquet({"text": pa.array([], pa.string())})) == "it has no row with text in it"
    assert "only numbers, ids or addresses: a, b" in refusal(parquet({"a": [1.5], "b": [2]}))


def test_damaged_files_get_a_sentence() -> None:
    whole = parquet({"text": [f"{place} {STORY}" for place in range(5_000)]}).getvalue()  # type: ignore[attr-defined]
    assert "it is damaged or no Parquet file (" in refusal(io.BytesIO(b"PAR1" + bytes(100)))
    assert "it is damaged or no Parquet file (" in refusal(io.BytesIO(whole[:-500]))
    assert "it is damaged or no Parquet file (" in refusal(io.BytesIO(whole[:100] + bytes(2_000) + whole[2_100:]))


def test_without_the_library_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"Reading .parquet files needs .* pip install 'bajka\[data\]'"):
        read(io.BytesIO(b"PAR1"))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), min_size=1),
    st.integers(1, 5),
)
def test_what_pyarrow_writes_comes_back(stories: list[str], group: int) -> None:
    columns = {"id": list(range(len(stories) + 1)), "text": [*stories, STORY]}
    documents, _ = read(parquet(columns, row_group_size=group), field="text")
    assert [document.text for document in documents] == [story for story in columns["text"] if str(story).strip()]
