"""When the weights are spread, and what it takes; the spreading itself is tested with real processes (test_distributed)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from bajka.distributed import World
from bajka.errors import SettingsError
from bajka.hardware import Machine
from bajka.model.estimate import parameters
from bajka.tokens import Batch
from bajka.training.sharding import sharded_memory, wants_shards_here
from bajka.training.steps import micro_batches
from tiny import tiny_config

GPU = Machine("cuda:0", "a GPU", "bf16", 1, 8 << 30, True, "2.13")
TWO = World(0, 2)


@pytest.mark.parametrize(
    ("wish", "need", "world", "expected"),
    [
        ("auto", 9 << 30, TWO, True),
        ("auto", 7 << 30, TWO, False),
        ("auto", 9 << 30, World(), False),
        ("on", 1, TWO, True),
        ("on", 1, World(), False),
        ("off", 9 << 30, TWO, False),
    ],
)
def test_weights_are_spread_where_one_device_is_too_small(
    wish: Literal["auto", "on", "off"], need: int, world: World, expected: bool
) -> None:
    assert wants_shards_here(wish, need, GPU, world) is expected


def test_processes_on_one_cpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert wants_shards_here("auto", 5 << 30, replace(GPU, device="cpu"), TWO)
    assert not wants_shards_here("auto", 5 << 30, GPU, TWO), "but each has a GPU of its own"


def test_spreading_in_fp16_is_refused() -> None:
    with pytest.raises(SettingsError, match=r'shard = "on" does not go with fp16. Choose --precision fp32'):
        wants_shards_here("on", 1, replace(GPU, precision="fp16"), TWO)


def test_many_processes_need_a_quarter_of_the_bytes_of_the_weights_on_each() -> None:
    c = tiny_config("modern")
    assert sharded_memory(16 * parameters(c) + 1000, c, processes=16) == 5 * parameters(c) + 1000


@pytest.mark.parametrize("rows", [1, 5, 8])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_that_gather_weights_together_get_equally_many_micro_batches(rows: int, size: int) -> None:
    batch = Batch(np.arange(rows * 2).reshape(rows, 2), np.ones((rows, 2), dtype=np.int64))
    parts = [list(micro_batches(batch, World(rank, 4), size, together=True)) for rank in range(4)]
    assert len({len(part) for part in parts}) == 1
    assert sum(one.counted for part in parts for one in part) == batch.counted
