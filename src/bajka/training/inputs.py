"""From settings to token ids: read, split, tokenize, encode; everything said aloud on the way. Further corpora beside
the main one are the matter of `mixed`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from bajka.config import Settings
from bajka.corpus import Corpus, Split, read_corpus, split_documents
from bajka.corpus.contained import also_in_training
from bajka.corpus.sources import printable
from bajka.corpus.telling import what_was_read
from bajka.errors import CorpusError, SettingsError
from bajka.paths import is_folder, typed
from bajka.planning.plan import CorpusFacts
from bajka.progress import Progress, silent
from bajka.tokenizer import TRAINED_TO_SIZE, Tokenizer
from bajka.tokens.foreign import is_token_folder, open_foreign_bins
from bajka.tokens.prepare import prepare
from bajka.tokens.store import TokenData, open_token_data
from bajka.training.corpus_facts import facts_of
from bajka.training.vocabulary import make_tokenizer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Further:
    """A corpus beside the main one, named `name`; `texts` are the path or name that was given, or the run of --from.

    "mixed": `share` of the training windows come from it. "watched": it is only validated on. "earlier": what the
    model of --from learned before, replayed when it has a share.
    """

    kind: Literal["mixed", "watched", "earlier"]
    name: str
    texts: str
    data: TokenData
    share: float = 0.0


@dataclass(frozen=True)
class Inputs:
    """What training reads: ids and the tokenizer that made them; `openings` are beginnings of validation texts."""

    data: TokenData
    tokenizer: Tokenizer
    openings: tuple[str, ...]
    further: tuple[Further, ...] = ()

    @property
    def trained(self) -> tuple[Further, ...]:
        """The further corpora that training reads too."""
        return tuple(one for one in self.further if one.share)

    @property
    def facts(self) -> CorpusFacts:
        """Counts for the plan."""
        others = [one.data for one in self.trained]
        return facts_of(self.data, others, [one.share for one in self.trained], self.tokenizer)


def name_of(settings: Settings) -> str:
    """A short name for a run or its data, after the first of its texts."""
    texts = settings.corpus.texts
    if not texts:
        raise SettingsError("There are no texts to learn from. Name files or folders: bajka train path/to/texts")
    return name_after(texts[0]) if len(texts) == 1 else f"{name_after(texts[0])}-and-more"


def name_after(texts: str) -> str:
    """A short name for a file, a folder or a dataset."""
    path = typed(texts)
    stem = path.stem if path.suffix and not is_folder(path) else path.name or path.resolve().name
    if stem == "..":
        stem = path.resolve().name
    stem = stem.removesuffix(".tar")  # of tales.tar.gz
    return re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:60] or "texts"


def prepare_inputs(
    settings: Settings,
    *,
    parent: Path,
    say: Say,
    tokenizer: Tokenizer | None = None,
    progress: Progress = silent,
) -> Inputs:
    """Read the texts, split them, make or take the tokenizer, encode; a folder of token files is taken as it is.

    `tokenizer` overrules the settings (that of the weights training starts from).
    Cleaned texts and ids go to folders of `parent`.
    """
    texts = settings.corpus.texts
    if len(texts) == 1 and is_token_folder(typed(texts[0])):
        return given_tokens(typed(texts[0]), settings, tokenizer, say)
    name = name_of(settings)
    corpus, split = read_and_split(settings, say, keep=parent / name, progress=progress)
    if tokenizer is None:
        tokenizer = make_tokenizer(settings, [split], say)
    sources = {
        "texts": [printable(text) for text in texts],
        "files": len(corpus.files),
        "documents": len(corpus.documents),
    }
    data = prepare(split, tokenizer, parent=parent, name=name, sources=sources, progress=progress)
    say_sizes(data, say)
    return Inputs(data, tokenizer, openings_of(data, tokenizer))


def say_sizes(data: TokenData, say: Say) -> None:
    """Tokens, documents and bytes of each side that has any."""
    sides = (("Training", data.train), ("Validation", data.validation), ("Test", data.test))
    for side, tokens in sides:
        if tokens is not None and len(tokens):
            say(
                f"{side}: {len(tokens):,} tokens in {len(tokens.starts):,} documents, "
                f"{tokens.bytes:,} bytes ({tokens.bytes_per_token:.2f} bytes a token)."
            )


def open_inputs(settings: Settings, folder: Path, *, tokenizer: Tokenizer | None = None) -> Inputs:
    """What `prepare_inputs` prepared in `folder`, without reading the texts again; `tokenizer` as there."""
    if not (folder / "meta.json").is_file() and is_token_folder(folder):
        return given_tokens(folder, settings, tokenizer, say=lambda line: None)
    data = open_token_data(folder)
    tokenizer = tokenizer or Tokenizer.load(folder)
    return Inputs(data, tokenizer, openings_of(data, tokenizer))


def read_and_split(
    settings: Settings, say: Say, *, keep: Path | None = None, progress: Progress = silent
) -> tuple[Corpus, Split]:
    """The documents and their split, with what a person should know of them said."""
    corpus = read_texts(settings, say, keep=keep, progress=progress)
    split = split_documents(corpus, settings.corpus)
    say(f"{split.how[0].upper()}{split.how[1:]}.")
    for reason, count in split.left_out.items():
        say(f"In no part of the split: {count:,} documents, {reason}.")
    if repeated := also_in_training(chain(split.validation, split.test), split.train):
        say(repeated)
    return corpus, split


def read_texts(settings: Settings, say: Say, *, keep: Path | None = None, progress: Progress = silent) -> Corpus:
    """The documents, with what a person should know of them said."""
    corpus = read_corpus(settings.corpus, settings.cleaning, keep=keep, progress=progress)
    for line in what_was_read(corpus):
        say(line)
    return corpus


def given_tokens(folder: Path, settings: Settings, tokenizer: Tokenizer | None, say: Say) -> Inputs:
    """A folder with `train.bin` and `val.bin`: ours with its description, or one that nanoGPT wrote."""
    if tokenizer is None:
        named = settings.tokenizer.tokenizer
        if (folder / "tokenizer.json").is_file() and named == "bpe":
            tokenizer = Tokenizer.load(folder)
        elif named in {*TRAINED_TO_SIZE, "characters", "bytes"}:
            raise SettingsError(
                f"{folder} holds token ids, but not what made them. Name the tokenizer: --tokenizer gpt2, or the path "
                "of a tokenizer.json."
            )
        else:
            tokenizer = Tokenizer.load(named).with_start()
    if (folder / "meta.json").is_file():
        data = open_token_data(folder)
        if data.tokenizer_fingerprint != tokenizer.fingerprint:
            raise CorpusError(
                f"The ids in {folder} were made by the tokenizer {data.tokenizer_fingerprint}, not by "
                f"{tokenizer.fingerprint}. Give the texts instead, or leave --tokenizer out."
            )
    else:
        data = open_foreign_bins(
            folder,
            vocab_size=tokenizer.vocab_size,
            end_of_text=tokenizer.end_of_text,
            tokenizer_fingerprint=tokenizer.fingerprint,
            decode=tokenizer.decode,
        )
    say(f"Token files: {len(data.train):,} training and {len(data.validation):,} validation tokens.")
    return Inputs(data, tokenizer, openings_of(data, tokenizer))


def openings_of(data: TokenData, tokenizer: Tokenizer, *, count: int = 3, words: int = 4) -> tuple[str, ...]:
    """The first few words of some validation documents (or places of one): prompts for those who gave none."""
    ids, starts = data.validation.ids, [int(s) for s in data.validation.starts]
    places = starts if len(starts) >= count else [len(ids) * i // count for i in range(count)]
    found = []
    for place in (places[len(places) * i // count] for i in range(count)):
        some = ids[place : place + 256]
        last_marker = np.flatnonzero(np.isin(some, list(tokenizer.markers.values())))[-1:]
        some = some[last_marker[0] + 1 :] if len(last_marker) else some
        text = tokenizer.decode(int(i) for i in some[:64] if i != data.end_of_text).replace("\ufffd", "")
        found.append(_opening(text, words=words, whole=place in starts))
    return tuple(dict.fromkeys(opening for opening in found if opening))


def _opening(text: str, *, words: int, whole: bool) -> str:
    """The first words of `text`; one that is not `whole` begins after its first line, or else after its first word."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not whole:
        lines = lines[1:] or [text.partition(" ")[2]]
    text = " ".join(lines)
    return " ".join(text.split()[:words]) if " " in text else text[:8]
