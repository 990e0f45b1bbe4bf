"""What counts as a document in each kind of file."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bajka.config import CorpusSettings
from bajka.corpus import Corpus, inspect_corpus, read_corpus
from bajka.corpus.page import report_page
from bajka.errors import CorpusError
from bajka.generation.output import save_texts
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text

STORY = "Once upon a time there was a small fox who could not sleep, so he counted all the stars above the hill."


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def read(*paths: Path, **wishes: Any) -> Corpus:
    return read_corpus(CorpusSettings(texts=tuple(map(str, paths)), **wishes))


def texts(corpus: Corpus) -> list[str]:
    return [document.text for document in corpus.documents]


def test_a_text_file_is_one_document_kept_to_the_last_character(tmp_path: Path) -> None:
    corpus = read(write(tmp_path / "a.txt", "  First.\n\n  Second!\n"))
    assert texts(corpus) == ["  First.\n\n  Second!\n"]
    assert corpus.documents[0].name == "a.txt"


def test_a_folder_is_walked_in_sorted_order_without_hidden_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/deep/er.text", ".hidden.txt", ".git/config.txt"):
        write(tmp_path / "tales" / name, name)
    corpus = read(tmp_path / "tales")
    assert [document.name for document in corpus.documents] == ["tales/a/deep/er.text", "tales/a/z.md", "tales/b.txt"]


def test_a_file_reached_twice_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "t" / "a.txt", STORY)
    assert len(read(tmp_path / "t", file).documents) == 1


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.txt", STORY)
    (tmp_path / "t" / "again").symlink_to(tmp_path / "t")
    (tmp_path / "t" / "broken.txt").symlink_to(tmp_path / "nowhere")
    corpus = read(tmp_path / "t")
    assert len(corpus.documents) == 1
    assert [(one.name, one.reason) for one in corpus.skipped] == [("t/broken.txt", "it is a link to nothing")]


@pytest.mark.parametrize(
    ("folder", "files", "what"),
    [
        ("runs/tales", ("config.toml", "plan.json", "samples.jsonl"), "a run of bajka"),
        ("data/tales-0123abcd", ("meta.json", "train.bin", "tokenizer.json"), "what bajka prepared"),
        ("data/tales-texts-0123abcd", ("sources.json", "texts.bin", "journal.jsonl"), "what bajka cleaned"),
        ("data/tales-0123abcd.tmp", ("journal.jsonl",), "what bajka did not finish"),
        ("exported", ("config.json", "model.safetensors", "README.md"), "a model"),
    ],
)
def test_what_bajka_made_beside_the_texts_is_no_text(
    tmp_path: Path, folder: str, files: tuple[str, ...], what: str
) -> None:
    write(tmp_path / "t" / "a.txt", STORY)
    for name in files:
        write(tmp_path / "t" / folder / name, json.dumps({"text": STORY[::-1]}) + "\n")
    corpus = read(tmp_path / "t")
    assert texts(corpus) == [STORY]
    assert [(one.name, one.reason) for one in corpus.skipped] == [(f"t/{folder}", f"it is {what}, not a text")]


def test_what_bajka_wrote_beside_the_texts_is_no_text(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    write(folder / "a.txt", STORY)
    write(folder / "report.html", report_page(inspect_corpus(read(folder)), title="t"))
    written = [Text("Once", " upon a time.", (5, 6), "length", 0, 7)]
    for name in ("three.txt", "three.jsonl", "three.csv"):
        save_texts(folder / name, written, Sampling(seed=7), model="runs/t")
    write(folder / "story.md", "# t: one prompt through time\n\n## Once\n\n| step |\n")
    corpus = read(folder)
    assert texts(corpus) == [STORY]
    assert {one.reason for one in corpus.skipped} == {"bajka wrote it"}
    assert len(corpus.skipped) == 5


@pytest.mark.parametrize("files", [("config.toml", "plan.json"), ("config.json", "model.safetensors")])
def test_a_run_or_a_model_named_as_a_text_is_refused(tmp_path: Path, files: tuple[str, ...]) -> None:
    for name in (*files, "samples.jsonl"):
        write(tmp_path / "x" / name, '{"text": "Once."}')
    with pytest.raises(CorpusError, match=r"x is a (run of bajka|model), not a text. Name files or folders of texts."):
        read(tmp_path / "x")


@pytest.mark.parametrize("name", ["~$novel.docx", "Once upon a time " * 30])
def test_a_name_that_the_system_does_not_take_is_a_sentence(name: str) -> None:
    with pytest.raises(CorpusError, match="There is no file or folder"):
        read_corpus(CorpusSettings(texts=(name,)))


def test_what_is_not_text_is_skipped_by_name_with_a_reason(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.txt", STORY)
    for name in ("b.txt.gz", "c.epub", "d.jpg", "NOTES"):
        write(tmp_path / "t" / name, b"\x1f\x8b\x08\0" if name.endswith(".gz") else b"\x1f\x8b\0\0")
    skipped = {one.name: one.reason for one in read(tmp_path / "t").skipped}
    assert "its gzip data is damaged or cut off" in skipped["t/b.txt.gz"]
    assert "it is no .epub file that can be read" in skipped["t/c.epub"]
    assert "(.jpg)" in skipped["t/d.jpg"]
    assert skipped["t/NOTES"] == "it is no text"


def test_a_file_named_itself_is_text_whatever_its_ending(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path / "mybook", STORY))) == [STORY]


def test_newlines_become_one_kind_and_marks_are_removed(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path / "a.txt", "\ufeffone\r\ntwo\rthree\n\x1a"))) == ["one\ntwo\nthree\n"]


def test_one_document_a_line(tmp_path: Path) -> None:
    corpus = read(write(tmp_path / "a.txt", "one\n\n two \nthree\u2028same line"), documents="line")
    assert texts(corpus) == ["one", "two", "three\nsame line"]
    assert [document.name for document in corpus.documents] == ["a.txt#1", "a.txt#3", "a.txt#4"]


def test_end_of_text_lines_are_recognised(tmp_path: Path) -> None:
    text = "\nOne.\nMore.\n<|endoftext|>\nTwo.\n<|endoftext|>\n"
    corpus = read(write(tmp_path / "a.txt", text))
    assert texts(corpus) == ["One.\nMore.", "Two."]
    assert "<|endoftext|>" in corpus.files[0].note


def test_a_marker_inside_a_line_stays_text(tmp_path: Path) -> None:
    text = "He wrote <|endoftext|> and <|endoftext|> on the wall.\n<|endoftext|>\n"
    assert texts(read(write(tmp_path / "a.txt", text))) == [text]


def test_a_marker_of_ones_own(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "one\n---\ntwo")
    assert texts(read(file, documents="marker", marker="---")) == ["one", "two"]
    assert read(file, documents="marker").files[0].note == 'no line is "<|endoftext|>", so it is one document'
    assert texts(read(file, documents="file", marker="---")) == ["one\n---\ntwo"]


def test_jsonl_takes_the_field_that_is_plainly_the_text(tmp_path: Path) -> None:
    lines = [json.dumps({"id": i, "story": f"{STORY} {i}", "tags": ["x"]}) for i in range(3)]
    corpus = read(write(tmp_path / "a.jsonl", "\n".join(lines) + "\n\n"))
    assert texts(corpus) == [f"{STORY} {i}" for i in range(3)]
    assert corpus.documents[1].fields == {"id": "1"}
    assert corpus.files[0].note == 'text from the field "story" (others: id)'


@pytest.mark.parametrize(
    "value",
    [[{"text": STORY}], [STORY], {"version": 1, "data": [{"text": STORY}]}],
    ids=["records", "strings", "one list in an object"],
)
def test_json_lists(tmp_path: Path, value: object) -> None:
    assert texts(read(write(tmp_path / "a.json", json.dumps(value)))) == [STORY]


def test_a_jsonl_that_is_called_json_and_the_reverse(tmp_path: Path) -> None:
    fox, owl = json.dumps({"text": STORY}), json.dumps({"text": "Once there was an owl."})
    assert len(read(write(tmp_path / "a.json", f"{fox}\n{owl}\n")).documents) == 2
    assert len(read(write(tmp_path / "b.jsonl", f"[{fox},\n{owl}]")).documents) == 2


def test_the_field_can_be_chosen(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", json.dumps({"text": STORY, "title": "The fox"}))
    assert texts(read(file, field="title")) == ["The fox"]


def test_a_record_that_utf8_cannot_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", f'{{"text": "half \\ud83d"}}\n{{"text": "{STORY}"}}\n{{"text": ""}}')
    corpus = read(file)
    assert texts(corpus) == [STORY]
    assert corpus.files[0].note.endswith("broken rows left out: 1; rows without text left out: 1")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"])
def test_the_delimiter_of_a_table_is_found(tmp_path: Path, delimiter: str) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerows(
            [["Year", "Title", "Plot"], *([1901 + i, "Fox, or; not", f"{STORY}, {i}; | {i}"] for i in range(3))]
        )
    assert texts(read(tmp_path / "a.csv")) == [f"{STORY}, {i}; | {i}" for i in range(3)]


def test_a_table_with_quoted_newlines_empty_rows_and_an_enormous_field(tmp_path: Path) -> None:
    long = "word " * 40_000 + "end"
    table = f'Title,Plot\r\nA,"He said ""no"".\r\nThen left."\r\n,\r\n,\r\nB,"{long}"\r\n'
    before = csv.field_size_limit()
    corpus = read(write(tmp_path / "a.csv", table))
    assert texts(corpus) == ['He said "no".\nThen left.', long]
    assert [document.name for document in corpus.documents] == ["a.csv#1", "a.csv#4"]
    assert "rows without text left out: 2" in corpus.files[0].note
    assert csv.field_size_limit() == before


def test_rows_with_too_many_values_are_left_out_and_counted(tmp_path: Path) -> None:
    corpus = read(write(tmp_path / "a.csv", f'id,text\n1,"{STORY}"\n2,never, cut\n3,"An owl.",,\n'))
    assert texts(corpus) == [STORY, "An owl."]
    assert corpus.files[0].note.endswith("rows with too many values left out: 1")


def test_a_table_of_one_column_is_the_text(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path / "a.csv", "lines\nhello, you\nagain"))) == ["hello, you", "again"]


def test_a_much_longer_column_is_the_text_without_a_usual_name(tmp_path: Path) -> None:
    other = "An owl in a hollow oak heard him count, and said that nobody had ever come further than to nine hundred."
    table = f'id,who,what it says\n1,fox,"{STORY}"\n2,owl,"{other}"\n'
    assert texts(read(write(tmp_path / "a.csv", table))) == [STORY, other]


def test_a_table_without_text_among_texts_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.txt", STORY)
    write(tmp_path / "t" / "info.csv", "name,year\nThe Fox,1901\nThe Owl,1902\n")
    corpus = read(tmp_path / "t")
    assert [one.name for one in corpus.skipped] == ["t/info.csv"]
    assert "no column is plainly the text: choose one with --column (name, year)" in corpus.skipped[0].reason


def test_bytes_and_letters_of_the_cleaned_text(tmp_path: Path) -> None:
    corpus = read(write(tmp_path / "a.txt", "Šuma 7!\r\n"))
    assert (corpus.bytes, corpus.letters) == (9, 4)


def test_plots_in_an_archive_find_their_metadata_there(tmp_path: Path) -> None:
    film = (
        '7\t/m/0\tTaxi Blues\t1990-09-07\t\t110.0\t{"/m/1": "Russian"}\t{"/m/2": "Soviet Union"}\t{"/m/3": "Drama"}\n'
    )
    with tarfile.open(tmp_path / "MovieSummaries.tar.gz", "w:gz") as archive:
        for name, content in (
            ("README.txt", "About the data."),
            ("plot_summaries.txt", "7\tA taxi driver and a saxophonist.\n"),
            ("tvtropes.clusters.txt", "hero\t{}\n"),
            ("movie.metadata.tsv", film),
        ):
            info = tarfile.TarInfo(f"MovieSummaries/{name}")
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    corpus = read(tmp_path / "MovieSummaries.tar.gz")
    (document,) = corpus.documents
    assert document.text == "A taxi driver and a saxophonist."
    assert document.fields["title"] == "Taxi Blues"
    assert document.fields["genre"] == "Drama"
    assert len(corpus.skipped) == 3
