"""The plots of the CMU Movie Summary Corpus, with and without the metadata beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bajka.formats.decoding import decoded
from bajka.formats.document import Account, Document, UnreadableError
from bajka.formats.plots import METADATA, read_plots

PLOTS = (
    '23890098\tShlykov, a taxi driver, and Lyosha, a "saxophonist".\n31186339\tThe nation of Panem.\r\n\n7\tOther.\n'
)
FILM = (
    '23890098\t/m/076w2lb\tTaxi Blues\t1990-09-07\t\t110.0\t{"/m/06b_j": "Russian Language"}\t'
    '{"/m/05vz3zq": "Soviet Union"}\t{"/m/07s9rl0": "Drama", "/m/03q4nz": "World\\u00a0cinema"}\n'
)


def read(folder: Path, plots: str = PLOTS) -> tuple[list[Document], Account]:
    path, account = folder / "plot_summaries.txt", Account()
    path.write_text(plots, encoding="utf-8", newline="")
    with path.open("rb") as file:
        text = decoded(file, account, name=path.name)
        metadata = path.with_name(METADATA)
        known = metadata.read_bytes() if metadata.is_file() else None
        documents = read_plots(text, name=path.name, account=account, metadata=known)
        return list(documents), account


def test_a_line_is_a_plot_and_the_metadata_are_asked_for(tmp_path: Path) -> None:
    documents, account = read(tmp_path)
    assert documents[0] == Document('Shlykov, a taxi driver, and Lyosha, a "saxophonist".', "plot_summaries.txt#1")
    assert documents[2].name == "plot_summaries.txt#4"
    assert account.text_field == "plot"
    assert account.note == f"put {METADATA} beside it for titles, years, genres, countries and languages"


def test_titles_and_genres_come_from_the_file_beside(tmp_path: Path) -> None:
    (tmp_path / METADATA).write_text(FILM, encoding="utf-8")
    documents, account = read(tmp_path)
    assert documents[0].fields == {
        "title": "Taxi Blues",
        "year": "1990",
        "genre": "Drama, World\u00a0cinema",
        "country": "Soviet Union",
        "language": "Russian Language",
    }
    assert documents[1].fields == {}
    assert f"titles, years, genres, countries and languages from {METADATA}" in account.note


@pytest.mark.parametrize(
    "line", [b"7\n", b"7\t\xff\t" + b"\t" * 7, b"7" + b"\t" * 8, b"7\t\t\t\t\t\t[1]\t{\t" + b"[" * 9_000, b"\xff\t\n"]
)
def test_damaged_metadata_give_no_fields(tmp_path: Path, line: bytes) -> None:
    (tmp_path / METADATA).write_bytes(line)
    assert read(tmp_path)[0][2] == Document("Other.", "plot_summaries.txt#4")


def test_lines_that_are_no_plots_are_counted(tmp_path: Path) -> None:
    documents, account = read(tmp_path, PLOTS + "no number\tOther.\n8\t \n")
    assert len(documents) == 3
    assert account.left_out == {'rows that are not "number TAB plot" left out': 1, "rows without text left out": 1}


def test_a_file_without_plots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="it has no line with a number, a tab and a plot"):
        read(tmp_path, "Once upon a time.\n")
