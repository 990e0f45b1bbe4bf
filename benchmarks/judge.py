"""Bits per byte of a model over a whole validation text, the same for every peer.

    python benchmarks/judge.py nanogpt ckpt.pt tokens/ --context 256 --nanogpt path/to/nanoGPT

Windows of `--context` tokens that do not overlap, from the first token on; every token but the first is a target once.
Nats of all targets / ln 2 / UTF-8 bytes of the text they stand for; end-of-text is a target of nobody. Weights and
arithmetic in fp32, dropout off, whatever the training did. This is a program of its own: it never runs inside a clock.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import HERE, python, run
from token_files import Tokens
from torch import Tensor
from torch.nn import functional as F

Logits = Callable[[Tensor], Tensor]
"""Token ids (rows, tokens) to logits (rows, tokens, vocabulary)."""


def main() -> None:
    """Print the figures as JSON; with --nats also keep the nats of every target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["nanogpt", "huggingface", "book", "bajka"])
    parser.add_argument("model", type=Path)
    parser.add_argument("tokens", type=Path, help="a folder with val.bin and bytes.npy")
    parser.add_argument("--context", type=int, required=True)
    parser.add_argument("--nanogpt", type=Path)
    parser.add_argument("--windows", type=int, help="only so many, spread evenly (for curves)")
    parser.add_argument("--nats", type=Path, help="a .npy for the nats of each target")
    options = parser.parse_args()
    sizes = np.load(options.tokens / "bytes.npy")
    ids = Tokens(options.tokens, len(sizes)).ids("val").astype(np.int64)
    with torch.no_grad():
        nats = target_nats(logits_of(options), ids, options.context, sizes, options.windows)
    if options.nats:
        np.save(options.nats, nats)
    print(json.dumps(figures(nats, ids, sizes)))


def judge(
    kind: str, model: Path, tokens: Tokens, *, context: int, threads: int | None = None, **more: Any
) -> dict[str, Any]:
    """The figures of a model, from this program: bits_per_byte, loss (nats a target), targets, bytes."""
    words = [f"--{name}={value}" for name, value in more.items() if value is not None]
    few = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}  # beside another job: no more than its share
    done = run(python(HERE / "judge.py", kind, model, tokens.folder, f"--context={context}", *words), environment=few)
    return json.loads(done.lines[-1][1])  # type: ignore[no-any-return]


def target_nats(
    logits: Logits, ids: np.ndarray, context: int, sizes: np.ndarray, windows: int | None = None, rows: int = 8
) -> np.ndarray:
    """Nats of each token as a target, by its place in `ids`; not a number where it is none."""
    nats = np.full(len(ids), np.nan)
    begins = np.arange(0, len(ids) - 1, context)
    if windows is not None and windows < len(begins):
        begins = begins[np.linspace(0, len(begins) - 1, windows).astype(int)]
    for some in batches(begins, ids, context, rows):
        place = some[:, None] + np.arange(context)
        place = place[:, : len(ids) - 1 - int(some[-1])] if len(some) == 1 else place
        x, y = torch.from_numpy(ids[place]), torch.from_numpy(ids[place + 1])
        found = F.cross_entropy(logits(x).float().flatten(0, 1), y.flatten(), reduction="none").double()
        nats[place.ravel() + 1] = found.numpy()
    nats[sizes[ids] == 0] = np.nan
    return nats


def batches(begins: np.ndarray, ids: np.ndarray, context: int, rows: int) -> Iterator[np.ndarray]:
    """Whole windows, some at a time, then the short one at the end by itself."""
    whole = begins[begins + context < len(ids)]
    yield from (whole[start : start + rows] for start in range(0, len(whole), rows))
    yield from (np.array([begin]) for begin in begins[begins + context >= len(ids)])


def figures(nats: np.ndarray, ids: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
    """The sums of what was judged."""
    judged = ~np.isnan(nats)
    total, size = float(nats[judged].sum()), int(sizes[ids[judged]].sum())
    return {
        "bits_per_byte": total / math.log(2) / size,
        "loss": total / int(judged.sum()),
        "targets": int(judged.sum()),
        "bytes": size,
    }


def logits_of(options: argparse.Namespace) -> Logits:
    """The model behind a file or folder, of whichever program."""
    match options.kind:
        case "nanogpt":
            return nanogpt_logits(options.model, options.nanogpt)
        case "huggingface":
            from transformers import AutoModelForCausalLM

            model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
            return lambda x: model(x).logits
        case "book":
            from peer_book import load

            return load(options.model)
        case _:
            from bajka.checkpoint.model_folder import load_model

            return load_model(str(options.model)).model.eval()


def nanogpt_logits(checkpoint: Path, home: Path) -> Logits:
    """nanoGPT's own model; it gives all logits only when it is also given targets."""
    sys.path.insert(0, str(home))
    from model import GPT, GPTConfig  # type: ignore[import-not-found]

    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = GPT(GPTConfig(**saved["model_args"]))
    model.load_state_dict({name.removeprefix("_orig_mod."): value for name, value in saved["model"].items()})
    model.eval()
    return lambda x: model(x, x)[0]


if __name__ == "__main__":
    main()
