"""What a person types, from texts to written texts, with a tiny model."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import TINY, Bajka, prepared_in

from bajka.cli.main import FIRST, SECOND


def test_help_names_every_command_in_its_block(bajka: Bajka) -> None:
    first, second = bajka("--help").out.split("\n\n")[-2:]
    assert all(f"  {name} " in first for name in FIRST)
    assert all(f"  {name} " in second for name in SECOND)


@pytest.mark.parametrize("command", [*FIRST, *SECOND])
def test_every_command_explains_itself(bajka: Bajka, command: str) -> None:
    result = bajka(command, "--help")
    assert result.code == 0
    assert f"usage: bajka {command}" in result.out


QUICK = {
    "help": ["--help"],
    "a command's help": ["train", "--help"],
    "a typo": ["train", "x", "--n-layr", "3"],
    "an unknown command": ["trian"],
    "a page with problems": ["train", "page.toml"],
}


@pytest.mark.parametrize("arguments", QUICK.values(), ids=QUICK)
def test_torch_is_not_imported_for(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.toml").write_text("[model]\nn_layer = -1\n", encoding="utf-8")
    look = "import sys; from bajka.cli.main import run\ntry: run(sys.argv[1:])\nexcept SystemExit: pass\n"
    look += "sys.exit(f'{sorted(sys.modules)}' if 'torch' in sys.modules else 0)"
    result = subprocess.run([sys.executable, "-c", look, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


BUSY = """
import sys, threading, time, torch
def compute():
    while True:
        torch.randn(8, 8).add_(1).unbind(0)
for _ in range(4):
    threading.Thread(target=compute, daemon=True).start()
time.sleep(0.1)
if sys.argv[1:]:
    from bajka.cli.main import main
    main()
