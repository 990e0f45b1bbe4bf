"""A look at a model while it trains: its loss on held-out and on training text, and texts that it writes. Changes
nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bajka.checkpoint.run_folder import RunFolder
from bajka.config import SampleSettings
from bajka.evaluation.loss import Loss, windows_loss
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text, generate, measure_speed
from bajka.hardware import Machine
from bajka.model.transformer import Transformer
from bajka.planning.looks import rows_at_once, sample_windows
from bajka.planning.plan import Plan
from bajka.tokens import TokenSet
from bajka.training.inputs import Inputs


@dataclass(frozen=True)
class Losses:
    """Validation loss, and the loss of a sample of the training text with dropout off.

    `named` are the losses of further texts by name, `average` is the validation loss of the average of the weights,
    when there is one.
    """

    validation: Loss
    sample: Loss
    named: dict[str, Loss] = field(default_factory=dict)
    average: Loss | None = None

    @property
    def named_metrics(self) -> dict[str, float]:
        """What metrics.jsonl holds of further texts: "val_loss/poems", "val_bits_per_byte/poems"."""
        losses = {f"val_loss/{name}": loss.loss for name, loss in self.named.items()}
        return losses | {f"val_bits_per_byte/{name}": loss.bits_per_byte for name, loss in self.named.items()}

    @property
    def best(self) -> float:
        """The lower one of both validation losses."""
        return self.validation.loss if self.average is None else min(self.validation.loss, self.average.loss)


def validation_loss(model: Transformer, inputs: Inputs, plan: Plan, machine: Machine) -> Loss:
    """Loss over the plan's number of validation windows."""
    return _loss(model, inputs.data.validation, inputs, plan, machine)


def losses_of(model: Transformer, inputs: Inputs, plan: Plan, machine: Machine) -> Losses:
    """Loss over windows of the validation text, of each further corpus, and over some of the training text, whose loss
    only has to show a gap."""
    validation = validation_loss(model, inputs, plan, machine)
    some = replace(plan, evaluation_windows=sample_windows(plan.evaluation_windows))
    sample = _loss(model, inputs.data.train, inputs, some, machine)
    named = {one.name: _loss(model, one.data.validation, inputs, plan, machine) for one in inputs.further}
    return Losses(validation, sample, named)


def say_named(losses: Losses, inputs: Inputs, run: RunFolder) -> list[str]:
    """A sentence for each further corpus, beside what it was at the beginning of the run."""
    start = _first_evaluation(run) if losses.named else {}
    lines = []
    for one in inputs.further:
        now, first = losses.named[one.name].bits_per_byte, start.get(f"val_bits_per_byte/{one.name}")
        whose = f"what it learned before ({one.name})" if one.kind == "earlier" else one.name
        was = "" if first is None or first == now else f", was {first:.4f} at the start"
        lines.append(f"  on {whose}: {now:.4f} bits a byte{was}")
    return lines


def _first_evaluation(run: RunFolder) -> dict[str, Any]:
    """The first line of metrics.jsonl that has a validation loss."""
    return next((line for line in run.metrics() if "val_loss" in line), {})


def _loss(model: Transformer, tokens: TokenSet, inputs: Inputs, plan: Plan, machine: Machine) -> Loss:
    return windows_loss(
        model,
        tokens,
        end_of_text=inputs.data.end_of_text,
        most_windows=plan.evaluation_windows,
        rows=rows_at_once(plan.model.context_length),
        dtype=machine.dtype,
        documents=plan.windows == "documents",
    )


def samples(model: Transformer, inputs: Inputs, settings: SampleSettings, *, seed: int) -> tuple[list[Text], float]:
    """A text for each of the person's prompts (or the corpus's openings), and the speed of writing in tokens/s.

    The random numbers are keyed by `seed` and are their own: training draws the same with and without samples.
    """
    prompts = settings.prompts or inputs.openings
    if not prompts:
        return [], 0.0
    texts = generate(model, inputs.tokenizer, prompts, sampling=sampling_of(settings, seed=seed))
    return texts, measure_speed(model, inputs.tokenizer, tokens=32)


def sampling_of(settings: SampleSettings, *, seed: int) -> Sampling:
    """The sampling that the settings ask for."""
    return Sampling(
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_k=settings.top_k,
        top_p=settings.top_p,
        min_p=settings.min_p,
        repetition_penalty=settings.repetition_penalty,
        seed=seed,
    )
