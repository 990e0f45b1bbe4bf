"""The same command again: a run that is there, one on other settings or changed texts, folders that are something else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import RunError
from bajka.settings import settings_with
from bajka.training.inputs import name_of
from bajka.training.life import with_more_text
from tiny_runs import EIGHT_STEPS, Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny


def test_the_same_command_says_that_a_run_is_finished_and_how_to_extend_it(texts: Path, finished: bajka.Run) -> None:
    watcher, before = Watcher(), finished.folder.metrics_file.read_bytes()
    run = train_tiny(texts, watcher, out=str(finished.path), **EIGHT_STEPS)
    assert run.path == finished.path
    assert "is finished (8 steps). Extend it: bajka train" in watcher.text
    assert "--minutes 1 (or --steps N)" in watcher.text
    assert not watcher.reports
    assert finished.folder.metrics_file.read_bytes() == before


def test_other_settings_make_a_second_run_and_say_so(texts: Path, finished: bajka.Run) -> None:
    watcher, before = Watcher(), bits(finished)
    run = train_tiny(texts, watcher, out=str(finished.path), **EIGHT_STEPS | {"steps": 1})
    assert run.path == finished.path.with_name("tales-2")
    assert watcher.lines[0] == f"{finished.path} was made with other settings or texts; this run is {run.path}."
    assert bits(finished) == before
    again = Watcher()
    train_tiny(texts, again, out=str(finished.path), **EIGHT_STEPS | {"steps": 1})
    assert f"{run.path} is finished" in again.text


def test_without_out_a_run_is_named_after_its_texts(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train_tiny(texts, steps=1).path == Path("runs/tales")
    assert {path.name.split("-")[0] for path in (tmp_path / "data").iterdir()} == {"tales"}


def test_the_command_that_made_a_run_knows_it_after_it_was_made_longer(texts: Path, finished: bajka.Run) -> None:
    go_on(finished.path, steps=6)
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(finished.path), **EIGHT_STEPS)
    assert run.path == finished.path
    assert "is finished (10 steps)" in watcher.text


def test_a_finished_run_is_left_and_a_new_one_made_when_the_texts_have_changed(tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    tales_file(texts)
    first = train_tiny(texts, out=str(tmp_path / "run"), steps=1)
    before, watcher = bits(first), Watcher()
    (texts / "more.txt").write_text("A text of its own, about the sea and a boat.\n" * 9, encoding="utf-8")
    second = train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=1)
    assert second.path == tmp_path / "run-2"
    assert watcher.lines[0] == (
        f"The texts have changed since {first.path} read them; what it learns from stays. To go on from its weights with "
        f"the texts as they are now: bajka train {first.path} --add {texts}"
    )
    assert bits(first) == before
    again = Watcher()
    assert train_tiny(texts, again, out=str(tmp_path / "run"), steps=1).path == second.path
    assert len(again.lines) == 1
    assert f"{second.path} is finished" in again.text


def test_an_unfinished_run_goes_on_with_the_texts_that_it_read_and_says_so(texts: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(texts, tmp_path / "mine.txt"))
    with pytest.raises(Stopped):
        train_tiny(mine, stop_at(6), out=str(tmp_path / "tales"), **EIGHT_STEPS)
    mine.write_text(mine.read_text(encoding="utf-8").replace("a", "o"), encoding="utf-8")  # as long as before
    by_texts, by_name = stop_at(7), Watcher()
    with pytest.raises(Stopped):
        train_tiny(mine, by_texts, out=str(tmp_path / "tales"), **EIGHT_STEPS)
    go_on(tmp_path / "tales", by_name)
    for watcher in (by_texts, by_name):
        assert (
            f"The texts have changed since {tmp_path / 'tales'} read them; what it learns from stays." in watcher.text
        )
        assert "Continuing from step 4" in watcher.text


def test_texts_that_were_only_touched_or_are_gone_have_not_changed(texts: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(texts, tmp_path / "mine.txt"))
    run = train_tiny(mine, out=str(tmp_path / "tales"), steps=1)
    os.utime(mine, ns=(1, 1))
    for change in (lambda: None, mine.unlink):
        change()
        watcher = Watcher()
        assert train_tiny(mine, watcher, out=str(tmp_path / "tales"), steps=1).path == run.path
        assert len(watcher.lines) == 1
        assert "is finished" in watcher.text


def test_what_holds_no_text_beside_the_texts_changes_nothing(tmp_path: Path) -> None:
    texts = tales_file(tmp_path / "t").parent
    run = train_tiny(texts, out=str(tmp_path / "x"), steps=1)
    (texts / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    (texts / "page.toml").write_text("[model]\nn_layer = 2\n")
    assert train_tiny(texts, out=str(tmp_path / "x"), steps=1).path == run.path


def test_changed_texts_are_looked_for_where_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    tales_file(project / "texts")
    (elsewhere / "texts").mkdir(parents=True)
    (elsewhere / "texts" / "other.txt").write_text("Something else.")
    monkeypatch.chdir(project)
    run = train_tiny("texts", steps=1)
    watcher = Watcher()
    monkeypatch.chdir(elsewhere)
    go_on(project / run.path, watcher)
    shutil.move(project, tmp_path / "moved")
    go_on(tmp_path / "moved" / run.path, watcher)
    assert "have changed" not in watcher.text
    (tmp_path / "moved" / "texts" / "more.txt").write_text("One more.")
    go_on(tmp_path / "moved" / run.path, watcher)
    assert f"--add {tmp_path / 'moved' / 'texts'}" in watcher.text


def test_a_run_made_among_its_own_texts_does_not_become_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tales_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    first, watcher = train_tiny(".", steps=1), Watcher()
    assert train_tiny(".", watcher, steps=1).path == first.path
    assert "is finished" in watcher.text
    other = train_tiny(".", steps=2)
    assert other.plan["data"]["fingerprint"] == first.plan["data"]["fingerprint"]


def test_a_run_among_texts_is_no_text(texts: Path, finished: bajka.Run) -> None:
    with pytest.raises(RunError, match=rf"is a run, not a text. With more text: bajka train \S+ --add {texts}"):
        bajka.train([str(finished.path), str(texts)], steps=1)


def test_texts_are_the_same_however_their_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = tales_file(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert train_tiny(texts.name, steps=1).path == train_tiny(texts, steps=1).path


def test_a_folder_with_and_without_a_slash_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tales_file(tmp_path / "texts")
    first = train_tiny("texts/", steps=1)  # type: ignore[arg-type]
    assert train_tiny("texts", steps=1).path == first.path  # type: ignore[arg-type]


def test_more_text_is_read_though_the_run_had_a_limit(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "runs" / "tales"), limit="10kB", steps=2)
    (tmp_path / "zebra.txt").write_text("The zebra and the quagga went to the river. " * 400)
    settings = with_more_text(run.path, [str(tmp_path / "zebra.txt")])
    assert settings.corpus.limit is None
    assert settings.corpus.texts[-1].endswith("zebra.txt")


def test_a_folder_that_is_something_else_is_refused(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(RunError, match=r"photos exists and is not a run. Choose another folder with --out."):
        train_tiny(texts, out=str(tmp_path / "photos"), steps=1)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_file_is_refused_as_a_runs_folder(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="file exists and is not a run"):
        train_tiny(texts, out=str(tmp_path / "file"), steps=1)


def test_an_empty_folder_is_used(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert train_tiny(texts, out=str(tmp_path / "run"), steps=1).path == tmp_path / "run"


HOLD = """
import sys
from pathlib import Path
from bajka.checkpoint.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_in_the_same_run_is_refused(unfinished: RunFolder) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    before = unfinished.plan_file.read_bytes()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(unfinished.path)], **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(RunError, match="Another process is training in"):
            go_on(unfinished.path)
        process.communicate("")
    assert unfinished.plan_file.read_bytes() == before


def test_a_run_on_an_archive_is_named_without_its_endings() -> None:
    assert name_of(settings_with(texts=("texts/tales.tar.gz",))) == "tales"
    assert name_of(settings_with(texts=("hf:somebody/tales:train",))) == "tales-train"


def test_a_name_that_no_settings_page_can_hold_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"n\xff.txt")
    with pytest.raises(RunError, match=r"The name n\\xff.txt is not UTF-8"):
        train_tiny(name, steps=1)
