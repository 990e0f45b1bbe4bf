"""Further corpora beside the main one: mixed in by a share, replayed from an earlier run, or only validated on.

Each is read, cleaned and split like the main one, into data folders of its own, and encoded by the same tokenizer. What
any of them holds out is learned from none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bajka.checkpoint.model_folder import LoadedModel, load_model
from bajka.config import Settings
from bajka.corpus import Document
from bajka.corpus.sources import printable
from bajka.entries import RESERVED
from bajka.errors import BajkaError, TokenizerError
from bajka.paths import absolute
from bajka.planning.plan import Plan
from bajka.progress import Progress, silent
from bajka.settings import settings_with
from bajka.tokenizer import Tokenizer
from bajka.tokens import Batches, Mixture, TokenData, TokenSet
from bajka.tokens.leaks import without_held_out
from bajka.tokens.mixture import seed_of
from bajka.tokens.prepare import prepare
from bajka.training.earlier import check_replay, check_wished_tokenizer, earlier_corpus
from bajka.training.inputs import (
    Further,
    Inputs,
    Say,
    given_tokens,
    open_inputs,
    openings_of,
    prepare_inputs,
    say_sizes,
)
from bajka.training.sources import (
    Source,
    blaming,
    free_name,
    read_source,
    say_leaks,
    say_repeated,
    sources_of,
    voice,
    without_leaks,
)
from bajka.training.vocabulary import make_tokenizer


def prepare_all(
    settings: Settings,
    *,
    parent: Path,
    say: Say,
    base: LoadedModel | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Progress = silent,
) -> Inputs:
    """`prepare_inputs` with all further corpora that `settings` ask for, and what `base` learned before, if it is known.

    The weights of `base` come with their tokenizer. Raises what reading raises, with the setting that named the texts;
    `SettingsError` for texts that are named twice, `TokenizerError` for ids that another tokenizer made.
    """
    check_replay(settings)
    sources, earlier = sources_of(settings), None
    if base is not None:
        check_wished_tokenizer(settings, base)
        tokenizer = tokenizer or base.tokenizer.with_start()
        earlier = earlier_corpus(base, settings, say=say, progress=progress)
    if len(sources) == 1 and earlier is None:
        return prepare_inputs(settings, parent=parent, say=say, tokenizer=tokenizer, progress=progress)
    sources = [read_source(one, settings, voice(one, say), parent=parent, progress=progress) for one in sources]
    also = _decoded(earlier.data.validation, tokenizer) if earlier and tokenizer else []
    sources = without_leaks(sources, also, settings, say, progress)
    say_repeated(sources, say)
    if tokenizer is None and sources[0].given:
        tokenizer = given_tokens(sources[0].given, settings, None, lambda line: None).tokenizer
    if tokenizer is None:
        splits = [one.split for one in sources if one.kind != "watched" and one.split]
        tokenizer = make_tokenizer(settings, splits, say)
    encoded = [_encode(one, tokenizer, settings, voice(one, say), parent, progress) for one in sources]
    return _assemble(encoded[0], tokenizer, _further(sources, encoded, earlier, say), say)


def open_all(settings: Settings, facts: Mapping[str, Any], *, tokenizer: Tokenizer | None, say: Say) -> Inputs:
    """What `prepare_all` prepared, without reading texts again; `facts` are `folders_of` it, as plan.json keeps them.

    Texts that are only validated on are done without when their data is gone: that is said.
    """
    inputs = open_inputs(settings, Path(facts["folder"]), tokenizer=tokenizer)
    further = []
    for one in facts.get("further", ()):
        folder = Path(one["folder"])
        if not folder.exists() and not one["share"]:
            say(f"The prepared data {folder} is gone: {one['name']} is not validated on any more.")
            continue
        data = open_inputs(settings, folder, tokenizer=inputs.tokenizer).data
        further.append(Further(one["kind"], one["name"], one["texts"], data, one["share"]))
    return _assemble(inputs.data, inputs.tokenizer, further, say=lambda line: None)


def reopen_all(
    settings: Settings, facts: Mapping[str, Any], *, parent: Path, tokenizer: Tokenizer, say: Say, progress: Progress
) -> Inputs:
    """`open_all`, or everything prepared again when ids that training reads are gone."""
    needed = [facts, *(one for one in facts.get("further", ()) if one["share"])]
    gone = [one["folder"] for one in needed if not Path(one["folder"]).exists()]
    if not gone:
        return open_all(settings, facts, tokenizer=tokenizer, say=say)
    say(f"The prepared data {gone[0]} is gone; preparing it again.")
    wishes: dict[str, Any] = {"texts": facts["texts"], "mix": [], "validate_on": []}
    base = None
    for one in facts.get("further", ()):
        match one["kind"]:
            case "mixed":
                wishes["mix"].append(f"{one['texts']}={one['share']}")
            case "watched":
                wishes["validate_on"].append(f"{one['name']}={one['texts']}")
            case "earlier":
                base = _earlier_model(one, say)
    if base is not None:
        wishes["from_model"] = base.name
    again = settings_with(settings, **{name: value for name, value in wishes.items() if value})
    return prepare_all(again, parent=parent, say=say, base=base, tokenizer=tokenizer, progress=progress)


def _earlier_model(facts: Mapping[str, Any], say: Say) -> LoadedModel | None:
    """The model of --from whose texts were looked at; a run that replays none of them can do without."""
    try:
        return load_model(facts["texts"])
    except BajkaError as problem:
        if facts["share"]:
            raise
        say(f"{facts['name']} is not validated on any more: {problem}")
        return None


def folders_of(inputs: Inputs) -> dict[str, Any]:
    """Folders and fingerprints of all corpora, for plan.json."""
    found: dict[str, Any] = {
        "folder": str(inputs.data.folder.resolve()),
        "fingerprint": inputs.data.fingerprint,
        "tokenizer": inputs.tokenizer.fingerprint,
    }
    if inputs.further:
        found["further"] = [
            {
                "kind": one.kind,
                "name": one.name,
                "texts": one.texts,
                "share": one.share,
                "folder": str(one.data.folder.resolve()),
                "fingerprint": one.data.fingerprint,
            }
            for one in inputs.further
        ]
    return found


def learned_from(facts: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprints of everything that training reads, by name ("" is the main corpus): what a resume must find again."""
    further = {one["name"]: str(one["fingerprint"]) for one in facts.get("further", ()) if one["share"]}
    return {"": str(facts["fingerprint"]), "tokenizer": str(facts["tokenizer"])} | further


