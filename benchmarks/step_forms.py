"""One training step of GPT-2's shape in every form that `speed.py` compares: ours and nanoGPT's, as a function to call.

A form is a name such as "nanogpt-fp32", "nanogpt-bf16-compiled", "bajka-adamw-bf16", "bajka-muon-bf16-compiled", or
"modern-muon-bf16" for our default family. Every step draws a batch of random ids, as many bytes as a real one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

Region = Callable[[str], Any]
"""Names a part of the step for the profiler: used as `with region("optimizer"):`."""


@dataclass(frozen=True)
class Shape:
    """Layers, width, context, vocabulary, and sequences a step; heads are 64 wide, or 32 in a width below 128 or of 128."""

    layers: int
    width: int
    context: int = 256
    vocab_size: int = 4096
    rows: int = 8

    @property
    def heads(self) -> int:
        """Attention heads."""
        return max(1, self.width // (64 if self.width > 128 else 32))

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.rows * self.context

    @classmethod
    def parse(cls, text: str, **more: int) -> Shape:
        """From "4x192"."""
        layers, width = map(int, text.split("x"))
        return cls(layers, width, **more)


@dataclass(frozen=True)
class Form:
    """A step to call, and the model in it."""

    step: Callable[[], float]
    model: torch.nn.Module


def parts_of(form: str) -> tuple[str, str, str, bool]:
    """Program or family, optimizer, precision, compiled."""
    words = form.split("-")
    compiled = words[-1] == "compiled"
    words = words[:-1] if compiled else words
    return words[0], words[1] if len(words) == 3 else "adamw", words[-1], compiled


def build(form: str, shape: Shape, nanogpt: Path | None = None, region: Region | None = None) -> Form:
    """The form at this shape."""
    program, optimizer, precision, compiled = parts_of(form)
    named = region or (lambda name: contextlib.nullcontext())
    if program == "nanogpt":
        assert nanogpt is not None, "nanoGPT needs --nanogpt path/to/its/checkout"
        return nanogpt_form(shape, nanogpt, named, bf16=precision == "bf16", compiled=compiled)
    family = "gpt2" if program == "bajka" else program
    return our_form(shape, family, optimizer, precision, compiled, named)


def nanogpt_form(shape: Shape, home: Path, region: Region, *, bf16: bool, compiled: bool) -> Form:
    """The body of nanoGPT's loop with its own model and its own optimizer; bf16 as by the stated line."""
    sys.path.insert(0, str(home))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    sizes = {"n_layer": shape.layers, "n_head": shape.heads, "n_embd": shape.width}
    torch.manual_seed(1337)
    model = GPT(GPTConfig(block_size=shape.context, vocab_size=shape.vocab_size, dropout=0.0, bias=False, **sizes))
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.95), "cpu")
    called = torch.compile(model) if compiled else model
    ids = np.random.default_rng(0).integers(0, shape.vocab_size, 1_000_000).astype(np.uint16)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        begins = torch.randint(len(ids) - shape.context, (shape.rows,))
        windows = torch.stack([torch.from_numpy(ids[i : i + shape.context + 1].astype(np.int64)) for i in begins])
        return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    def step() -> float:
        with region("data"):
            x, y = batch()
        with torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = called(x, y)[1]
        loss.backward()
        with region("optimizer"):
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return float(loss.item())

    return Form(step, model)


def our_form(shape: Shape, family: str, optimizer: str, precision: str, compiled: bool, region: Region) -> Form:
    """Our own loop, `bajka.training.steps`, over random ids."""
    from bajka.config import HardwareSettings, ModelSettings, OptimizerSettings, ScheduleSettings, Settings
    from bajka.hardware import find_machine
    from bajka.model import ModelConfig
    from bajka.model.families import feed_forward_width, preset
    from bajka.model.memory import Load, default_chunk
    from bajka.model.transformer import Transformer
    from bajka.planning.recipe import plan_recipe
    from bajka.planning.schedule import Schedule
    from bajka.planning.shape import Choices
    from bajka.training.steps import TrainingState, compiled_loss, steps

    machine = find_machine(HardwareSettings(precision=precision, threads=torch.get_num_threads()))
    sizes = {"n_layer": shape.layers, "n_embd": shape.width, "n_head": shape.heads, "n_kv_head": shape.heads}
    sizes |= {"head_dim": shape.width // shape.heads, "n_inner": feed_forward_width(family, shape.width)}
    fixed = {"family": family, "vocab_size": shape.vocab_size, "context_length": shape.context, "dropout": 0.0}
    bias = {"bias": False, "tie_embeddings": True} if family == "gpt2" else {}
    config = ModelConfig(**preset(family) | fixed | sizes | bias)
    model = Transformer(config)
    model.reset(0)
    size = 2 if precision == "bf16" else 4
    model.loss_chunk = default_chunk(config, Load(size, optimizer, compiled, 0, "cpu"), shape.tokens)
    settings = Settings(
        model=ModelSettings(family=family),
        optimizer=OptimizerSettings(optimizer=optimizer),
        schedule=ScheduleSettings(),
    )
    recipe = plan_recipe(settings, config, 1.0, 1000, Choices(), imported=False)
    state = TrainingState.new(model, recipe, machine)
    instrument(state.optimizer, region)
    made = steps(
        state,
        RandomBatches(shape, region),  # type: ignore[arg-type]
        schedule=Schedule("constant", 0, 0.0, 1.0, None),
        machine=machine,
        global_batch_size=shape.rows,
        micro_batch_size=shape.rows,
        seed=0,
        loss_function=compiled_loss(model) if compiled else None,
    )
    return Form(lambda: next(made).loss, model)


def instrument(optimizer: Any, region: Region) -> None:
    """Name the optimizer's part of the step for the profiler."""
    inner = optimizer.step

    def step(*words: Any, **more: Any) -> Any:
        with region("optimizer"):
            return inner(*words, **more)

    optimizer.step = step


class RandomBatches:
    """Random windows behind the same face as `bajka.tokens.Batches`, cut by its own code."""

    windows_per_epoch = 10**6

    def __init__(self, shape: Shape, region: Region) -> None:
        from bajka.tokens import Batches

        ids = np.random.default_rng(0).integers(1, shape.vocab_size, 1_000_000).astype(np.uint16)
        starts = np.zeros(1, dtype=np.int64)
        self.context_length, self.region = shape.context, region
        self.inner = Batches(ids, starts, context_length=shape.context, seed=0, end_of_text=0)

    def batch(self, position: int, size: int) -> Any:
        """The windows from `position` on."""
        with self.region("data"):
            return self.inner.batch(position, size)
