"""Written texts as files: every letter comes back, and with it how it was made."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bajka.errors import DiskError, SettingsError
from bajka.generation.output import check_output, save_texts
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text

AWKWARD = 'Лиса рече: "Ne!", a\nonda;\r\n\u2028 🦊\t'
TEXTS = [
    Text("Жила ", AWKWARD, (1, 2, 3), "stop", 0, 7),
    Text("", "The end.", (4,), "length", 1, 7),
]
SAMPLING = Sampling(max_new_tokens=30, temperature=0.5, top_k=9, stop=("КРАЈ", "\n\n"), seed=7)


def saved(path: Path) -> str:
    save_texts(path, TEXTS, SAMPLING, model="runs/alice")
    return path.read_bytes().decode("utf-8")


def test_jsonl_holds_text_seed_and_settings(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in saved(tmp_path / "a.jsonl").removesuffix("\n").split("\n")]
    assert [(row["prompt"], row["text"], row["reason"], row["tokens"], row["number"]) for row in rows] == [
        ("Жила ", AWKWARD, "stop", 3, 0),
        ("", "The end.", "length", 1, 1),
    ]
    for row in rows:
        assert (row["model"], row["seed"], row["temperature"], row["top_k"]) == ("runs/alice", 7, 0.5, 9)
        assert (row["top_p"], row["stop"]) == (None, ["КРАЈ", "\n\n"])


def test_csv_holds_text_seed_and_settings(tmp_path: Path) -> None:
    saved(tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["prompt"], row["text"]) for row in rows] == [("Жила ", AWKWARD), ("", "The end.")]
    for row in rows:
        assert (row["model"], row["seed"], row["temperature"], row["top_k"]) == ("runs/alice", "7", "0.5", "9")
        assert (row["top_p"], json.loads(row["stop"])) == ("", ["КРАЈ", "\n\n"])


def test_txt_is_to_be_read_and_ends_with_seed_and_settings(tmp_path: Path) -> None:
    body, second, facts = saved(tmp_path / "a.txt").split("\n\n---\n\n")
    assert (body, second) == ("Жила " + AWKWARD, "The end.")
    assert facts.startswith("Written by runs/alice with max_new_tokens 30, temperature 0.5, top_k 9")
    assert "seed 7" in facts


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_no_texts_are_a_file_all_the_same(name: str, tmp_path: Path) -> None:
    save_texts(tmp_path / name, [], SAMPLING, model="m")
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_an_old_file_of_ours_is_replaced_and_no_other(name: str, tmp_path: Path) -> None:
    save_texts(tmp_path / name, [replace(TEXTS[0], text="old")], SAMPLING, model="m")
    assert "old" not in saved(tmp_path / name)
    assert len(list(tmp_path.iterdir())) == 1
    for own in ("My diary.\nMonday.\n", "My diary.\n\n---\n\nWritten by Ana, spring 2026.\n"):
        (tmp_path / name).write_text(own)
        with pytest.raises(SettingsError, match="was not written by bajka generate"):
            saved(tmp_path / name)
        assert (tmp_path / name).read_text() == own


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
def test_fields_are_kept_with_the_texts(name: str, tmp_path: Path) -> None:
    save_texts(tmp_path / name, TEXTS, SAMPLING, model="m", fields={"title": "The Iron Fox"})
    assert "The Iron Fox" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_yet_is_made_before_the_work(tmp_path: Path) -> None:
    check_output(tmp_path / "new" / "a.txt")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("name", ["a.pdf", "a", "a.json"])
def test_other_kinds_are_refused_before_the_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"the name must end in \.txt, \.jsonl, \.csv"):
        check_output(tmp_path / name)


def test_a_folder_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(SettingsError, match="is a folder: give the name of a file"):
        check_output(tmp_path / "a.txt")


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"Could not write .*a\.txt"):
        save_texts(tmp_path / "file" / "a.txt", TEXTS, SAMPLING, model="m")
