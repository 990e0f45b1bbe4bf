"""bajka: train a small GPT from scratch on your own texts, watch it learn, and write with it.

    texts/  ->  formats     Document            each file unpacked, decoded, read
            ->  cleaning    text                named steps, each with a switch
            ->  corpus      Corpus, Split       kept on disk, compared, split without leaks
            ->  tokenizer   Tokenizer           trained on these texts
            ->  tokens      train.bin, val.bin  a batch is a pure function of data, seed and position
            ->  model       Transformer         one model, four stock families
            ->  generation  Text                prefill, decode, sampling
            ->  evaluation  Loss                perplexity, bits per byte, a judge
            ->  planning    Plan                every number of a run, with its reason
            ->  watching    View                terminal, plots, metrics, trackers
            ->  coaching    Advice              what the curve says, and what to turn
            ->  training    StepReport          loop, optimizer, checkpoints, trouble
            ->  export      folders             Hugging Face, model card, hub
            ->  serving     HTTP                the studio
            ->  cli         commands

    import bajka
    run = bajka.train("alice.txt", minutes=5)         # blocks; the same call again continues
    run = bajka.open_run("runs/alice")
    print(run.generate("Alice was", max_new_tokens=40, temperature=0))
    print(run.evaluate().bits_per_byte)

`from bajka.training.steps import steps` is the bare training loop. Nothing heavy is imported until one of these names is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bajka import errors
    from bajka.config import Settings
    from bajka.run import Run, open_run
    from bajka.settings import load_settings
    from bajka.training.train import train

__version__ = "0.1.0"
__all__ = ["Run", "Settings", "__version__", "errors", "load_settings", "open_run", "train"]
_HOMES = {
    "train": "training.train",
    "Run": "run",
    "open_run": "run",
    "Settings": "config",
    "load_settings": "settings",
    "errors": "",
    "training": "",
}


def __getattr__(name: str) -> Any:
    """Import torch only when it is needed."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bajka' has no attribute {name!r}")
    home = _HOMES[name]
    module = importlib.import_module(f"bajka.{home or name}")
    return getattr(module, name) if home else module
