"""What the model of --from learned before: its texts, to see how much of them is forgotten and to replay some."""

from __future__ import annotations

from pathlib import Path

from bajka.checkpoint.model_folder import LoadedModel
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.errors import InputError, RunError, SettingsError, TokenizerError
from bajka.progress import Progress
from bajka.settings import settings_with
from bajka.tokenizer import TRAINED_TO_SIZE, Tokenizer
from bajka.tokens import TokenData
from bajka.training.inputs import Further, Say, name_after, open_inputs, prepare_inputs


def earlier_corpus(base: LoadedModel, settings: Settings, *, say: Say, progress: Progress) -> Further | None:
    """The corpus of the run that `base` came from, as it was prepared there; None when it is not to be had.

    With `settings.train.replay` it must be: then `InputError` says why it is not.
    """
    share, run = settings.train.replay or 0.0, run_of(base)
    if run is None and share:
        raise RunError(
            f"replay = {share:g} takes windows from the texts that the model of --from learned from, but {base.name} is no "
            f"run of bajka, so they are not known. Mix in texts of that kind instead: --mix TEXTS={share:g}"
        )
    if run is None:
        return None
    try:
        data = _data_of(run, base.tokenizer.with_start(), say, progress)
    except InputError as problem:
        if share:
            raise
        say(f"How much is forgotten cannot be measured: {problem}")
        return None
    name = name_after(run.path.resolve().name)
    return Further("earlier", name, str(run.path.resolve()), data, share)


def run_of(base: LoadedModel) -> RunFolder | None:
    """The run that a model is the best of, or a checkpoint of; the copy of a teacher in a run's folder is not its model."""
    folder = base.folder.absolute()
    if folder.name != "model" and folder.parent.name != "checkpoints":
        return None
    run = RunFolder(folder.parent if folder.name == "model" else folder.parents[1])
    return run if run.config_file.is_file() and run.plan_file.is_file() else None


def _data_of(run: RunFolder, tokenizer: Tokenizer, say: Say, progress: Progress) -> TokenData:
    """The prepared data of a run, prepared again from its texts when it is gone."""
    facts = run.moved(run.plan["data"])
    folder = Path(facts["folder"])
    if facts["tokenizer"] != tokenizer.fingerprint:
        raise TokenizerError(
            f"The data of {run.path} was made by the tokenizer {facts['tokenizer']}, but its model has another one "
            f"({tokenizer.fingerprint})."
        )
    if folder.exists():
        return open_inputs(run.settings, folder, tokenizer=tokenizer).data
    missing = [texts for texts in facts["texts"] if not Path(texts).exists()]
    if missing:
        raise RunError(
            f"What {run.path} learned from is gone: neither its data {folder} nor its texts {missing[0]} are there."
        )
    say(f"The prepared data {folder} of {run.path} is gone; preparing it again.")
    settings = settings_with(run.settings, texts=facts["texts"])
    data = prepare_inputs(settings, parent=folder.parent, say=say, tokenizer=tokenizer, progress=progress).data
    if data.fingerprint != facts["fingerprint"]:
        say(f"The texts of {run.path} have changed since it was trained: what counts is what they are now.")
    return data


def check_wished_tokenizer(settings: Settings, base: LoadedModel, *, flag: str = "--from") -> None:
    """Raise `TokenizerError` when another tokenizer than that of the model of `flag` was asked for by name."""
    own, wish = base.tokenizer.with_start(), settings.tokenizer.tokenizer
    if "tokenizer" not in settings.tokenizer.model_fields_set or _is_named(own, wish):
        return
    raise TokenizerError(
        f"tokenizer = {wish} was asked for, but the model of {flag} ({base.name}) reads the ids of its own "
        f"tokenizer ({own.vocab_size:,} entries), and its weights mean nothing with another one. Leave --tokenizer out."
    )


def check_replay(settings: Settings) -> None:
    """Raise `SettingsError` when there is nothing to replay."""
    share = settings.train.replay
    if share and not settings.train.from_model:
        raise SettingsError(
            f"replay = {share:g} takes windows from what another model learned from: name its run with --from. Other texts "
            f"are mixed in with --mix TEXTS={share:g}"
        )


def _is_named(own: Tokenizer, wish: str) -> bool:
    """Whether a run's tokenizer can be what the settings call `wish`."""
    if wish in (*TRAINED_TO_SIZE, "characters", "bytes", "gpt2"):
        return own.kind == wish
    named = Tokenizer.load(wish).with_start().with_markers(tuple(own.markers), template=own.template)
    return named.fingerprint == own.fingerprint
