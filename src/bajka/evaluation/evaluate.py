"""`evaluate`: the final word on a model, strided over held-out text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from bajka.checkpoint.model_folder import LoadedModel
from bajka.checkpoint.run_folder import RunFolder
from bajka.corpus import read_corpus
from bajka.corpus.telling import what_was_read
from bajka.errors import ModelError, SettingsError, TokenizerError
from bajka.evaluation.loss import Loss, strided_loss
from bajka.paths import absolute
from bajka.settings import settings_with, shell_word
from bajka.tokens.store import TokenSet, open_token_data, token_set

Part = Literal["validation", "test"]

LOSS_CHUNK = 1024
"""Tokens whose logits are in memory at once."""


def evaluate_model(
    loaded: LoadedModel,
    texts: Sequence[str] = (),
    *,
    part: Part = "validation",
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[float], None] = lambda share: None,
) -> Loss:
    """Strided loss on `texts` (files and folders; equal documents once), or on a held-out `part` of the run that was named.

    `say` is told what was read and what was not. Raises `ModelError` when there are no texts and the model is no run with
    prepared data, `SettingsError` for a part of texts.
    """
    if texts and part != "validation":
        raise SettingsError(f"part = {part} is of the text that a run held out: leave it, or the texts, out.")
    if loaded.model.loss_chunk is None:  # all logits of a large vocabulary at once may be more than there is memory
        loaded.model.loss_chunk = LOSS_CHUNK
    return strided_loss(loaded.model, held_out_tokens(loaded, texts, part=part, say=say), progress=progress)


def held_out_tokens(
    loaded: LoadedModel,
    texts: Sequence[str] = (),
    *,
    part: Part = "validation",
    say: Callable[[str], None] = lambda line: None,
) -> TokenSet:
    """Ids of `texts` (files and folders), or of a held-out `part` of the run that was named.

    Texts are read and cleaned as the run's own were, but for its limit and its encodings, which name its own files.
    """
    if not texts:
        return held_out_of(loaded, part)
    run = run_of(loaded)
    settings = settings_with(
        None if run is None else run.settings,
        texts=tuple(texts),
        template=loaded.tokenizer.template,
        limit=None,
        encoding=(),
    )
    if run is not None and (known := _learned_from(run, texts)):
        say(f"{run.path} learned from {known}: but for what it held out, the result is that of texts that it knows.")
    corpus = read_corpus(settings.corpus, settings.cleaning)
    for line in what_was_read(corpus):
        say(line)
    return token_set(corpus.documents, loaded.tokenizer)


def _learned_from(run: RunFolder, texts: Sequence[str]) -> str:
    """The first of the texts that a run learned from, or that lies in them or holds them; "" when none does."""
    own = [Path(absolute(one)) for one in run.moved(run.plan["data"])["texts"]]
    for text in texts:
        place = Path(absolute(text))
        if any(place.is_relative_to(one) or one.is_relative_to(place) for one in own):
            return text
    return ""


def run_of(loaded: LoadedModel) -> RunFolder | None:
    """The run that `loaded` is the model or a checkpoint of, if it is of one."""
    above = loaded.folder.absolute().parents[:2]  # runs/alice/model, runs/alice/checkpoints/step-000400
    folder = next((f for f in above if (f / "config.toml").is_file() and (f / "plan.json").is_file()), None)
    return None if folder is None else RunFolder.open(folder)


def held_out_of(loaded: LoadedModel, part: Part) -> TokenSet:
    """The ids of a part of the run that `loaded` came from."""
    run = run_of(loaded)
    if run is None:
        raise ModelError(
            f"{loaded.name} is no run, so it has no validation text of its own: bajka evaluate MODEL TEXTS"
        )
    facts = run.plan["data"]
    prepared = run.data_at(facts["folder"])
    if not (prepared / "meta.json").is_file():
        raise ModelError(
            f"The prepared data {prepared} of this run is gone. Name texts that it did not learn from: bajka evaluate "
            f"{shell_word(loaded.name)} TEXTS"
        )
    data = open_token_data(prepared)
    if data.tokenizer_fingerprint != loaded.tokenizer.fingerprint:
        raise TokenizerError(
            f"The ids in {prepared} were made by the tokenizer {data.tokenizer_fingerprint}, not by this model's "
            f"({loaded.tokenizer.fingerprint}). Name texts to evaluate on."
        )
    if part not in ("validation", "test"):
        raise SettingsError(f'part = {part!r}: a run has a "validation" and perhaps a "test" part.')
    if part == "validation":
        return data.validation
    if data.test is None:
        raise ModelError(
            f"The run of {loaded.name} held no test part out. Train with --test-share 0.05 for one, or name texts."
        )
    return data.test
