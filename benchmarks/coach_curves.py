"""Record the curves that the coach's tests read: `python benchmarks/coach_curves.py tests/coaching/curves [NAME ...]`.

Each is a real run of a minute or less on one thread, over the built-in tales or over made-up text; kept are the run's
plan.json without paths and every k-th line of its metrics.jsonl, as columns.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import bajka
from bajka.coaching.facts import text_facts
from bajka.corpus.tales import write_tales
from bajka.evaluation.loss import windows_loss
from bajka.tokens.store import open_token_data, token_set
from bajka.training.session import Session
from bajka.training.steps import StepReport
from bajka.watching.view import SilentView

SHAPE: dict[str, Any] = {
    "n_layer": 2,
    "n_embd": 64,
    "context_length": 64,
    "global_batch_size": 8,
    "vocab_size": 1024,
    "precision": "fp32",
    "compile": "off",
    "prompts": ("The",),
    "max_new_tokens": 1,
    "evaluation_windows": 48,
    "save_every_minutes": 60,
}
KEPT = ("step", "seconds", "train_loss", "learning_rate", "gradient_norm", "tokens_per_second")
JUDGED = ("step", "seconds", "val_loss", "train_sample_loss", "val_bits_per_byte")
STEP_LINES = 240


def made_up(count: int, *, seed: int = 0, words: int = 5000) -> list[str]:
    """`count` texts of some 600 bytes in made-up words: frequencies as in real text, likely neighbours, a topic each."""
    grammar, draw = random.Random(0), random.Random(f"texts {seed}")
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or")]
    lexicon = list(
        dict.fromkeys("".join(grammar.choices(syllables, k=grammar.choice((1, 2, 2, 3)))) for _ in range(words))
    )
    weights = [1.0 / (rank + 3) for rank in range(len(lexicon))]
    numbers = range(len(lexicon))
    after = [grammar.choices(numbers, weights, k=12) for _ in numbers]
    texts = []
    for _ in range(count):
        topic, word, sentences = draw.choices(numbers, k=20), draw.choice(numbers), []
        for _ in range(draw.randint(5, 12)):
            sentence = []
            for _ in range(draw.randint(5, 14)):
                kind = draw.random()
                if kind < 0.6:
                    word = draw.choice(after[word])
                else:
                    word = draw.choice(topic) if kind < 0.7 else draw.choices(numbers, weights)[0]
                sentence.append(lexicon[word])
            sentences.append(" ".join(sentence).capitalize() + ".")
        texts.append(" ".join(sentences))
    return texts


Recorded = tuple[str, Callable[[], list[str]], dict[str, Any]]


def tales(count: int) -> Callable[[], list[str]]:
    return lambda: write_tales(count)


def texts(count: int) -> Callable[[], list[str]]:
    return lambda: made_up(count)


ADAMW = {"optimizer": "adamw"}
SMALL: dict[str, Any] = {
    "n_layer": 1,
    "n_embd": 32,
    "context_length": 32,
    "vocab_size": 512,
    "evaluation_windows": 32,
}
RUNS: dict[str, Recorded] = {
    "healthy": ("as planned, plenty of text", texts(6000), {"steps": 1200}),
    "healthy_half": ("half as long as healthy", texts(6000), {"steps": 600}),
    "healthy_double": ("twice as long as healthy", texts(6000), {"steps": 2400}),
    "healthy_tales": ("tales, as planned", tales(2000), SMALL | {"steps": 400}),
    "cosine": ("AdamW under a cosine", texts(2000), ADAMW | SMALL | {"steps": 300, "schedule": "cosine"}),
    "cosine_double": ("twice as long as cosine", texts(2000), ADAMW | SMALL | {"steps": 600, "schedule": "cosine"}),
    "constant": ("a constant rate", texts(2000), SMALL | {"steps": 400, "schedule": "constant"}),
    "plateau": (
        "reduced on plateau",
        tales(2000),
        SMALL | {"steps": 500, "schedule": "plateau", "plateau_every_steps": 50},
    ),
    "small_batches": ("one window a step: noisy", texts(2000), SMALL | {"steps": 800, "global_batch_size": 1}),
    "small_steps": (
        "tales, small steps",
        tales(4000),
        SMALL | {"steps": 1500, "global_batch_size": 4},
    ),
    "resumed": ("torn out of its loop at step 230, then continued", texts(2000), SMALL | {"steps": 500}),
    "fine_tuned": ("a model of tales goes on with made-up text", texts(2000), {"steps": 250}),
    "gentle": ("a model of tales goes on with more tales", lambda: write_tales(3000, seed=5), {"steps": 200}),
    "overfitting": ("40 tales, many epochs", tales(40), {"steps": 1500}),
    "standing_still": ("60 texts, AdamW: validation stands still", texts(60), ADAMW | SMALL | {"steps": 500}),
    "read_often": (
        "400 texts read four times: a gap, and no harm",
        texts(400),
        SMALL | {"steps": 1000, "dropout": 0.0},
    ),
    "too_little_text": ("a model far too large for 100 texts", texts(100), {"steps": 300, "n_embd": 256, "n_layer": 4}),
    "rate_too_high_adamw": ("AdamW at 0.1", texts(6000), ADAMW | {"steps": 600, "learning_rate": 0.1}),
    "rate_too_high_adamw_1": ("AdamW at 1", texts(2000), ADAMW | SMALL | {"steps": 300, "learning_rate": 1.0}),
    "rate_too_high_muon": ("Muon at 1", texts(6000), {"steps": 600, "learning_rate": 1.0}),
    "spikes": (
        "post-norm, AdamW at 0.02",
        texts(6000),
        ADAMW | {"steps": 600, "family": "gpt1", "learning_rate": 0.02},
    ),
    "spikes_unclipped": (
        "gpt2, AdamW at 0.3, gradients not clipped",
        texts(6000),
        ADAMW | {"steps": 600, "family": "gpt2", "learning_rate": 0.3, "gradient_clip": 0.0},
    ),
    "jump": (
        "gpt2 at 2e-3; from step 200 on the person asks for 0.3",
        texts(2000),
        ADAMW | SMALL | {"steps": 400, "family": "gpt2", "schedule": "constant"},
    ),
    "rate_high_but_well": (
        "AdamW at 0.01: high, and well",
        texts(2000),
        ADAMW | SMALL | {"steps": 400, "learning_rate": 0.01},
    ),
    "rate_too_low_adamw": ("AdamW at 1e-5", texts(6000), ADAMW | {"steps": 600, "learning_rate": 1e-5}),
    "rate_too_low_muon": (
        "Muon at 1e-4, AdamW part at 3e-5",
        texts(2000),
        SMALL | {"steps": 400, "learning_rate": 1e-4, "adamw_learning_rate": 3e-5},
    ),
    "rate_low_but_well": ("AdamW at 1e-3", texts(2000), ADAMW | SMALL | {"steps": 400, "learning_rate": 1e-3}),
    "large_vocabulary": ("8,000 entries for 300 texts", texts(300), {"steps": 400, "vocab_size": 8000}),
    "slowed_down": ("another program takes the processor from step 250 on", texts(2000), SMALL | {"steps": 500}),
}


class Torn(SilentView):
    """Tears the run out of its loop at a step; or makes every step from one on thrice as long."""

    def __init__(self, *, tear_at: int | None = None, slow_from: int | None = None) -> None:
        self.tear_at, self.slow_from = tear_at, slow_from

    def step(self, report: StepReport, **facts: Any) -> None:
        """See above; the other program is a product of matrices on the same thread."""
        if report.step == self.tear_at:
            raise KeyboardInterrupt
        if self.slow_from is not None and report.step > self.slow_from:
            a = torch.randn(600, 600)
            for _ in range(4):
                a @ a


def main() -> None:
    """Record the runs that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names or RUNS:
        with tempfile.TemporaryDirectory() as scratch:
            curve = record(name, Path(scratch))
        (options.folder / f"{name}.json").write_text(json.dumps(curve, separators=(",", ":")) + "\n")
        print(name, len(curve["steps"]["step"]), curve["evaluations"]["val_loss"][-3:], flush=True)


