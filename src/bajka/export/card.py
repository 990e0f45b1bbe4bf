"""The model card: what a model is, how it was made, how good it is and what it is not, from the facts of its run.

Nothing of the person's computer goes into it: no path, no name of a file, no training text. What it shows of texts are
the samples that the model wrote while it was trained.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bajka.checkpoint.model_folder import LoadedModel
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import DamagedFileError, RunError, SettingsError
from bajka.model.config import ModelConfig
from bajka.model.estimate import parameters
from bajka.model.families import ARCHITECTURES
from bajka.paths import typed
from bajka.planning.teacher import OWN

PLACE = "path/to/this/folder"
"""What stands in the card's code for a model that has no name on the hub."""

_MOST_SAMPLES, _LONGEST_SAMPLE = 3, 800
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True)
class Facts:
    """What a run says of one of its models; everything is empty for a model that is of no run."""

    title: str
    run: RunFolder | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    base: str | None = None


def model_card(
    loaded: LoadedModel, *, repo_id: str | None = None, license: str | None = None, language: Sequence[str] = ()
) -> str:
    """The README.md of a model, with its YAML header; `repo_id` is where it will be on the hub.

    `license` and `language` stand in the header only when given; `SettingsError` when they are ill-formed.
    """
    facts = read_facts(loaded)
    title = repo_id.partition("/")[2] if repo_id else facts.title
    config = loaded.model.config
    parts = [
        _header(facts, license, language),
        f"# {title}\n\n{_summary(facts)}\n\n{_table(config, facts)}",
        _quality(facts),
        _samples(facts),
        _usage(repo_id or PLACE, facts),
        _limits(facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def read_facts(loaded: LoadedModel) -> Facts:
    """The facts of the run that the model's folder belongs to, if it belongs to one."""
    run = run_of(loaded.folder)
    if run is None:
        return Facts(Path(loaded.name).name or "model")
    try:
        plan = run.plan
    except DamagedFileError:
        plan = {}
    step = _step_of(loaded.folder, run)
    lines = [line for line in run.metrics() if line["step"] <= step]
    quality: dict[str, Any] = next((line for line in reversed(lines) if "val_loss" in line), {})
    training: dict[str, Any] = next((line for line in reversed(lines) if "train_loss" in line), {})
    if loaded.folder.name == "model" and (run.read_pointer("best") or {}).get("weights") == "average":
        quality = _of_average(quality)
    samples = [line for line in run.samples() if line["step"] == quality.get("step")]
    base = hub_name(run.settings.train.from_model)
    return Facts(run.path.resolve().name, run, plan, training, quality, samples, base)


def _of_average(line: dict[str, Any]) -> dict[str, Any]:
    """An evaluation's numbers for the average of the weights, of which the loss alone was written down."""
    loss = line.get("average_val_loss")
    if loss is None:
        return line
    ratio = loss / line["val_loss"]
    bits = {name: ratio * line[name] for name in ("val_bits_per_byte", "val_bits_per_letter") if name in line}
    return line | bits | {"val_loss": loss, "val_perplexity": math.exp(min(loss, 700.0))}


def run_of(folder: Path) -> RunFolder | None:
    """The run whose `model/` or checkpoint `folder` is."""
    folder = folder.resolve()
    candidates = {"model": folder.parent, "checkpoints": folder.parent.parent}
    place = candidates.get(folder.name) or candidates.get(folder.parent.name)
    try:
        return RunFolder.open(place) if place else None
    except RunError:
        return None


def hub_name(name: str | None) -> str | None:
    """`name` if it is a model that was had from the hub: a local path never comes out."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if not name or typed(name).exists():
        return None
    try:
        return name if isinstance(try_to_load_from_cache(name, "config.json"), str) else None
    except HFValidationError:
        return None


def _step_of(folder: Path, run: RunFolder) -> int:
    """The step at which a model folder of `run` was made."""
    number = re.match(r"step-(\d+)", folder.name)
    return int(number[1]) if number else int((run.read_pointer("best") or {}).get("step", 0))


def _header(facts: Facts, license: str | None, language: Sequence[str]) -> str:
    from huggingface_hub import ModelCardData

    if license is not None and not _LICENSE.fullmatch(license):
        raise SettingsError(
            f"license = {license!r} is not the hub's name of a licence: write one like mit or cc-by-4.0."
        )
    for one in language:
        if not _LANGUAGE.fullmatch(one):
            raise SettingsError(f"language = {one!r} is not a code: write one like hr, en or zh-TW.")
    data = ModelCardData(
        language=list(language) or None,
        license=license,
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["bajka", "small-language-model"],
        base_model=facts.base,
    )
    return f"---\n{data.to_yaml().strip()}\n---"


def _summary(facts: Facts) -> str:
    if facts.base:
        made = f"It was trained with bajka from the weights of [{facts.base}](https://huggingface.co/{facts.base})."
    elif facts.run is None:
        made = "Its folder was written by bajka."
    elif facts.run.settings.train.from_model:
        made = "It was trained with bajka, on one computer, from the weights of another model."
    else:
        made = "It was trained from scratch, on one computer, with bajka."
    teacher = None if facts.run is None else facts.run.settings.train.teacher
    if teacher not in (None, "none", OWN):
        made += (
            f" Beside its texts it learnt what another model expects ({hub_name(teacher) or 'one of this computer'})."
        )
    return f"A small language model that goes on with a text in the manner of the texts it learnt from. {made}"


def _table(config: ModelConfig, facts: Facts) -> str:
    architecture, _ = ARCHITECTURES[config.family]
    origin = "the shape of Qwen3, none of its weights; " if config.family == "modern" and not facts.base else ""
    shape = f"{_count(config.n_layer, 'layer')}, {config.n_embd} wide, {_count(config.n_head, 'head')}"
    rows = [
        ("architecture", f"`{architecture}` ({origin}{shape})"),
        ("weights", f"{parameters(config):,} ({parameters(config, embeddings=False):,} without embeddings)"),
        ("context", f"{config.context_length:,} tokens"),
        ("vocabulary", f"{config.vocab_size:,} entries"),
    ]
    data, machine, training = facts.plan.get("data", {}), facts.plan.get("machine", {}), facts.training
    if "train_tokens" in data:
        documents = _count(data.get("documents", 0), "document")
        rows.append(("training text", f"{data['train_tokens']:,} tokens in {documents}"))
    if training:
        times = f", {training['epoch']:.1f} times the text" if "epoch" in training else ""
        rows.append(("training", f"{training['step']:,} steps, {training.get('tokens', 0):,} tokens{times}"))
    if training and machine:
        minutes = f"{training.get('seconds', 0) / 60:.1f} minutes"
        rows.append(("time", f"{minutes} on {machine.get('name', 'one machine')}, {machine.get('precision', '')}"))
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _quality(facts: Facts) -> str:
    found = facts.quality
    if not found:
        return ""
    data = facts.plan.get("data", {})
    rows = [
        ("bits per byte", f"{found.get('val_bits_per_byte', float('nan')):.4f}"),
        ("bits per letter", f"{found.get('val_bits_per_letter', float('nan')):.4f}"),
        ("loss", f"{found['val_loss']:.4f} nats a token of this vocabulary"),
        ("perplexity", f"{found.get('val_perplexity', float('nan')):,.2f} a token of this vocabulary"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return (
        f"## How good it is\n\nMeasured at step {found['step']:,} on {data.get('validation_tokens', 0):,} held-out tokens: "
        f"{_held_out(data)}.\n\n| | |\n|---|---|\n{table}\n\n"
        "Bits per byte and per letter can be compared with other models on the same text; loss and perplexity only with "
        "models of the same vocabulary."
    )


def _held_out(data: dict[str, Any]) -> str:
    """How the validation text was chosen. The split's own words name a file when one text is cut, so not then."""
    if data.get("same_book"):
        return "the ends of the same texts that it learnt from"
    try:
        meta = json.loads((Path(data["folder"]) / "meta.json").read_text(encoding="utf-8"))
        return str(meta["split"]["how"])
    except (OSError, ValueError, KeyError, TypeError):
        return "text that training never read"


def _samples(facts: Facts) -> str:
    blocks = []
    for line in facts.samples[:_MOST_SAMPLES]:
        prompt, text = str(line.get("prompt", "")), str(line.get("text", ""))[:_LONGEST_SAMPLE]
        fence = "`" * (3 + max((len(run) for run in re.findall(r"`{3,}", prompt + text)), default=0))
        begun = f"Begun with “{_one_line(prompt)}”" if prompt else "Begun with nothing"
        blocks.append(f"{begun}:\n\n{fence}text\n{(prompt + text).strip()}\n{fence}")
    return "## What it writes\n\nNot chosen by hand.\n\n" + "\n\n".join(blocks) if blocks else ""


def _usage(place: str, facts: Facts) -> str:
    sample = facts.run.settings.sample if facts.run else None
    temperature = sample.temperature if sample and sample.temperature > 0 else 0.8
    length = sample.max_new_tokens if sample else 120
    prompt = next((str(line["prompt"]) for line in facts.samples if line.get("prompt")), "Once upon a time")
    return f"""## How to use it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{place}")
model = AutoModelForCausalLM.from_pretrained("{place}")
inputs = tokenizer({_one_line(prompt)!r}, return_tensors="pt")
ids = model.generate(**inputs, max_new_tokens={length}, do_sample=True, temperature={temperature:g}, top_k=0)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
```

Or with bajka:

```sh
bajka generate {place} {shlex.quote(_one_line(prompt))} -n 3
```"""


def _limits(facts: Facts) -> str:
    same = (
        " Its numbers say how well it continues these very texts."
        if facts.plan.get("data", {}).get("same_book")
        else ""
    )
    return (
        "## What it is not\n\nIt does not chat, does not follow instructions and knows no facts: what it writes is made up. "
        "It repeats the habits and prejudices of its texts. A model of little text may repeat parts of that text word for "
        f"word.{same}"
    )


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
