"""The loop of an introductory book chapter: a GPT-2 from scratch in plain PyTorch, as a student types it.

    python benchmarks/peer_book.py tokens/ out.pt --steps 200

Our own re-creation of what such chapters have in common, not anybody's code: eager fp32, one AdamW over all weights (rate
4e-4, decay 0.1), no schedule, no clipping, dropout 0.1, learned positions, an untied head, attention written out with a
mask, windows of `--context` tokens in a DataLoader that shuffles. It prints "iter N" after each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peer_arguments import peer_parser
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):  # type: ignore[type-arg]
    """Input and target windows of a token file, side by side, without overlap."""

    def __init__(self, path: Path, context: int) -> None:
        self.ids = torch.from_numpy(np.fromfile(path, dtype=np.uint16).astype(np.int64))
        self.context = context

    def __len__(self) -> int:
        return (len(self.ids) - 1) // self.context

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        start = number * self.context
        return self.ids[start : start + self.context], self.ids[start + 1 : start + self.context + 1]


class MultiHeadAttention(nn.Module):
    """Three projections, a mask, a softmax, as the formula is written."""

    def __init__(self, width: int, heads: int, context: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", torch.triu(torch.ones(context, context), diagonal=1).bool(), persistent=False)
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        q, k, v = (part(x).view(B, T, self.heads, -1).transpose(1, 2) for part in (self.query, self.key, self.value))
        scores = q @ k.transpose(2, 3) / math.sqrt(self.head_width)
        weights = self.dropout(torch.softmax(scores.masked_fill(self.mask[:T, :T], -torch.inf), dim=-1))
        return self.out((weights @ v).transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    """Norm, attention, norm, feed-forward, each around the residual stream."""

    def __init__(self, width: int, heads: int, context: int, dropout: float) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads, context, dropout)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_1(x)))
        return x + self.dropout(self.feed_forward(self.norm_2(x)))


class GPT(nn.Module):
    """Token ids (B, T) to logits (B, T, vocabulary)."""

    def __init__(self, *, vocab_size: int, context: int, layers: int, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, width), nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, context, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab_size, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.dropout(self.tokens(ids) + self.positions(torch.arange(ids.shape[1])))
        return self.head(self.norm(self.blocks(x)))  # type: ignore[no-any-return]


def load(path: Path) -> Callable[[Tensor], Tensor]:
    """The model that `main` saved, for judging."""
    saved = torch.load(path, weights_only=True)
    model = GPT(**saved["shape"])
    model.load_state_dict(saved["model"])
    return model.eval()


def main() -> None:
    """Train, and save at the steps that are asked for."""
    options = peer_parser(__doc__, rate=4e-4, dropout=0.1, seed=123).parse_args()
    torch.manual_seed(options.seed)
    shape: dict[str, Any] = {
        "vocab_size": len(np.load(options.tokens / "bytes.npy")),
        "context": options.context,
        "layers": options.layers,
        "width": options.width,
        "heads": options.heads,
        "dropout": options.dropout,
    }
    model = GPT(**shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.1)
    windows = Windows(options.tokens / "train.bin", options.context)
    loader = DataLoader(windows, batch_size=options.batch, shuffle=True, drop_last=True)
    step = 0
    while step < options.steps:
        for inputs, targets in loader:
            optimizer.zero_grad()
            logits = model(inputs)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            loss.backward()
            optimizer.step()
            step += 1
            print(f"iter {step}: loss {loss.item():.4f}", flush=True)
            if step == options.steps:
                break
    torch.save({"shape": shape, "model": model.state_dict()}, options.out)
    print("saved", flush=True)


if __name__ == "__main__":
    main()
