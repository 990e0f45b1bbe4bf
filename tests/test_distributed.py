"""Several processes on one machine (gloo): they are one, and trouble in the first reaches all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import bajka
from bajka.distributed import World, join_world, network_warning
from bajka.distributed.world import buckets
from bajka.errors import BajkaError, SettingsError
from jobs import together, train_together
from tiny_runs import TINY, Stopped, go_on, stop_at, tales_file, train_tiny

WORK = """
import json
import torch
from bajka.distributed import join_world
from bajka.errors import BajkaError, CorpusError

asked = []

def fail():
    raise CorpusError("There are no texts.")

with join_world() as world:
    found = {"rank": world.rank, "size": world.size, "speaks": world.speaks, "share": world.share(5)}
    found["sum"] = float(world.sum(torch.tensor(float(world.rank + 1))))
    found["largest"] = world.largest(0.1 * (world.rank + 1))
    found["agree"] = world.agree(15 if world.rank == 1 else 0)

    with_rows, without_rows = torch.nn.Parameter(torch.zeros(2, 2)), torch.nn.Parameter(torch.zeros(3))
    with_rows.grad = torch.full((2, 2), world.rank + 1.0)
    if world.rank == 0:
        without_rows.grad = torch.ones(3)
    world.sum_gradients([with_rows, without_rows])
    found["gradients"] = [p.grad.flatten().tolist() for p in (with_rows, without_rows)]

    found["first"] = world.first(lambda: asked.append(1) or {"plan": [1, 2]})
    found["asked"] = len(asked)
    try:
        world.first(fail)
    except BajkaError as error:
        found["error"] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    return [json.loads(line) for line in together(WORK)]


def test_each_process_has_its_rank_and_only_the_first_speaks(found: list[dict[str, Any]]) -> None:
    assert [(f["rank"], f["size"], f["speaks"]) for f in found] == [(0, 2, True), (1, 2, False)]


def test_every_row_of_a_batch_belongs_to_exactly_one_process(found: list[dict[str, Any]]) -> None:
    assert [f["share"] for f in found] == [[0, 2], [2, 5]]


def test_sums_and_largest_values_are_the_same_everywhere(found: list[dict[str, Any]]) -> None:
    assert all((f["sum"], f["largest"], f["agree"]) == (3.0, 0.2, 15) for f in found)


def test_gradients_are_added_though_one_process_had_no_rows_for_some(found: list[dict[str, Any]]) -> None:
    assert all(f["gradients"] == [[3.0] * 4, [1.0] * 3] for f in found)


def test_what_the_first_process_does_alone_is_given_to_all(found: list[dict[str, Any]]) -> None:
    assert [f["first"] for f in found] == [{"plan": [1, 2]}] * 2
    assert [f["asked"] for f in found] == [1, 0]


def test_an_error_of_the_first_process_reaches_the_others(found: list[dict[str, Any]]) -> None:
    assert found[0]["error"] == ["CorpusError", "There are no texts."]
    assert found[1]["error"] == [
        "PeerError",
        "The first process of this job stopped: CorpusError: There are no texts.",
    ]


# -- alone -------------------------------------------------------------------------------------------------------


def test_alone_every_operation_is_the_identity() -> None:
    world = World()
    value = torch.tensor(2.0)
    assert world.sum(value) is value
    assert (world.largest(0.5), world.agree(3), world.share(7)) == (0.5, 3, (0, 7))
    assert world.first(lambda: "done") == "done"
    world.sum_gradients([torch.nn.Parameter(value)])


def test_alone_an_error_stays_what_it_is() -> None:
    def fail() -> None:
        raise BajkaError("trouble")

    with pytest.raises(BajkaError, match=r"^trouble$"):
        World().first(fail)


def test_without_torchrun_there_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world() as world:
        assert world == World(rank=0, size=1)


def test_half_a_job_is_refused_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        SettingsError, match=r"WORLD_SIZE = 2 .* MASTER_ADDR, MASTER_PORT is not set. Start them with torchrun"
    ):
        join_world().__enter__()


def test_a_job_over_the_network_is_told_to_keep_to_a_trusted_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.7")
    assert "(10.0.0.7), without passwords" in str(network_warning(World(0, 2)))
    assert network_warning(World()) is None
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert network_warning(World(0, 2)) is None


def test_buckets_keep_the_order_and_split_only_between_tensors() -> None:
    tensors = [torch.zeros(n) for n in (3, 4, 20, 1, 1)] + [torch.zeros(1, dtype=torch.float64)]
    assert [[t.numel() for t in bucket] for bucket in buckets(tensors, size=8)] == [[3, 4], [20], [1, 1], [1]]


# -- runs --------------------------------------------------------------------------------------------------------


def wishes_for(out: Path, **changes: Any) -> dict[str, Any]:
    wishes = TINY | {
        "steps": 6,
        "global_batch_size": 5,
        "micro_batch_size": 2,
        "evaluate_every_steps": 3,
        "dropout": 0.0,
    }
    return wishes | {"save_every_steps": 2, "out": str(out)} | changes


def numbers(run: bajka.Run, name: str) -> list[float]:
    return [line[name] for line in run.metrics if name in line]


