"""Averages of the weights: equal to a computation in float64, exact through a checkpoint, and the model when better."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bajka.errors import DamagedFileError
from bajka.planning.recipe import AveragePlan
from bajka.training.average import Average
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


def average(kind: Literal["ema", "epochs"], *, decay: float = 0.9, epochs: int = 3) -> Average:
    return Average(AveragePlan(kind, decay, epochs))


def walk(model: nn.Module, steps: int) -> list[torch.Tensor]:
    """The weights after each of some random moves."""
    draw, seen = torch.Generator().manual_seed(3), []
    for _ in range(steps):
        with torch.no_grad():
            for p in model.parameters():
                p += torch.randn(p.shape, generator=draw)
        seen.append(next(iter(model.parameters())).detach().double().clone())
    return seen


def followed(mine: Average, steps: int, *, steps_an_epoch: int = 4) -> tuple[nn.Module, list[torch.Tensor]]:
    model, seen = nn.Linear(3, 2), []
    for step in range(steps):
        seen += walk(model, 1)
        mine.update(model, epoch=(step + 1) // steps_an_epoch)
    return model, seen


def test_the_moving_average_is_that_of_the_formula() -> None:
    mine = average("ema", decay=0.9)
    _, seen = followed(mine, 200)
    expected = seen[0]
    for n, weights in enumerate(seen[1:], start=2):
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * weights
    assert torch.allclose(mine.mean()["weight"].double(), expected, atol=1e-5)


def test_the_mean_of_epochs_is_that_of_the_last_ones_ends() -> None:
    mine = average("epochs", epochs=3)
    _, seen = followed(mine, 23, steps_an_epoch=4)
    expected = (seen[11] + seen[15] + seen[19]) / 3  # after 12, 16 and 20 steps
    assert torch.allclose(mine.mean()["weight"].double(), expected, atol=1e-6)


def test_one_epoch_is_no_average_yet() -> None:
    mine = average("epochs")
    followed(mine, 7, steps_an_epoch=4)
    assert not mine.ready
    assert mine.mean() == {}


def test_the_weights_come_back_to_the_bit_after_the_average_stood_in_their_place() -> None:
    mine = average("ema")
    model, _ = followed(mine, 5)
    own = model.weight.detach().clone()
    with mine.in_place_of(model):
        assert not torch.equal(model.weight, own)
    assert torch.equal(model.weight, own)


def test_an_average_of_another_shape_is_refused() -> None:
    mine = average("ema")
    followed(mine, 3)
    with pytest.raises(DamagedFileError, match="average of the weights in x does not fit this model: weight"):
        average("ema").load(mine.state(), nn.Linear(4, 2), source="x", epoch=0)


@pytest.mark.parametrize("wishes", [{"average": "ema"}, {"average": "epochs", "global_batch_size": 64}])
def test_a_run_with_an_average_goes_on_to_the_same_bits(texts: Path, tmp_path: Path, wishes: dict[str, Any]) -> None:
    whole = train_tiny(texts, out=str(tmp_path / "whole"), steps=24, **wishes)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(18), out=str(tmp_path / "cut"), steps=24, **wishes)
    run = go_on(tmp_path / "cut")
    assert bits(run) == bits(whole)
    assert [line.get("average_val_loss") for line in run.metrics] == [
        line.get("average_val_loss") for line in whole.metrics
    ]


def test_an_average_changes_no_weight(texts: Path, tmp_path: Path) -> None:
    plain = train_tiny(texts, out=str(tmp_path / "plain"), steps=12)
    with_average = train_tiny(texts, out=str(tmp_path / "average"), steps=12, average="ema")
    assert bits(plain)["model.safetensors"] == bits(with_average)["model.safetensors"]


def test_the_average_is_the_model_when_it_is_better(texts: Path, tmp_path: Path) -> None:
    wild = {"optimizer": "adamw", "learning_rate": 0.4, "schedule": "constant", "warmup_steps": 0}
    wild |= {"global_batch_size": 1, "evaluation_windows": 64}  # so the last weights are 0.2 nats or more behind
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(tmp_path / "run"), steps=60, average="ema", average_decay=0.9, **wild)
    best = run.folder.read_pointer("best")
    assert best is not None
    assert best["weights"] == "average"
    assert "average of the weights" in watcher.text
    checkpoint = run.folder.checkpoints / best["checkpoint"]
    model, kept = (
        load_file(run.folder.model / "model.safetensors"),
        load_file(checkpoint / "training/average.safetensors"),
    )
    assert all(torch.equal(model[name], kept[name]) for name in model)
    raw = load_file(checkpoint / "model.safetensors")
    assert not all(torch.equal(model[name], raw[name]) for name in model)


@pytest.mark.parametrize(("first", "then"), [("ema", "epochs"), ("epochs", "ema")])
def test_an_average_of_another_kind_is_not_gone_on_with(
    first: Literal["ema", "epochs"], then: Literal["ema", "epochs"]
) -> None:
    old, new = average(first), average(then)
    model, _ = followed(old, 12)
    new.load(old.state(), model, source="x", epoch=3)
    assert not new.kept
    new.update(model, epoch=3)  # the epoch that the old one had reached: none has ended since
    assert len(new.kept) == (1 if then == "ema" else 0)
    if then == "ema":
        assert all(torch.equal(new.kept[0][name], p) for name, p in model.named_parameters())