def batches_of(inputs: Inputs, plan: Plan) -> Batches | Mixture:
    """The training windows: plain ones of one corpus, a mixture of several."""
    made = [
        Batches(
            data.train.ids,
            data.train.starts,
            context_length=plan.model.context_length,
            seed=seed_of(plan.seed, number),
            end_of_text=data.end_of_text,
            windows=plan.windows,  # type: ignore[arg-type]
            stride=plan.stride,
        )
        for number, data in enumerate([inputs.data, *(one.data for one in inputs.trained)])
    ]
    return Mixture(made[0], made[1:], [one.share for one in inputs.trained]) if len(made) > 1 else made[0]


def describe_mixture(inputs: Inputs, batches: Batches | Mixture) -> list[str]:
    """A sentence on what is mixed in which shares, and what an epoch is then; none without a mixture."""
    if not isinstance(batches, Mixture):
        return []
    shares = [f"{100 * weight / sum(batches.weights):.3g} %" for weight in batches.weights]
    parts = [f"{shares[0]} from the texts themselves"]
    for one, share, readings in zip(inputs.trained, shares[1:], batches.readings[1:], strict=True):
        replayed = "replayed, " if one.kind == "earlier" else ""
        parts.append(f"{share} from {one.name} ({replayed}read {readings:.2g} times an epoch)")
    return [f"Of the windows come {', '.join(parts)}. An epoch is one reading of the texts themselves."]


def _encode(
    source: Source, tokenizer: Tokenizer, settings: Settings, say: Say, parent: Path, progress: Progress
) -> TokenData:
    with blaming(source):
        if source.given:
            _check_given(source.given, tokenizer, source)
            return given_tokens(source.given, settings, tokenizer, say).data
        assert source.split is not None
        facts = {"texts": [printable(text) for text in source.texts], "documents": source.documents}
        data = prepare(source.split, tokenizer, parent=parent, name=source.name, sources=facts, progress=progress)
        say_sizes(data, say)
        return data


def _check_given(folder: Path, tokenizer: Tokenizer, source: Source) -> None:
    """Raise `TokenizerError` when the ids that were given are those of another tokenizer than the run's."""
    if source.kind == "main" or not (folder / "tokenizer.json").is_file():
        return
    other = Tokenizer.load(folder)
    if other.fingerprint != tokenizer.fingerprint:
        raise TokenizerError(
            f"its ids were made by another tokenizer ({other.fingerprint}) than that of this run ({tokenizer.fingerprint}). "
            f"Give its texts instead, or take its tokenizer for all: --tokenizer {folder / 'tokenizer.json'}"
        )


def _further(
    sources: Sequence[Source], encoded: Sequence[TokenData], earlier: Further | None, say: Say
) -> list[Further]:
    """All corpora but the first, with what was learned earlier unless that is the main corpus itself."""
    found = [
        Further(one.kind, one.name, absolute(one.texts[0]), data, one.share)  # type: ignore[arg-type]
        for one, data in zip(sources[1:], encoded[1:], strict=True)
    ]
    if earlier is None:
        return found
    if earlier.data.fingerprint == encoded[0].fingerprint:
        if earlier.share:
            say(f"{earlier.texts} learned from these very texts: there is nothing else to replay.")
        return found
    name = free_name(earlier.name, {*(one.name for one in found), *RESERVED})
    return [*found, replace(earlier, name=name)]


def _decoded(tokens: TokenSet, tokenizer: Tokenizer) -> list[Document]:
    """The texts that ids stand for."""
    ends = [*tokens.starts[1:].tolist(), len(tokens)][: len(tokens.starts)]
    pairs = zip(tokens.starts.tolist(), ends, strict=True)
    return [Document(tokenizer.decode(tokens.ids[start:end]), f"{number}") for number, (start, end) in enumerate(pairs)]


def _assemble(data: TokenData, tokenizer: Tokenizer, further: Sequence[Further], say: Say) -> Inputs:
    """The inputs, with what given or earlier ids have in common with held-out ones left out of training."""
    if not further:
        return Inputs(data, tokenizer, openings_of(data, tokenizer))
    everything = [data, *(one.data for one in further)]
    held_out = [side for one in everything for side in (one.validation, one.test) if side is not None]
    cleared = []
    for one, name, trained in [
        (data, "the texts", True),
        *((other.data, other.name, bool(other.share)) for other in further),
    ]:
        train, dropped = without_held_out(one.train, held_out) if trained else (one.train, 0)
        if dropped:
            say_leaks(name, dropped, len(train.starts), say)
        cleared.append(replace(one, train=train))
    others = tuple(replace(one, data=new) for one, new in zip(further, cleared[1:], strict=True))
    return Inputs(cleared[0], tokenizer, openings_of(data, tokenizer), others)