def assert_same(run: bajka.Run, alone: bajka.Run) -> None:
    """The same losses, norms, weights and optimizer state within rounding, and one line for each step."""
    for name in ("train_loss", "val_loss", "gradient_norm"):
        assert numbers(run, name) == pytest.approx(numbers(alone, name), abs=1e-5)
    for name in ("model.safetensors", "training/optimizer.safetensors"):
        ours, theirs = (load_file(last_checkpoint(one) / name) for one in (run, alone))
        assert {key: value.shape for key, value in ours.items()} == {key: v.shape for key, v in theirs.items()}
        assert all(torch.allclose(ours[key], theirs[key], rtol=0, atol=2e-5) for key in theirs)
    assert run.folder.log_file.read_text(encoding="utf-8").count("Finished 6 steps") == 1


def last_checkpoint(run: bajka.Run) -> Path:
    last = run.folder.read_pointer("last")
    assert last is not None
    return run.folder.checkpoints / last["checkpoint"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def alone(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    """What one process makes that never stops."""
    return train_tiny(texts, **wishes_for(tmp_path_factory.mktemp("alone") / "run"))


def test_two_processes_train_one_run_to_the_numbers_of_one_spread_or_not(
    texts: Path, alone: bajka.Run, tmp_path: Path
) -> None:
    sittings = [wishes_for(tmp_path / shard, shard=shard) for shard in ("off", "on")]
    # Made with two, spread: continued by two that are not, and by one. Made by one: continued by two, spread.
    sittings += [
        wishes_for(tmp_path / "two", shard="on", stop_at=3),
        wishes_for(tmp_path / "one", stop_at=3, shard="on"),
    ]
    with pytest.raises(Stopped):
        train_tiny(texts, view=stop_at(3), **wishes_for(tmp_path / "spread"))
    told = train_together(
        [
            *((texts, wishes) for wishes in sittings),
            (tmp_path / "two", {"shard": "off"}),
            (tmp_path / "spread", {"shard": "on"}),
        ]
    )
    go_on(tmp_path / "one", shard="off")
    assert [[one["code"] for one in sitting] for sitting in told] == [[0, 0]] * 2 + [[143, 143]] * 2 + [[0, 0]] * 2
    assert all(sitting[0]["said"] for sitting in told), "the first process speaks"
    assert not any(sitting[1]["said"] for sitting in told if sitting[1]["code"] == 0), "the other does not"
    assert any("processes 1 -> 2" in line for line in told[-1][0]["said"])
    for name in ("off", "on", "two", "one", "spread"):
        assert_same(bajka.open_run(tmp_path / name), alone)


@pytest.mark.torture
@pytest.mark.parametrize("optimizer", ["muon", "adamw", "adam"])
@pytest.mark.parametrize("size", [2, 4])
def test_twenty_steps_of_every_optimizer_are_those_of_one_process(
    texts: Path, tmp_path: Path, size: int, optimizer: str
) -> None:
    wishes = {"optimizer": optimizer, "steps": 20}
    sittings = [wishes_for(tmp_path / shard, shard=shard, **wishes) for shard in ("on", "off")]
    train_together([(texts, one) for one in sittings], size=size)
    single = train_tiny(texts, **wishes_for(tmp_path / "alone", **wishes))
    for shard in ("on", "off"):
        for name in ("train_loss", "val_loss", "gradient_norm"):
            run = bajka.open_run(tmp_path / shard)
            assert numbers(run, name) == pytest.approx(numbers(single, name), abs=1e-5)


@pytest.mark.torture
def test_a_run_goes_on_with_any_other_number_of_processes(texts: Path, alone: bajka.Run, tmp_path: Path) -> None:
    sizes, kinds = (1, 2, 4), ("off", "on")
    cells = [(a, b, k, m) for a in sizes for b in sizes for k in kinds for m in kinds if (a > 1 or k == "off")]
    cells = [(a, b, k, m) for a, b, k, m in cells if (b > 1 or m == "off")]
    for size in sizes:  # the first sitting of all runs that begin with this number of processes, then the second
        begun = [
            (texts, wishes_for(tmp_path / f"{cell}", shard=cell[2], stop_at=3)) for cell in cells if cell[0] == size
        ]
        train_together(begun, size=size)
    for size in sizes:
        train_together([(tmp_path / f"{cell}", {"shard": cell[3]}) for cell in cells if cell[1] == size], size=size)
    for cell in cells:
        assert_same(bajka.open_run(tmp_path / f"{cell}"), alone)


@pytest.mark.torture
@pytest.mark.parametrize("rows", [1, 3])
def test_more_processes_than_rows_train_to_the_same_numbers(texts: Path, tmp_path: Path, rows: int) -> None:
    sittings = [wishes_for(tmp_path / shard, shard=shard, global_batch_size=rows) for shard in ("on", "off")]
    train_together([(texts, one) for one in sittings], size=4)
    single = train_tiny(texts, **wishes_for(tmp_path / "alone", global_batch_size=rows))
    for shard in ("on", "off"):
        assert_same(bajka.open_run(tmp_path / shard), single)