def record(name: str, scratch: Path) -> dict[str, Any]:
    """Do the run and give what is kept of it."""
    about, write, wishes = RUNS[name]
    wishes = SHAPE | wishes
    source = scratch / "texts.txt"
    source.write_text("\n\n".join(write()))
    out = str(scratch / "run")
    match name:
        case "resumed":
            try:
                bajka.train(source, view=Torn(tear_at=230), out=out, save_every_steps=100, **wishes)
            except KeyboardInterrupt:
                run = bajka.train(source, view=SilentView(), out=out, save_every_steps=100, **wishes)
        case "jump":
            try:
                bajka.train(source, view=Torn(tear_at=201), out=out, save_every_steps=200, **wishes)
            except KeyboardInterrupt:
                run = bajka.train(out, view=SilentView(), learning_rate=0.3)
        case "slowed_down":
            run = bajka.train(source, view=Torn(slow_from=250), out=out, **wishes)
        case "fine_tuned" | "gentle":
            run = fine_tune(source, scratch, out, wishes)
        case _:
            run = bajka.train(source, view=SilentView(), out=out, **wishes)
    return kept(about, run.plan, run.metrics)


def fine_tune(source: Path, scratch: Path, out: str, wishes: Mapping[str, Any]) -> bajka.Run:
    """A base on tales, then the new texts, with the loss on the tales beside: "val_loss/first"."""
    first = scratch / "first.txt"
    first.write_text("\n\n".join(write_tales(3000)))
    base = bajka.train(first, view=SilentView(), out=str(scratch / "base"), **(SHAPE | {"steps": 300}))
    held = write_tales(3300)[3000:]
    record_losses = Session._record_losses

    def with_first(session: Session, losses: Any, improved: bool) -> None:
        tokens = token_set(held, session.inputs.tokenizer)
        found = windows_loss(session.state.model, tokens, end_of_text=session.inputs.data.end_of_text, most_windows=48)
        session.record.metrics(session.state.step, first=found.loss)
        record_losses(session, losses, improved)

    shape = {name: value for name, value in wishes.items() if name not in ("n_layer", "n_embd", "vocab_size")}
    with mock.patch.object(Session, "_record_losses", with_first):
        return bajka.train(source, view=SilentView(), out=out, from_model=str(base.path), **shape)


