"""Each thing that people get wrong gets a sentence, its exit code, and leaves nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Bajka, prepared_in, story

ROOT_CAN_WRITE_ANYWHERE = hasattr(os, "geteuid") and os.geteuid() == 0


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file to train on."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


BAD_TEXTS = [
    ("empty.txt", b"", "empty"),
    ("blank.txt", b" \n\t \n ", "white space"),
    ("binary.txt", bytes(range(256)) * 20, "binary"),
    ("odd.txt", "Żółć i jaźń. ".encode() * 50 + b"\xff\xfe\xfd" + "Żółć i jaźń. ".encode() * 50, "byte"),
    ("small.txt", b"Too short a text for anything at all.", "tokens"),
]


@pytest.mark.parametrize(("name", "content", "word"), BAD_TEXTS, ids=[name for name, _, _ in BAD_TEXTS])
def test_a_text_that_cannot_be_learnt_from_is_named_with_the_reason(
    bajka: Bajka, tmp_path: Path, name: str, content: bytes, word: str
) -> None:
    result = bajka("train", write(tmp_path, name, content), "--steps", "2")
    assert result.code == 2
    assert word in result.err
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir())


def test_a_missing_path_is_named(bajka: Bajka, tmp_path: Path) -> None:
    write(tmp_path, "tales.txt", "x")
    result = bajka("train", tmp_path / "tale.txt")
    assert result.code == 2
    assert "tale.txt" in result.err
    assert "tales.txt" in result.err


def test_an_empty_folder_is_named(bajka: Bajka, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    result = bajka("train", tmp_path / "nothing")
    assert result.code == 2
    assert "nothing" in result.err


def test_no_texts_at_all_says_what_to_type(bajka: Bajka) -> None:
    result = bajka("train")
    assert result.code == 2
    assert "bajka train path/to/texts" in result.err


def test_a_text_too_small_for_one_window_says_the_numbers(bajka: Bajka, tmp_path: Path) -> None:
    result = bajka("train", write(tmp_path, "one.txt", "A small text. " * 20), "--steps", "2")
    assert result.code == 2
    assert "one window needs 33" in result.err


def test_a_validation_side_without_enough_tokens_is_refused(bajka: Bajka, tmp_path: Path) -> None:
    long, short = story(1) * 200, "End."
    write(tmp_path, "t/a.txt", long)
    write(tmp_path, "t/b.txt", short)
    result = bajka("train", tmp_path / "t", "--split", "characters", "--validation-share", "0.0005", "--steps", "2")
    assert result.code == 2
    assert "validation text" in result.err


def test_heads_that_do_not_divide_the_width_get_the_nearest_good_numbers(bajka: Bajka, texts: Path) -> None:
    result = bajka("train", texts, "--n-embd", "100", "--n-head", "3", "--steps", "2")
    assert result.code == 2
    assert "n_head = 3 does not divide n_embd = 100" in result.err
    assert "n_embd = 102" in result.err


def test_an_unknown_flag_is_answered_with_the_nearest(bajka: Bajka) -> None:
    result = bajka("train", "x", "--n-layr", "3")
    assert result.code == 2
    assert "--n-layer" in result.err


@pytest.mark.parametrize(("theirs", "ours"), [("--block_size=64", "--context-length"), ("--init-from=gpt2", "--from ")])
def test_names_of_other_tools_are_answered_with_ours(bajka: Bajka, theirs: str, ours: str) -> None:
    result = bajka("train", "x", theirs)
    assert result.code == 2
    assert ours in result.err


def test_an_ill_typed_flag_is_named(bajka: Bajka) -> None:
    result = bajka("train", "x", "--n-layer", "many")
    assert result.code == 2
    assert "--n-layer" in result.err


def test_all_problems_of_a_page_are_told_at_once(bajka: Bajka, tmp_path: Path) -> None:
    page = write(tmp_path, "page.toml", '[model]\nn_layer = "many"\ndropout = 2.0\n[schedule]\nminuts = 3\n')
    result = bajka("train", page)
    assert result.code == 2
    for word in ("n_layer", "dropout", "minuts", "minutes"):
        assert word in result.err


def test_a_page_that_is_no_toml_names_the_line(bajka: Bajka, tmp_path: Path) -> None:
    result = bajka("train", write(tmp_path, "page.toml", "[model\nn_layer = 3\n"))
    assert result.code == 2
    assert "line 1" in result.err


def test_top_k_beyond_the_vocabulary_is_lowered_and_said(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run, "The fox", "--top-k", "100000", "--max-new-tokens", "3")
    assert result.code == 0
    assert "top_k = 100000" in result.err
    assert "300" in result.err


def test_a_negative_temperature_is_refused(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run, "The fox", "--temperature", "-1")
    assert result.code == 2
    assert "temperature = -1" in result.err


@pytest.mark.parametrize("command", ["generate", "evaluate", "studio"])
def test_a_folder_that_is_no_run_is_named(bajka: Bajka, tmp_path: Path, command: str) -> None:
    (tmp_path / "holiday").mkdir()
    result = bajka(command, tmp_path / "holiday")
    assert result.code == 2
    assert "no run" in result.err


def test_a_run_that_is_not_there_names_those_that_are(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run.parent / "foxen", "The fox")
    assert result.code == 2
    assert "foxes" in result.err


def test_a_tokenizer_that_does_not_match_the_data_is_refused(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    assert bajka("prepare", texts, "--vocab-size", "300", "--out", tmp_path / "data").code == 0
    prepared = prepared_in(tmp_path / "data")
    other = write(tmp_path, "other.txt", "Quite another text about whales and ships. " * 400)
    assert bajka("prepare", other, "--vocab-size", "300", "--out", tmp_path / "other").code == 0
    tokenizer = prepared_in(tmp_path / "other") / "tokenizer.json"
    result = bajka("train", prepared, "--tokenizer", tokenizer, "--steps", "2")
    assert result.code == 2
    assert "tokenizer" in result.err


def test_an_output_of_an_unknown_kind_is_refused_before_the_work(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run, "The fox", "--output", "three.docx")
    assert result.code == 2
    assert ".txt, .jsonl, .csv" in result.err


def test_an_output_whose_folder_is_a_file_is_a_sentence(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    write(tmp_path, "file", "x")
    result = bajka(
        "generate", tiny_run, "The fox", "--max-new-tokens", "3", "--output", tmp_path / "file" / "three.txt"
    )
    assert result.code == 3
    assert "three.txt" in result.err


@pytest.mark.skipif(ROOT_CAN_WRITE_ANYWHERE, reason="the superuser may write anywhere")
def test_an_unwritable_output_path_is_a_sentence(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    result = bajka("generate", tiny_run, "The fox", "--max-new-tokens", "3", "--output", locked / "three.txt")
    assert result.code == 3
    assert "permission" in result.err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_is_a_sentence_and_the_run_is_intact(tiny_run: Path, tmp_path: Path) -> None:
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from bajka.cli.main import main; main(sys.argv[1:])"
    )
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = {p: p.read_bytes() for p in (run / "checkpoints").rglob("*.safetensors")}
    command = [sys.executable, "-c", limited, "train", str(run), "--steps", "5"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 3, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("n", ["0", "-3"])
def test_no_texts_asked_for_is_refused(bajka: Bajka, tiny_run: Path, n: str) -> None:
    result = bajka("generate", tiny_run, "The fox", "-n", n)
    assert result.code == 2
    assert "at least 1" in result.err


def test_a_csv_without_an_evident_column_asks_for_one(bajka: Bajka, tmp_path: Path) -> None:
    rows = "\n".join(f"{story(n)};{story(n + 1)}" for n in range(50))
    result = bajka("train", write(tmp_path, "t.csv", "left;right\n" + rows))
    assert result.code == 2
    assert "--column" in result.err


def test_the_same_output_page_is_not_overwritten(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    page = write(tmp_path, "page.toml", "")
    result = bajka("plan", texts, "-o", page)
    assert result.code == 2
    assert "exists" in result.err


def test_inspect_says_what_was_skipped_and_why(bajka: Bajka, tmp_path: Path) -> None:
    write(tmp_path, "t/good.txt", "\n\n".join(story(n) for n in range(300)))
    write(tmp_path, "t/bad.txt", bytes(range(256)) * 4)
    write(tmp_path, "t/picture.png", b"\x89PNG\r\n\x1a\n")
    result = bajka("inspect", tmp_path / "t", "--json")
    assert result.code == 0
    skipped = {one["name"].rpartition("/")[2]: one["reason"] for one in json.loads(result.out)["skipped"]}
    assert set(skipped) == {"bad.txt", "picture.png"}
    assert "binary" in skipped["bad.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("command", [["inspect"], ["prepare", "--tokenizer", "bytes"]], ids=["inspect", "prepare"])
def test_a_path_that_is_no_utf8_is_read_and_shown(bajka: Bajka, tmp_path: Path, command: list[str]) -> None:
    path = write(tmp_path, os.fsdecode(b"n\xff.txt"), "\n\n".join(story(n) for n in range(200)))
    result = bajka(*command, path)
    assert result.code == 0, result.err
    (told,) = tmp_path.glob("report.html") if command == ["inspect"] else tmp_path.glob("data/*/meta.json")
    assert r"n\xff.txt" in told.read_text(encoding="utf-8").replace("\\\\", "\\")


def test_a_second_process_in_the_same_run_is_refused(bajka: Bajka, tiny_run: Path) -> None:
    holder = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tiny_run / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        result = bajka("train", tiny_run, "--steps", "5")
    finally:
        process.kill()
        process.wait()
    assert result.code == 2
    assert "Another process" in result.err


def test_texts_and_a_page_together_are_refused(bajka: Bajka, tmp_path: Path) -> None:
    page = write(tmp_path, "page.toml", "")
    assert bajka("train", page, "x.txt").code == 2
