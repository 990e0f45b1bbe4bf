"""TensorBoard and Weights & Biases: told what metrics.jsonl is told, offline, and never in the way."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import MissingExtraError
from bajka.watching.record import Record
from bajka.watching.trackers import Trackers
from tiny_runs import Stopped, Watcher, go_on, stop_at, tales_file, train_tiny


class Kept:
    """A tracker in memory that fails at one step."""

    name = "A tracker"

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at, self.told, self.closed = fails_at, list[tuple[int, dict[str, float]]](), False

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise OSError("no route to host")
        self.told.append((step, dict(numbers)))

    def sample(self, step: int, prompt: str, text: str) -> None:
        self.told.append((step, {prompt + text: 0.0}))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_a_tracker_is_told_losses_by_their_places_and_no_clockwork(tmp_path: Path) -> None:
    kept = Kept()
    record = Record(RunFolder(tmp_path), Trackers([kept]))
    record.metrics(3, train_loss=1.0, tokens=5, epoch=0.1, seconds=2.0, gradient_norm=0.5, share=0.1)
    record.metrics(3, **{"val_loss": 2.0, "val_loss/grimm": 3.0, "val_perplexity": float("inf")})
    record.sample(3, "Once", " upon")
    record.close()
    assert kept.told[:2] == [
        (3, {"loss/train": 1.0, "gradient_norm": 0.5}),
        (3, {"loss/validation": 2.0, "loss/grimm": 3.0}),
    ]
    assert kept.told[2] == (3, {"Once upon": 0.0})
    assert kept.closed


def test_a_tracker_that_fails_is_left_out_and_said_once(tmp_path: Path) -> None:
    said, failing, good = list[str](), Kept(fails_at=2), Kept()
    record = Record(RunFolder(tmp_path), Trackers([failing, good], say=said.append))
    for step in (1, 2, 3):
        record.metrics(step, train_loss=1.0)
    record.close()
    assert said == [
        "A tracker failed (OSError('no route to host')): the training goes on without it; metrics.jsonl has all."
    ]
    assert [step for step, _ in failing.told] == [1]
    assert [step for step, _ in good.told] == [1, 2, 3]
    assert len(RunFolder(tmp_path).metrics()) == 3


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_is_said_before_anything_begins(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"{name} = true needs .*pip install 'bajka\[{name}\]'"):
        train_tiny(tales_file(tmp_path), out=str(tmp_path / "run"), steps=1, **{name: True})


def test_a_tracker_that_cannot_begin_does_not_stop_the_training(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "run").mkdir()
    watcher = Watcher(lambda report: None)
    with pytest.raises(Stopped):
        train_tiny(tales_file(tmp_path), stop_at(1), out=str(tmp_path / "run"), steps=2, tensorboard=True)
    board = tmp_path / "run" / "tensorboard"
    for file in board.iterdir():
        file.unlink()
    board.rmdir()
    board.write_text("in the way")
    go_on(tmp_path / "run", watcher)
    assert "TensorBoard cannot begin" in watcher.text


# -- Weights & Biases, the real library, offline -------------------------------------------------------------------


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    """A run that crashed at step 6 and went on from step 4 to 9, tracked."""
    pytest.importorskip("wandb", reason="wandb is not installed: pip install 'bajka[wandb]'")
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_MODE", raising=False)
        with pytest.raises(Stopped):
            train_tiny(tales_file(folder), stop_at(6), out=str(folder / "run"), steps=9, wandb=True)
        return go_on(folder / "run")


def test_weights_and_biases_works_offline_below_the_run(resumed: bajka.Run) -> None:
    folders = [path.name for path in (resumed.path / "wandb").iterdir() if path.is_dir() and not path.is_symlink()]
    assert len(folders) == 2
    assert all(name.startswith("offline-run-") for name in folders)


def test_a_resumed_run_is_the_same_run_there(resumed: bajka.Run) -> None:
    number = (resumed.path / "wandb" / "id.txt").read_text().strip()
    files = list((resumed.path / "wandb").glob("offline-run-*/run-*.wandb"))
    assert {file.name for file in files} == {f"run-{number}.wandb"}
    assert all(file.stat().st_size > 500 for file in files)


def stored(file: Path) -> Iterator[Any]:
    """The records of a file of Weights & Biases: after seven bytes chunks of checksum, length, type, message."""
    from wandb.proto.wandb_internal_pb2 import Record as Message

    data, at = file.read_bytes(), 7
    while at + 7 <= len(data):
        _, length, _ = struct.unpack("<IHB", data[at : at + 7])
        message = Message()
        message.ParseFromString(data[at + 7 : at + 7 + length])
        at += 7 + length
        yield message


def test_weights_and_biases_gets_the_loss_of_every_step(resumed: bajka.Run) -> None:
    losses: dict[int, float] = {}
    for file in (resumed.path / "wandb").glob("offline-run-*/run-*.wandb"):
        for message in stored(file):
            for item in message.history.item:
                if list(item.nested_key) == ["loss/train"]:
                    losses[message.history.step.num] = json.loads(item.value_json)
    assert losses == {line["step"]: line["train_loss"] for line in resumed.metrics if "train_loss" in line}


def test_an_open_run_of_the_persons_own_stays_open_and_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed: pip install 'bajka[wandb]'")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    with wandb.init(mode="offline", dir=str(tmp_path), project="theirs") as theirs:
        run = train_tiny(tales_file(tmp_path), out=str(tmp_path / "run"), steps=3, wandb=True)
        theirs.log({"mine": 1.0})  # raises when it was finished
        assert theirs.id != (run.path / "wandb" / "id.txt").read_text().strip()
    [file] = (tmp_path / "wandb").glob("offline-run-*/run-*.wandb")
    keys = {tuple(item.nested_key) for message in stored(file) for item in message.history.item}
    assert ("mine",) in keys
    assert ("loss/train",) not in keys
