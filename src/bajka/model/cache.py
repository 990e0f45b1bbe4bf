"""The preallocated cache of keys and values: rows of different lengths side by side, each at its own place."""

from __future__ import annotations

import torch
from torch import Tensor

from bajka.model.config import ModelConfig


class Cache:
    """Keys and values of `rows` texts, up to the context's length, slot i holding a row's i-th token.

    Rows may hold different numbers of tokens (`lengths`). What lies beyond a row's length is never attended to, so
    right padding in a prefill and leftovers of an earlier text are harmless.
    """

    def __init__(
        self,
        c: ModelConfig,
        rows: int,
        *,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        slots: int | None = None,
    ) -> None:
        """Room for `rows` texts of `slots` tokens each (default: the context's length), all empty."""
        shape = (c.n_layer, rows, c.n_kv_head, slots or c.context_length, c.head_dim)
        self.keys = torch.zeros(shape, dtype=dtype, device=device)  # (L, B, K, S, D)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.set_lengths([0] * rows)

    def set_lengths(self, lengths: list[int]) -> None:
        """Say how many tokens each row holds; a shorter length forgets the rest."""
        self._lengths = lengths  # the same numbers on the host: no device synchronisation to look at them
        self.lengths = torch.tensor(lengths, dtype=torch.long, device=self.keys.device)
        self._even = len(set(lengths)) == 1

    def adopt(self, index: list[int], part: Cache, lengths: list[int]) -> None:
        """Take over the rows of `part` as our rows `index`, holding `lengths` tokens each."""
        slots = part.keys.shape[3]
        self.keys[:, index, :, :slots] = part.keys
        self.values[:, index, :, :slots] = part.values
        mine = list(self._lengths)
        for row, length in zip(index, lengths, strict=True):
            mine[row] = length
        self.set_lengths(mine)

    def keep(self, index: list[int]) -> None:
        """Forget all rows but those of `index`, which become rows 0, 1, ..."""
        self.keys, self.values = self.keys[:, index], self.values[:, index]
        self.set_lengths([self._lengths[row] for row in index])

    def places(self, T: int) -> Tensor:
        """Positions (B, T) of the next T tokens of each row."""
        return self.lengths[:, None] + torch.arange(T, device=self.lengths.device)

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Store new keys and values (B, K, T, D) of one layer; give all keys and values so far, and a mask.

        The mask (B, 1, T, S) is None where plain causal attention over the given tokens is right.
        """
        T = k.shape[2]
        end = max(self._lengths) + T
        if self._even:
            start = self._lengths[0]
            self.keys[layer, :, :, start:end] = k
            self.values[layer, :, :, start:end] = v
        else:
            rows, places = torch.arange(k.shape[0], device=k.device)[:, None], self.places(T)
            self.keys[layer][rows, :, places] = k.transpose(1, 2)
            self.values[layer][rows, :, places] = v.transpose(1, 2)
        if (self._even and self._lengths[0] == 0) or (self._even and T == 1):
            return self.keys[layer, :, :, :end], self.values[layer, :, :, :end], None
        slots = torch.arange(end, device=k.device)
        mask = (slots <= self.places(T)[:, :, None])[:, None]
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end], mask

    def advance(self, T: int) -> None:
        """Count T more tokens in every row."""
        self.set_lengths([length + T for length in self._lengths])

    @property
    def filled(self) -> list[int]:
        """Tokens in each row."""
        return list(self._lengths)
