"""The run folder: opening, locking, its small files, and logs that a crash cut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder, json_line, read_lines
from bajka.errors import DamagedFileError, DiskError, RunError, SettingsError
from bajka.settings import settings_with


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "alice")
    folder.write_settings(settings_with(texts=("alice.txt",), learning_rate=3e-4, prompts=("Ana je rekla: »Da«",)))
    return folder


def test_settings_come_back_as_they_were(run: RunFolder) -> None:
    settings = RunFolder.open(run.path).settings
    assert settings == settings_with(texts=("alice.txt",), learning_rate=3e-4, prompts=("Ana je rekla: »Da«",))


def test_a_missing_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"There is no run .*nowhere. `bajka train TEXTS` makes one."):
        RunFolder.open(tmp_path / "nowhere")


def test_a_folder_without_settings_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run: it has no config.toml"):
        RunFolder.open(tmp_path)


def test_settings_that_were_spoilt_are_named(run: RunFolder) -> None:
    run.config_file.write_text("[corpus\n")
    with pytest.raises(SettingsError, match=r"config.toml is not valid TOML"):
        _ = run.settings


@pytest.mark.parametrize("content", ["{", "", "[1, 2]", "5", "null"])
def test_a_damaged_plan_is_an_error(run: RunFolder, content: str) -> None:
    run.plan_file.write_text(content)
    with pytest.raises(DamagedFileError, match=r"plan.json cannot be read .*the run cannot be continued"):
        _ = run.plan


def test_a_pointer_comes_back_and_a_missing_or_damaged_one_is_none(run: RunFolder) -> None:
    run.write_pointer("best", checkpoint="step-000001", val_loss=1.5)
    assert run.read_pointer("best") == {"checkpoint": "step-000001", "val_loss": 1.5}
    assert run.read_pointer("last") is None
    (run.checkpoints / "best.json").write_text('["step-000001"]')
    assert run.read_pointer("best") is None


# -- the lock ----------------------------------------------------------------------------------------------------

HOLD = """
import sys
from pathlib import Path
from bajka.checkpoint.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def holding(run: RunFolder) -> subprocess.Popen[str]:
    """A process that holds the run's lock until its standard input ends."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.path)], **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_process_is_refused_until_the_first_one_ends(run: RunFolder) -> None:
    with holding(run) as process:
        with (
            pytest.raises(RunError, match=r"Another process is training in .*alice. Wait for it, stop it, or choose"),
            run.lock(),
        ):
            pass
        process.communicate("")
    with run.lock():
        pass


def test_the_lock_of_a_killed_process_is_free(run: RunFolder) -> None:
    with holding(run) as process:
        process.kill()
    with run.lock():
        pass


def test_the_lock_of_a_run_that_came_to_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path / "runs" / "new").lock():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with RunFolder(tmp_path / "mine").lock():
        pass
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_what_somebody_put_into_the_folder_meanwhile_stays(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "new"
    with RunFolder(folder).lock():
        (folder / "note.txt").write_text("mine")
    assert [path.name for path in folder.iterdir()] == ["note.txt"]


def test_a_run_that_exists_keeps_its_folder(run: RunFolder) -> None:
    with run.lock():
        pass
    assert run.config_file.is_file()


def test_a_place_where_no_folder_can_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(DiskError, match="something of another kind already has that name"),
        RunFolder(tmp_path / "file" / "run").lock(),
    ):
        pass


# -- logs --------------------------------------------------------------------------------------------------------


def write_metrics(run: RunFolder, *steps: int) -> None:
    durable.write_text(run.metrics_file, "".join(json_line({"step": step}) for step in steps))


def steps_in(path: Path) -> list[int]:
    return [line["step"] for line in read_lines(path)]


def test_a_missing_log_is_empty(run: RunFolder) -> None:
    assert run.metrics() == run.samples() == []


def test_a_last_line_that_a_crash_cut_is_skipped(run: RunFolder) -> None:
    run.metrics_file.write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "train_lo')
    assert steps_in(run.metrics_file) == [1, 2]


def test_a_line_after_a_cut_one_is_not_lost_with_it(run: RunFolder) -> None:
    run.metrics_file.write_text('{"step": 1}\n{"step": 2, "train_lo')
    run.forget_after(1)
    durable.append_line(run.metrics_file, json_line({"step": 2}))
    assert run.metrics_file.read_text() == '{"step": 1}\n{"step": 2}\n'


@pytest.mark.parametrize("letter", ["\u2028", "\u2029", "\x85", "\x0c", "\x1c"])
def test_a_sample_with_a_rare_line_separator_stays_one_line(run: RunFolder, letter: str) -> None:
    durable.append_line(run.samples_file, json_line({"step": 0, "text": f"a{letter}b"}))
    assert run.samples() == [{"step": 0, "text": f"a{letter}b"}]


def test_lines_beyond_a_step_are_moved_and_not_lost(run: RunFolder) -> None:
    write_metrics(run, 1, 2, 3, 4)
    run.forget_after(2)
    assert steps_in(run.metrics_file) == [1, 2]
    assert steps_in(run.path / "metrics-dropped.jsonl") == [3, 4]
    write_metrics(run, 1, 2, 3)
    run.forget_after(2)
    assert steps_in(run.path / "metrics-dropped.jsonl") == [3, 4, 3]


@pytest.mark.parametrize(("evaluated", "kept"), [(True, [2, 4]), (False, [2])])
def test_samples_of_an_evaluation_that_is_done_again_are_forgotten(
    run: RunFolder, evaluated: bool, kept: list[int]
) -> None:
    write_metrics(run, 1, 2, 3, 4)
    if evaluated:
        durable.append_line(run.metrics_file, json_line({"step": 4, "val_loss": 2.0}))
    for step in (2, 4):
        durable.append_line(run.samples_file, json_line({"step": step, "text": "Once"}))
    run.forget_after(4)
    assert steps_in(run.samples_file) == kept


def test_a_log_with_nothing_to_forget_is_not_touched(run: RunFolder) -> None:
    write_metrics(run, 1, 2)
    before = run.metrics_file.stat().st_ino
    run.forget_after(5)
    assert run.metrics_file.stat().st_ino == before
    assert not (run.path / "metrics-dropped.jsonl").exists()


def test_letters_of_every_script_stay_readable_in_a_log() -> None:
    assert json_line({"text": "Жила-была čaša"}) == json.dumps({"text": "Жила-была čaša"}, ensure_ascii=False) + "\n"


def test_a_run_that_still_reads_its_texts_is_said_to(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with pytest.raises(RunError, match="its texts are still being read"):
        RunFolder.open(tmp_path)


def test_prepared_data_is_found_where_it_was_or_where_it_moved_with_the_run(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "runs" / "tales")
    there, moved = tmp_path / "elsewhere" / "tales-1", tmp_path / "data" / "tales-1"
    assert run.data_at(there) == there
    moved.mkdir(parents=True)
    assert run.data_at(there) == moved
    there.mkdir(parents=True)
    assert run.data_at(there) == there
