"""`bajka demo`: from nothing to a model that writes tales, in two to three minutes, with nothing to download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import tyro

from bajka.cli.common import say

TALES = 12_000
SHAPE: dict[str, Any] = {
    "vocab_size": 2048,  # every name is one token
    "n_layer": 4,
    "n_embd": 128,
    "n_head": 2,
    "context_length": 160,
    "global_batch_size": 16,
    "windows": "documents",  # whole tales in view: heroes' names are not learnt in windows cut anywhere
    "learning_rate": 0.01,
    "adamw_learning_rate": 3e-3,
    "dropout": 0.0,
    "weight_decay": 0.0,
}
PROMPT = "Once upon a time, "


def demo(
    minutes: float = 2.2, out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("runs/demo"), seed: int = 1337
) -> None:
    """Train a small model on built-in tales (made by a grammar, nothing is downloaded) and let it write new ones.

    Args:
        minutes: How long to train.
        out: The folder of the run.
        seed: Seed of the training and of the new tales.
    """
    from bajka.checkpoint.run_folder import RunFolder
    from bajka.cli.main import STARTED
    from bajka.corpus.tales import write_tales
    from bajka.settings import shell_word
    from bajka.training.clock import Clock
    from bajka.training.train import train

    tales = write_tales(TALES)
    file = save_tales(tales, RunFolder(out).data_parent / ".demo" / "tales-en.jsonl")
    say(f"{len(tales):,} built-in tales are in {file}. The first one:\n\n  {tales[0]}\n")
    run = train(
        [file],
        out=str(out),
        minutes=minutes,
        seed=seed,
        prompts=["", PROMPT],
        max_new_tokens=200,
        compile="off",
        clock=Clock(began=STARTED),
        **SHAPE,
    )
    say("\nHow it learnt to write (the beginning of what it wrote from nothing):\n")
    for step, beginning in through_time(run.folder.samples()):
        say(f"  step {step:>5,}:  {beginning}")
    say("\nThree new tales:\n")
    known = set(tales)
    for text in run.write(["", "", ""], max_new_tokens=250, temperature=0.8, seed=seed):
        note = "  (word for word one of the built-in tales)" if text.text.strip() in known else ""
        say(f"  {text.text.strip()}{note}\n")
    name = shell_word(run.path)
    say(f'More of them:          bajka generate {name} "Once upon a time" -n 3')
    say(f"A page to write with:  bajka studio {name}")
    say("Now your own texts:    bajka train path/to/your/texts --minutes 10")


def save_tales(tales: list[str], path: Path) -> Path:
    """The tales as a .jsonl, one document a line."""
    from bajka import durable

    durable.write_text(path, "".join(json.dumps({"text": tale}, ensure_ascii=False) + "\n" for tale in tales))
    return path


def through_time(samples: list[dict[str, object]], *, most: int = 6) -> list[tuple[int, str]]:
    """Step and first words of what was written from nothing: the first, the last, and some between."""
    found = [(int(str(s["step"])), " ".join(str(s["text"]).split())[:100]) for s in samples if s["prompt"] == ""]
    if len(found) <= most:
        return found
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]