def kept(about: str, plan: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns and the plan, without the paths of this machine."""
    plan = json.loads(json.dumps(plan))
    data = open_token_data(Path(plan["data"]["folder"]))
    plan["data"] |= text_facts(data.train, data.vocab_size)
    plan["plan"]["reasons"], plan["plan"]["notes"] = {}, []
    plan["data"]["folder"], plan["data"]["texts"] = "data/texts", ["texts.txt"]
    plan["machine"]["name"] = "a CPU (1 thread)"
    plan["asked"].get("corpus", {})["texts"] = ["texts.txt"]
    plan["asked"].get("train", {}).pop("from_model", None) and plan["asked"]["train"].update(from_model="runs/base")
    stepped = [line for line in lines if "learning_rate" in line]
    every = max(1, math.ceil(len(stepped) / STEP_LINES))
    judged = [line for line in lines if "val_loss" in line]
    first = {line["step"]: line["first"] for line in lines if "first" in line}
    columns = {name: [_short(line.get(name)) for line in judged] for name in JUDGED}
    if first:
        columns["val_loss/first"] = [_short(first.get(line["step"])) for line in judged]
    return {
        "about": about,
        "plan": plan,
        "steps": {name: [_short(line.get(name)) for line in stepped[every - 1 :: every]] for name in KEPT},
        "evaluations": columns,
    }


def _short(value: float | None) -> float | None:
    """Five digits are enough."""
    return value if value is None or isinstance(value, int) else float(f"{value:.5g}")


if __name__ == "__main__":
    main()
