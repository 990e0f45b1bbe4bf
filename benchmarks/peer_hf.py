"""Hugging Face's Trainer on GPT2LMHeadModel, as its documentation trains a causal model from scratch.

    python benchmarks/peer_hf.py tokens/ out/ --steps 200 --rate 1e-3 --precision fp32

Needs transformers with its Trainer (`pip install transformers accelerate`). A cosine schedule with warm-up, AdamW with
decay 0.1, clipping at 1 (the Trainer's own default). A callback prints "iter N" after each step; nothing else is ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from peer_arguments import peer_parser
from torch.utils.data import Dataset


class Windows(Dataset):  # type: ignore[type-arg]
    """Windows of a token file without overlap; the model shifts the targets itself."""

    def __init__(self, path: Path, context: int) -> None:
        ids = np.fromfile(path, dtype=np.uint16)
        count = len(ids) // context
        self.ids = ids[: count * context].reshape(count, context)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        ids = torch.from_numpy(self.ids[number].astype(np.int64))
        return {"input_ids": ids, "labels": ids}


class Says(transformers.TrainerCallback):  # type: ignore[misc]
    """A line after each step, for the time stamps."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """`state.global_step` counts from 1."""
        print(f"iter {state.global_step}", flush=True)


def main() -> None:
    """Train and save."""
    parser = peer_parser(__doc__, rate=1e-3, dropout=0.0, seed=1337)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options = parser.parse_args()
    transformers.set_seed(options.seed)
    config = transformers.GPT2Config(
        vocab_size=len(np.load(options.tokens / "bytes.npy")),
        n_positions=options.context,
        n_embd=options.width,
        n_layer=options.layers,
        n_head=options.heads,
        resid_pdrop=options.dropout,
        embd_pdrop=options.dropout,
        attn_pdrop=options.dropout,
        bos_token_id=None,
        eos_token_id=None,
    )
    settings = transformers.TrainingArguments(
        output_dir=str(options.out),
        max_steps=options.steps,
        per_device_train_batch_size=options.batch,
        learning_rate=options.rate,
        lr_scheduler_type="cosine",
        warmup_steps=min(100, options.steps // 10),
        weight_decay=0.1,
        adam_beta2=0.99,
        bf16=options.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to="none",
        logging_steps=100,
        disable_tqdm=True,
        seed=options.seed,
    )
    trainer = transformers.Trainer(
        model=transformers.GPT2LMHeadModel(config),
        args=settings,
        train_dataset=Windows(options.tokens / "train.bin", options.context),
        callbacks=[Says()],
    )
    trainer.train()
    trainer.save_model(str(options.out))
    print("saved", flush=True)


if __name__ == "__main__":
    main()