"""


@pytest.mark.parametrize(("command", "code"), [("--version", 0), ("trian", 2)])
def test_a_command_ends_with_its_code_though_a_thread_still_computes(command: str, code: int) -> None:
    result = subprocess.run([sys.executable, "-c", BUSY, command], capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    assert result.stdout.startswith("bajka ") == (code == 0)


def test_the_same_command_again_says_that_it_is_finished_and_how_to_go_on(bajka: Bajka, texts: Path) -> None:
    command = ["train", texts, "--steps", "3", *TINY]
    assert bajka(*command).code == 0
    result = bajka(*command)
    assert result.code == 0
    assert "is finished (3 steps)" in result.out
    assert re.search(r"bajka train \S+ --minutes \d+ \(or --steps N\)", result.out)


def test_other_settings_make_another_run_and_say_so(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    assert bajka("train", texts, "--steps", "2", *TINY).code == 0
    result = bajka("train", texts, "--steps", "3", *TINY)
    assert result.code == 0
    assert f"this run is {Path('runs') / (texts.name + '-2')}" in result.out
    assert (tmp_path / "runs" / f"{texts.name}-2" / "model" / "model.safetensors").is_file()


def test_a_plan_is_written_as_a_page_that_trains(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    planned = bajka("plan", texts, "--steps", "4", *TINY, "-o", "foxes.toml")
    assert planned.code == 0
    page = (tmp_path / "foxes.toml").read_text(encoding="utf-8")
    assert tomllib.loads(page)["schedule"]["steps"] == 4
    assert "# learning_rate = " in page
    assert bajka("train", "foxes.toml", "--learning-rate", "3e-3").code == 0
    plan = json.loads((tmp_path / "runs" / "foxes" / "plan.json").read_text(encoding="utf-8"))["plan"]
    assert plan["recipe"]["learning_rate"] == 3e-3
    assert plan["model"]["n_embd"] == 32


def test_a_plan_writes_nothing_unasked(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    assert bajka("plan", texts, "--minutes", "2").code == 0
    assert list(tmp_path.iterdir()) == []


def test_generate_shows_one_text_as_it_is_written(bajka: Bajka, tiny_run: Path) -> None:
    first = bajka("generate", tiny_run, "The fox", "--seed", "1", "--max-new-tokens", "8")
    again = bajka("generate", tiny_run, "The fox", "--seed", "1", "--max-new-tokens", "8")
    assert first.code == 0
    assert first.out.startswith("The fox")
    assert first.out == again.out


def test_generate_draws_a_seed_and_tells_it(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run, "The fox", "--max-new-tokens", "4")
    seed = result.err.partition("(seed ")[2].partition(",")[0]
    assert bajka("generate", tiny_run, "The fox", "--max-new-tokens", "4", "--seed", seed).out == result.out


@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv"])
def test_generate_writes_many_texts_to_a_file(bajka: Bajka, tiny_run: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "prompts.txt").write_text("The fox\nA hare\n", encoding="utf-8")
    options = ["--prompts-file", "prompts.txt", "-n", "2", "--top-k", "50", "--max-new-tokens", "5", "--seed", "3"]
    assert bajka("generate", tiny_run, *options, "--output", f"all.{kind}").code == 0
    content = (tmp_path / f"all.{kind}").read_text(encoding="utf-8")
    match kind:
        case "txt":
            assert content.count("The fox") == 2
            assert "seed 3" in content
        case "jsonl":
            # not splitlines(), which also ends a line at U+0085
            rows = [json.loads(line) for line in io.StringIO(content)]
            assert [row["prompt"] for row in rows] == ["The fox", "The fox", "A hare", "A hare"]
            assert {row["seed"] for row in rows} == {3}
        case "csv":
            rows = list(csv.DictReader(io.StringIO(content)))
            assert len({row["text"] for row in rows}) > 1
            assert {row["top_k"] for row in rows} == {"50"}


def test_evaluate_gives_the_numbers_of_the_run_and_of_other_texts(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    own = json.loads(bajka("evaluate", tiny_run, "--json").out)
    assert own["bits_per_byte"] > 0
    (tmp_path / "new.txt").write_text("The fox went to the river. " * 30, encoding="utf-8")
    other = json.loads(bajka("evaluate", tiny_run, "new.txt", "--json").out)
    assert other["tokens"] != own["tokens"]
    assert "bits per letter" in bajka("evaluate", tiny_run).out


def test_evaluate_shows_the_judges_numbers_side_by_side(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("evaluate", tiny_run, "--judge", tiny_run / "model", "-n", "2")
    assert result.code == 0
    assert "written" in result.out
    assert "real" in result.out


def test_export_writes_a_folder_that_generates_the_same(bajka: Bajka, tiny_run: Path) -> None:
    assert bajka("export", tiny_run, "-o", "fox-model").code == 0
    options = ["The fox", "--seed", "5", "--max-new-tokens", "6"]
    assert bajka("generate", "./fox-model", *options).out == bajka("generate", tiny_run, *options).out


def test_share_dry_run_shows_the_files_and_never_the_texts(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("share", tiny_run, "somebody/foxes", "--dry-run")
    assert result.code == 0
    assert "model.safetensors" in result.out
    assert "train.bin" not in result.out


def test_prepare_makes_files_that_train_takes(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    assert bajka("prepare", texts, "--vocab-size", "300").code == 0
    prepared = prepared_in(tmp_path / "data")
    assert (prepared / "train.bin").is_file()
    shape = [word for word in TINY if word not in ("--vocab-size", "300")]
    assert bajka("train", prepared, "--steps", "2", *shape).code == 0


def test_inspect_shows_what_the_texts_are(bajka: Bajka, texts: Path) -> None:
    shown, told = bajka("inspect", texts), json.loads(bajka("inspect", texts, "--json").out)
    assert told["documents"] == 1
    assert told["scripts"] == {"Latin": 1.0}
    assert "Latin 100.0%" in shown.out
    assert "utf-8" in shown.out


def test_watch_shows_how_a_run_stands(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("watch", tiny_run, "--once")
    assert result.code == 0
    assert "step 10" in result.out
    assert f"Write with it: bajka generate {tiny_run}" in result.out


def test_watch_ends_well_with_control_c(bajka: Bajka, tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    monkeypatch.setattr("bajka.watching.watch.condition_of", lambda run: "training")
    assert bajka("watch", tiny_run).code == 0


def test_watch_tells_the_story_of_each_prompt(bajka: Bajka, tiny_run: Path) -> None:
    out = bajka("watch", tiny_run, "--story").out
    assert out.startswith(f"# {tiny_run.name}: one prompt through time")
    assert "| 0 | 0.00 | " in out


def test_watch_of_no_run_is_a_sentence(bajka: Bajka) -> None:
    result = bajka("watch", "runs/nowhere")
    assert result.code == 2
    assert "There is no run runs/nowhere" in result.err
