"""Memory and time of one training step of GPT-2's shape: ours, plain and with little memory, against nanoGPT's model.

    python benchmarks/memory.py --rows 2 --nanogpt path/to/nanoGPT

Each form is a process of its own: peak memory above what the libraries take, and seconds of its second step (forward, backward,
AdamW), in turn for `--rounds` rounds. bf16 is ours by casts and nanoGPT's by autocast, its stated one-line change on a CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "loss in chunks": {"loss_chunk": 512},
    "chunks, blocks twice": {"loss_chunk": 512, "gradient_checkpointing": True},
}


def main() -> None:
    """Measure every form in turn; print each figure, then medians and ratios to nanoGPT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2, help="sequences a step")
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--nanogpt", type=Path, help="a clone of nanoGPT")
    parser.add_argument("--form", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.form:
        print(json.dumps(nanogpt(options) if options.form == "nanoGPT" else ours(options, **OURS[options.form])))
        return
    forms = [*(["nanoGPT"] if options.nanogpt else []), *OURS]
    found: dict[str, list[tuple[float, float]]] = {form: [] for form in forms}
    for _ in range(options.rounds):
        for form in forms:
            answer = subprocess.run([sys.executable, *sys.argv, "--form", form], stdout=subprocess.PIPE, check=True)
            found[form].append(tuple(json.loads(answer.stdout.splitlines()[-1])))
            print(f"{form}: {found[form][-1][0]:,.0f} MB, {found[form][-1][1]:.1f} s a step", flush=True)
    first = [statistics.median(column) for column in zip(*found[forms[0]], strict=True)]
    for form in forms:
        memory, seconds = (statistics.median(column) for column in zip(*found[form], strict=True))
        print(f"{form}: {memory / first[0]:.2f} of {forms[0]}'s memory, {first[1] / seconds:.2f} of its speed")


def ours(options: argparse.Namespace, *, loss_chunk: int | None = None, gradient_checkpointing: bool = False) -> Any:
    """Peak megabytes and seconds of a step of our GPT-2."""
    import torch

    from bajka.model import ModelConfig
    from bajka.model.families import preset
    from bajka.model.transformer import Transformer

    heads, shape = options.width // 64, {"n_layer": options.layers, "n_embd": options.width}
    common = {"family": "gpt2", "vocab_size": 50304, "context_length": options.context, "n_inner": 4 * options.width}
    common |= {"n_head": heads, "n_kv_head": heads, "head_dim": 64, "dropout": 0.0}
    base = _base()
    model = Transformer(ModelConfig(**preset("gpt2") | common | shape))
    model.reset(0)
    model.train()
    model.loss_chunk, model.gradient_checkpointing = loss_chunk, gradient_checkpointing

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return model.loss(ids, targets, dtype=torch.bfloat16) / ids.numel()

    return _measure(model, loss, options, base)


def nanogpt(options: argparse.Namespace) -> Any:
    """The same of nanoGPT's model."""
    import torch

    sys.path.insert(0, str(options.nanogpt))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    shape = {"n_layer": options.layers, "n_head": options.width // 64, "n_embd": options.width}
    base = _base()
    model = GPT(GPTConfig(block_size=options.context, vocab_size=50304, dropout=0.0, bias=True, **shape))

    def loss(ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model(ids, targets)[1]  # type: ignore[no-any-return]

    return _measure(model, loss, options, base)


def _base() -> float:
    """Peak megabytes once the libraries have done a little of everything."""
    import torch
    import torch._dynamo

    torch.nn.Linear(8, 8)(torch.randn(2, 8)).sum().backward()
    torch.randn(64, 64).bfloat16() @ torch.randn(64, 64).bfloat16()
    return _peak()


def _peak() -> float:
    """Peak resident megabytes of this program; `getrusage` would also count the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")  # Linux
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _measure(model: Any, loss: Any, options: argparse.Namespace, base: float) -> tuple[float, float]:
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(50304, (options.rows, options.context), generator=torch.Generator().manual_seed(1))
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss(ids, ids.roll(-1, 1)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds = time.perf_counter() - began
    return _peak() - base, seconds


if __name__ == "__main__":
    main()
