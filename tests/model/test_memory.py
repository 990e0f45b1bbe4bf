"""The estimate of a training step's memory against the bytes that real steps ask for."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bajka.model import ModelConfig
from bajka.model.families import feed_forward_width, preset
from bajka.model.memory import Load, default_chunk, fit, training_memory
from bajka.model.transformer import Transformer
from bajka.planning.recipe import Recipe
from bajka.training.optimizer import Optimizer
from bajka.training.teacher import Teacher
from made_up import MACHINE as CPU
from tiny import FAMILIES, tiny_config

FP32, BF16 = Load(4, "adamw"), Load(2, "muon")


def shape(family: str, **changes: Any) -> ModelConfig:
    """Three layers, 128 wide: activations outweigh bookkeeping."""
    plain = {"vocab_size": 512, "context_length": 256, "n_layer": 3, "n_head": 2, "n_kv_head": 2, "n_embd": 128}
    plain |= {"head_dim": 64, "n_inner": feed_forward_width(family, 128)}
    return ModelConfig(**preset(family) | {"family": family} | plain | changes)


def peak_of_a_step(c: ModelConfig, load: Load, rows: int, *, micro_batches: int, chunk: int | None, again: bool) -> int:
    """Bytes at the peak of a step as torch's allocator counts them, weights and optimizer included, a teacher's not."""
    model, dtype = Transformer(c), torch.float32 if load.bytes_per_activation == 4 else torch.bfloat16
    model.reset(0)
    teacher = Teacher(deepcopy(model), replace(CPU, precision="fp32" if dtype == torch.float32 else "bf16"), share=0.8)
    model.gradient_checkpointing, model.loss_chunk = again, chunk
    optimizer = Optimizer(model, Recipe(load.optimizer, 0.01, 0.01, 0.1, 0.95, 0.9, 0.95, 1.0), muon_dtype=dtype)
    held = peak = sum(t.nbytes for t in (*model.parameters(), *optimizer.state().values()))
    ids = torch.zeros(rows, c.context_length, dtype=torch.long)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        for _ in range(micro_batches):
            model.loss(ids, ids, teacher(ids) if load.taught else None, dtype=dtype).backward()
        optimizer.step(1.0)
    events = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize(
    ("c", "load", "rows", "micro_batches", "chunk", "again"),
    [
        (shape("modern", vocab_size=2048), BF16, 4, 1, None, False),
        (shape("modern", vocab_size=2048), BF16, 4, 1, 512, False),
        (shape("modern", vocab_size=2048), replace(BF16, taught=True), 4, 1, None, False),
        (shape("modern", vocab_size=4096), replace(BF16, taught=True), 4, 1, 512, False),
        (shape("gpt2", vocab_size=2048), replace(FP32, taught=True), 4, 1, None, False),
        (shape("modern", n_layer=8), BF16, 4, 1, 512, True),
        (shape("gpt2"), FP32, 4, 1, None, False),
        (shape("gpt2", vocab_size=4096, context_length=640), BF16, 2, 1, 512, True),
        (shape("llama", n_kv_head=1), FP32, 2, 2, None, False),
        (shape("gpt1"), BF16, 2, 2, None, False),
        (shape("modern", n_embd=256, n_head=4, n_kv_head=4, context_length=32), BF16, 1, 1, None, False),
    ],
    ids=[
        "logits",
        "chunks",
        "taught",
        "taught-chunks",
        "taught-fp32",
        "checkpointed",
        "activations",
        "both",
        "accumulated",
        "post-norm",
        "optimizer",
    ],
)
def test_the_estimate_is_within_a_fifth_of_a_real_step(
    c: ModelConfig, load: Load, rows: int, micro_batches: int, chunk: int | None, again: bool
) -> None:
    real = peak_of_a_step(c, load, rows, micro_batches=micro_batches, chunk=chunk, again=again)
    estimate = training_memory(
        c, load, micro_batch_size=rows, accumulates=micro_batches > 1, loss_chunk=chunk, gradient_checkpointing=again
    )
    assert 0.9 * real <= estimate <= 1.2 * real, f"{real=:,} {estimate=:,}"


@pytest.mark.parametrize("family", FAMILIES)
def test_memory_grows_with_everything_that_costs_memory(family: str) -> None:
    def need(rows: int = 2, load: Load = BF16, **change: Any) -> int:
        return training_memory(shape(family, **change), load, micro_batch_size=rows)

    assert need() < min(need(rows=3), need(load=Load(4, "muon")), need(load=Load(2, "muon", averages=1)))
    assert need() < min(need(context_length=300), need(n_layer=4), need(vocab_size=600), need(dropout=0.1))
    gpu = Load(2, "muon", device="cuda")  # on a CPU eager norms keep as little as compiled ones
    assert need(load=replace(gpu, compiled=True)) < need(load=gpu)


def test_chunks_and_checkpoints_need_less() -> None:
    c = shape("gpt2", vocab_size=4096)
    plain, chunked, both = (
        training_memory(c, BF16, micro_batch_size=8, loss_chunk=chunk, gradient_checkpointing=again)
        for chunk, again in ((None, False), (512, False), (512, True))
    )
    assert both < chunked < plain


GPT2 = ModelConfig(
    **preset("gpt2")
    | {"family": "gpt2", "vocab_size": 50_304, "context_length": 1024, "n_layer": 12, "n_head": 12, "n_kv_head": 12}
    | {"n_embd": 768, "n_inner": 3072, "head_dim": 64}
)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_less_memory_never_makes_a_faster_way(device: str) -> None:
    load, ways = Load(2, "muon", device=device), []
    for gigabytes in (100, 12, 8, 6, 5, 4, 3, 2):
        found = fit(GPT2, load, budget=gigabytes << 30, global_batch_size=16)
        assert found.bytes <= gigabytes << 30 or (found.micro_batch_size, found.gradient_checkpointing) == (1, True)
        ways.append((found.gradient_checkpointing, -found.micro_batch_size))
    assert ways[0] == (False, -16)
    assert ways[-1] == (True, -1)
    assert all(first[0] <= later[0] for first, later in itertools.pairwise(ways))


def test_what_was_asked_for_is_kept() -> None:
    found = fit(
        GPT2, BF16, budget=1, global_batch_size=16, micro_batch_size=4, loss_chunk=700, gradient_checkpointing=False
    )
    assert (found.micro_batch_size, found.loss_chunk, found.gradient_checkpointing) == (4, 700, False)
    asked = fit(GPT2, BF16, budget=100 << 30, global_batch_size=16, gradient_checkpointing=True)
    assert (asked.micro_batch_size, asked.gradient_checkpointing) == (16, True)


def test_what_fits_is_predicted_by_the_estimate() -> None:
    found = fit(GPT2, BF16, budget=4 << 30, global_batch_size=16)
    assert found.bytes == training_memory(
        GPT2,
        BF16,
        micro_batch_size=found.micro_batch_size,
        accumulates=found.micro_batch_size < 16,
        loss_chunk=found.loss_chunk,
        gradient_checkpointing=found.gradient_checkpointing,
    )


def test_a_few_logits_are_not_cut() -> None:
    assert default_chunk(tiny_config("modern"), BF16, 4096) is None
    assert default_chunk(GPT2, BF16, 8192) == 512
    assert default_chunk(GPT2, Load(2, "muon", device="cuda"), 8192) == 2**26 // 50_304


@pytest.mark.torture
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read as Linux gives it")
@pytest.mark.parametrize(("chunk", "again"), [(None, False), (512, True)])
def test_a_process_grows_by_the_estimate(chunk: int | None, *, again: bool) -> None:
    """Above the allocator's count: what it keeps of freed blocks, and the scratch of the matrix library."""
    code = (
        "import torch; from test_memory import *; import torch._dynamo; c = shape('gpt2', vocab_size=16384)\n"
        "torch.ones(8, 8, requires_grad=True).sum().backward()\n"
        "model = Transformer(c); model.reset(0); peak = lambda: "
        "int(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])\n"  # rusage counts the parent's too
        f"model.gradient_checkpointing, model.loss_chunk = {again}, {chunk}; before = peak()\n"
        "ids = torch.zeros(8, 256, dtype=torch.long); model.loss(ids, ids).backward(); print((peak() - before) * 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        env=_paths(),
        capture_output=True,
        text=True,
        check=True,
    )
    c = shape("gpt2", vocab_size=16384)
    weights_and_state = 12 * sum(p.numel() for p in Transformer(c).parameters())
    estimate = training_memory(c, FP32, micro_batch_size=8, loss_chunk=chunk, gradient_checkpointing=again)
    assert int(done.stdout) == pytest.approx(estimate - weights_and_state, rel=0.35)


def _paths() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
