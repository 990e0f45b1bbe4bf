"""The room that a run's checkpoints take on the disk: told before the first step, not at three in the morning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DiskError, free_space, readable
from bajka.model.estimate import parameters
from bajka.model.transformer import Transformer
from bajka.tokenizer import Tokenizer

MOST_CHECKPOINTS = 5
"""The last two, the best, the one before the cooldown, and the one that is being written."""
_HEADER = 120  # bytes that a tensor's name, type, shape and place take in a .safetensors file
_SMALL_FILES = 5_000  # config.json, generation_config.json, tokenizer_config.json, state.json, manifest.json


def checkpoint_bytes(model: Transformer, tokenizer: Tokenizer, tensors: Mapping[str, Tensor]) -> int:
    """Bytes of one checkpoint of `model` (fp32) with `tensors` (the optimizer's, averages) as its state, within a tenth."""
    state = sum(tensor.nbytes + _HEADER for tensor in tensors.values())
    weights = 4 * parameters(model.config) + _HEADER * len(model.state_dict())
    return state + weights + len(tokenizer.backend.to_str(pretty=True).encode("utf-8")) + _SMALL_FILES


def check_space(run: RunFolder, size: int, *, say: Callable[[str], None]) -> None:
    """Warn when the disk will not hold all checkpoints of `size` bytes that a run keeps at once.

    Raises `DiskError` when there is no room to write one beside one that is complete.
    """
    there, free = _size_of(run.checkpoints), free_space(run.path)
    least = size if there else 2 * size
    if free < least:
        raise DiskError(
            f"A checkpoint of {run.path} takes about {readable(size)}, and {'one more' if there else 'two'} must fit: "
            f"{readable(least)} are needed, {readable(free)} are free. Free some space, or choose another disk with --out."
        )
    if free + there < MOST_CHECKPOINTS * size:
        say(
            f"Warning: up to {MOST_CHECKPOINTS} checkpoints of {readable(size)} are on the disk at once, "
            f"{readable(MOST_CHECKPOINTS * size - there)} more than now, and {readable(free)} are free. When it is full, "
            "the run stops and can be continued: free some space in time."
        )


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
