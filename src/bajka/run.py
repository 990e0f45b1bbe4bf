"""`Run`: the one handle for what training made. Open it, write with it, judge it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bajka.checkpoint.model_folder import LoadedModel, open_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.errors import RunError, SettingsError
from bajka.evaluation.evaluate import evaluate_model
from bajka.evaluation.loss import Loss
from bajka.generation.sampling import Sampling
from bajka.generation.write import Text, clamp, generate


class Run:
    """A run on disk. The model is loaded when it is first needed, on `device` ("auto": a GPU if there is one)."""

    def __init__(self, folder: RunFolder, *, device: str = "auto") -> None:
        self.folder, self.device = folder, device

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return self.folder.settings

    @property
    def plan(self) -> dict[str, Any]:
        """What was worked out, and what the clock decided."""
        return self.folder.plan

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Every line of metrics.jsonl, in order of steps."""
        return self._there().metrics()

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Every line of samples.jsonl: what was written at each evaluation."""
        return self._there().samples()

    def _there(self) -> RunFolder:
        """The folder; raises `RunError` when it is gone, as after a change of the current folder."""
        if not self.folder.config_file.is_file():
            raise RunError(f"{self.path} is not here (the current folder is {Path.cwd()}).")
        return self.folder

    @cached_property
    def loaded(self) -> LoadedModel:
        """The best model of the run and its tokenizer."""
        return open_model(str(self.path), device=self.device)

    def generate(self, prompt: str = "", *, fields: Mapping[str, str] | None = None, **sampling: Any) -> str:
        """`prompt` continued by the model, as one string.

        `fields` are conditions of a model trained with a template: `{"title": "The Iron Fox", "genre": "horror"}`.
        `sampling` are the fields of `bajka.generation.sampling.Sampling`: `max_new_tokens=40, temperature=0, seed=1`; what
        is left out or None is as the run writes its samples, but each call draws a seed of its own.
        """
        if "n" in sampling:
            raise SettingsError("generate gives one text: write([prompt], n=3) gives several.")
        return self.write([prompt], fields=fields, **sampling)[0].whole

    def write(
        self, prompts: str | Sequence[str], *, n: int = 1, fields: Mapping[str, str] | None = None, **sampling: Any
    ) -> list[Text]:
        """`n` texts for each prompt, in order, with their ids, their seed and why each ended; `sampling` as in `generate`."""
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        wished = {name: value for name, value in sampling.items() if value is not None}
        if unknown := wished.keys() - Sampling.__dataclass_fields__.keys():
            known = ", ".join(Sampling.__dataclass_fields__)
            raise SettingsError(f"There is no way of writing called {min(unknown)}. There are {known}.")
        wished.setdefault("seed", random.SystemRandom().randrange(2**31))
        options, _ = clamp(
            Sampling(**(self.settings.sample.sampling | wished)), vocab_size=self.loaded.tokenizer.vocab_size
        )
        return generate(self.loaded.model, self.loaded.tokenizer, prompts, n=n, fields=fields, sampling=options)

    def evaluate(
        self,
        texts: str | Path | Sequence[str | Path] = (),
        *,
        part: Literal["validation", "test"] = "validation",
        say: Callable[[str], None] = print,
    ) -> Loss:
        """Loss, perplexity, bits per byte and per letter on files or folders, or on a held-out part of the run.

        `say` is told what was read of texts, and what was not.
        """
        named = [texts] if isinstance(texts, str | Path) else texts
        return evaluate_model(self.loaded, [str(one) for one in named], part=part, say=say)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"


def open_run(path: str | Path, *, device: str = "auto") -> Run:
    """The run in the folder `path`; raises `RunError` when there is none."""
    return Run(RunFolder.open(path), device=device)
