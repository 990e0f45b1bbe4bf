"""T6. Memory and time of one training step of GPT-2's 124M shape: ours in several forms, against nanoGPT's model.

    python benchmarks/memory.py --nanogpt path/to/nanoGPT --rounds 3

12 layers, 768 wide, vocabulary 50,304, context 1,024, 8 sequences a step. Each form is a process of its own, in turn: the
peak of resident memory, whole and above what the libraries take, and tokens/s of the steps after the first (forward, backward,
clipping, AdamW; its state exists from the first step on). The target's memory is the whole peak. nanoGPT is measured as
it is on a CPU (fp32) and in bf16 by autocast, its stated one-line change, with all 8 rows at once, and with fewer by its own
`gradient_accumulation_steps`; ratios are to each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from harness import HERE, Results, code, medians, parser, peer_key, python, run, show

OURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "loss in chunks": {"loss_chunk": 512},
    "chunks, 2 rows at once": {"loss_chunk": 512, "micro_rows": 2},
    "chunks, 1 row at once": {"loss_chunk": 512, "micro_rows": 1},
    "chunks, blocks twice": {"loss_chunk": 512, "gradient_checkpointing": True},
    "chunks, blocks twice, 2 rows at once": {"loss_chunk": 512, "gradient_checkpointing": True, "micro_rows": 2},
}
PEERS: dict[str, dict[str, Any]] = {
    "nanoGPT bf16": {"bf16": True},
    "nanoGPT fp32": {"bf16": False},
    "nanoGPT bf16, 2 rows at once": {"bf16": True, "micro_rows": 2},
    "nanoGPT bf16, 1 row at once": {"bf16": True, "micro_rows": 1},
}


def main() -> None:
    """Measure every form in turn; print each figure, then medians and ratios to nanoGPT."""
    options = arguments()
    if options.form:
        theirs = options.form in PEERS
        print(json.dumps(nanogpt(options, **PEERS[options.form]) if theirs else ours(options, **OURS[options.form])))
        return
    results = Results(options.results, "memory")
    forms = options.forms or [*(PEERS if options.nanogpt else []), *OURS]
    found: dict[str, list[dict[str, Any]]] = {form: [] for form in forms}
    names = ("rows", "context", "layers", "width", "steps")
    for number in range(options.rounds):
        for form in forms:
            key = {name: getattr(options, name) for name in names} | {"round": number}
            key |= {"peer": peer_key(options.nanogpt)} if form in PEERS else {"code": code()}
            line = results.once(form, key, lambda form=form: again(form, options))
            found[form].append(line)
            show(form, line)
    conclude(found)


def again(form: str, options: argparse.Namespace) -> dict[str, Any]:
    """This program for one form."""
    words = [f"--{name}={getattr(options, name)}" for name in ("rows", "context", "layers", "width", "steps")]
    words += ["--nanogpt", str(options.nanogpt)] if options.nanogpt else []
    return json.loads(run(python(HERE / "memory.py", "--form", form, *words)).lines[-1][1])  # type: ignore[no-any-return]


def conclude(found: dict[str, list[dict[str, Any]]]) -> None:
    """Medians as ratios to each form of nanoGPT, whose model has to be as large as ours."""
    sizes = {form: lines[0]["parameters"] for form, lines in found.items()}
    if len(set(sizes.values())) > 1:
        raise SystemExit(f"These are not the same model: {sizes} parameters.")
    middle = {form: medians(lines, "peak_mb", "tokens_per_second") for form, lines in found.items()}
    for peer in [form for form in middle if form in PEERS]:
        for form, figures in middle.items():
            memory = figures["peak_mb"] / middle[peer]["peak_mb"]
            speed = figures["tokens_per_second"] / middle[peer]["tokens_per_second"]
            if form != peer:
                print(f"{form}: {memory:.2f} of {peer}'s memory, {speed:.2f} of its tokens/s")


def ours(
    options: argparse.Namespace,
    *,
    loss_chunk: int | None = None,
    gradient_checkpointing: bool = False,
    micro_rows: int | None = None,
) -> Any:
    """A step of our GPT-2, its rows in parts if that is asked for."""
    import torch

    from bajka.model import ModelConfig
    from bajka.model.families import preset
    from bajka.model.transformer import Transformer

    heads, shape = options.width // 64, {"n_layer": options.layers, "n_embd": options.width}
    common = {"family": "gpt2", "vocab_size": 50304, "context_length": options.context, "n_inner": 4 * options.width}
    common |= {"n_head": heads, "n_kv_head": heads, "head_dim": 64, "dropout": 0.0, "tie_embeddings": True}
    base = _base()
    model = Transformer(ModelConfig(**preset("gpt2") | common | shape))
    model.reset(0)
    model.train()
    model.loss_chunk, model.gradient_checkpointing = loss_chunk, gradient_checkpointing

    def backward(ids: torch.Tensor, targets: torch.Tensor) -> None:
        size = micro_rows or len(ids)
        for some, wanted in zip(ids.split(size), targets.split(size), strict=True):
            (model.loss(some, wanted, dtype=torch.bfloat16) / ids.numel()).backward()

    return _measure(model, backward, options, base)


def nanogpt(options: argparse.Namespace, *, bf16: bool, micro_rows: int | None = None) -> Any:
    """The same of nanoGPT's model; rows in parts as the body of its loop accumulates them."""
    import torch

    sys.path.insert(0, str(options.nanogpt))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    shape = {"n_layer": options.layers, "n_head": options.width // 64, "n_embd": options.width}
    base = _base()
    model = GPT(GPTConfig(block_size=options.context, vocab_size=50304, dropout=0.0, bias=True, **shape))

    def backward(ids: torch.Tensor, targets: torch.Tensor) -> None:
        size = micro_rows or len(ids)
        for some, wanted in zip(ids.split(size), targets.split(size), strict=True):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = model(some, wanted)[1] * size / len(ids)
            loss.backward()

    return _measure(model, backward, options, base)


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


def _measure(model: Any, backward: Any, options: argparse.Namespace, base: float) -> dict[str, float]:
    """Steps as in training; the first one is not timed."""
    import torch

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(50304, (options.rows, options.context), generator=torch.Generator().manual_seed(1))
    took = []
    for _ in range(1 + options.steps):
        began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        backward(ids, ids.roll(-1, 1))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        took.append(time.perf_counter() - began)
    seconds = statistics.median(took[1:])
    peak = _peak()
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "peak_mb": peak,
        "above_libraries_mb": peak - base,
        "step_seconds": seconds,
        "tokens_per_second": ids.numel() / seconds,
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=8, help="sequences a step")
    options.add_argument("--context", type=int, default=1024)
    options.add_argument("--layers", type=int, default=12)
    options.add_argument("--width", type=int, default=768)
    options.add_argument("--steps", type=int, default=3, help="that are timed, after one that is not")
    options.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    options.add_argument("--forms", nargs="*", default=[], choices=[*PEERS, *OURS], help="only these")
    options.add_argument("--form", choices=[*PEERS, *OURS], help=argparse.SUPPRESS)
    return options.parse_args()


if __name__ == "__main__":
    main()
