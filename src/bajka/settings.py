"""Settings in and out: from a TOML page, from flat names, back to what was asked; every problem as a sentence.

The page itself, all sections and defaults, is `bajka.config`.
"""

from __future__ import annotations

import difflib
import os
import shlex
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bajka.config import Settings
from bajka.errors import SettingsError

SECTION_OF: dict[str, str] = {
    name: section
    for section, info in Settings.model_fields.items()
    for name in info.annotation.model_fields  # type: ignore[union-attr]
}
"""The section of every field: flat names on the command line and in `bajka.train(...)` are looked up here."""

OTHER_NAMES: dict[str, str] = {
    "block_size": "context_length",
    "max_iters": "steps",
    "max_steps": "steps",
    "batch_size": "global_batch_size",
    "gradient_accumulation_steps": "micro_batch_size",
    "eval_interval": "evaluate_every_steps",
    "eval_iters": "evaluation_windows",
    "warmup_iters": "warmup_steps",
    "lr_decay_iters": "steps",
    "min_lr": "final_rate_share",
    "lr": "learning_rate",
    "grad_clip": "gradient_clip",
    "out_dir": "out",
    "output_dir": "out",
    "init_from": "from_model",
    "from": "from_model",
    "dtype": "precision",
    "num_train_epochs": "epochs",
    "n_embed": "n_embd",
    "d_model": "n_embd",
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "n_positions": "context_length",
}
"""Names that people type from memory of nanoGPT and transformers, and what they are called here."""


OTHER_MEANINGS: dict[str, str] = {
    "min_lr": "a share of the peak rate, not a rate",
    "gradient_accumulation_steps": "the sequences at once, not how many times",
    "eval_iters": "a number of windows, not of batches",
}
"""Of these names: what is meant by ours, which is something else."""


def suggestion(name: str, known: Iterable[str] = tuple(SECTION_OF)) -> str:
    """A sentence part that says which of `known` an unknown setting `name` may have meant, or an empty string."""
    plain = name.strip("-").replace("-", "_")
    if plain in OTHER_NAMES:
        meaning = OTHER_MEANINGS.get(plain)
        return f" (here it is called {OTHER_NAMES[plain]}{f', and is {meaning}' if meaning else ''})"
    close = difflib.get_close_matches(plain, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def shell_word(value: str | Path) -> str:
    """A path or name as one word of a command that a person may copy."""
    text = str(value)
    if os.name == "nt":
        return f'"{text}"' if " " in text else text
    return shlex.quote(text)


def settings_from(sections: dict[str, Any], *, source: str = "the settings") -> Settings:
    """Validate nested `sections` into `Settings`; raises `SettingsError` naming every problem found at once."""
    try:
        return Settings.model_validate(sections)
    except ValidationError as error:
        problems = [_sentence(dict(one)) for one in error.errors()]
    count = "There is a problem" if len(problems) == 1 else f"There are {len(problems)} problems"
    raise SettingsError(f"{count} in {source}:\n" + "\n".join(f"  - {line}" for line in problems))


def settings_with(base: Settings | None = None, /, *, source: str = "the settings", **flat: Any) -> Settings:
    """`base` (default: no wishes) with flat `name=value` wishes on top, as typed on the command line."""
    sections = wishes(base) if base else {}
    unknown = [name for name in flat if name not in SECTION_OF]
    if unknown:
        raise SettingsError("; ".join(f"There is no setting {name}{suggestion(name)}" for name in unknown) + ".")
    lengths = {"minutes", "steps", "epochs"}
    if lengths & {name for name, value in flat.items() if value is not None}:
        sections["schedule"] = {k: v for k, v in sections.get("schedule", {}).items() if k not in lengths}
    for name, value in flat.items():
        sections.setdefault(SECTION_OF[name], {})[name] = value
    return settings_from(sections, source=source)


def wishes(settings: Settings) -> dict[str, Any]:
    """The nested dictionary of what was asked: only what was given, as TOML can hold it."""
    return settings.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def load_settings(path: Path) -> Settings:
    """Read a TOML settings page; raises `SettingsError` when it is missing, ill-formed or wrong."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"There is no settings file {path}. Give the path of an existing .toml file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"The settings file {path} is not valid TOML: {error}. Correct that line.") from error
    return settings_from(sections, source=str(path))


def _sentence(problem: dict[str, Any]) -> str:
    """One problem found by pydantic as a sentence with the name, the value and what to do."""
    where = [str(part) for part in problem["loc"]]
    name = where[1] if len(where) > 1 else (where[0] if where else "")
    message = str(problem["msg"]).removeprefix("Value error, ")
    match problem["type"]:
        case "extra_forbidden" | "model_type" if name in SECTION_OF:
            return f"{name} stands outside its section: put it under [{SECTION_OF[name]}]"
        case "extra_forbidden" if len(where) == 1:
            return f"there is no section {name}{suggestion(name, (*Settings.model_fields, *SECTION_OF))}"
        case "extra_forbidden":
            return f"there is no setting {name}{suggestion(name)}"
        case "model_type":
            return f"{name} = {problem['input']!r}: this is a section, write [{name}] and its settings below"
        case "tuple_type":
            return f"{name} = {problem['input']!r}: write a list, as [{problem['input']!r}]"
        case "value_error":
            return message
        case _:
            return f"{name} = {problem['input']!r}: {message[0].lower()}{message[1:]}"
