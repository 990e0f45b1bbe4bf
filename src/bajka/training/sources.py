"""The texts of all corpora of a run: which they are, read and split, and nothing trained on that another one holds out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from bajka.config import Settings
from bajka.corpus import Document, Split
from bajka.corpus.across import without_held_out
from bajka.corpus.contained import also_in_training
from bajka.corpus.sources import find_sources
from bajka.entries import RESERVED
from bajka.errors import CorpusError, InputError, SettingsError
from bajka.formats import parse_overrides
from bajka.paths import absolute, typed
from bajka.progress import Progress, silent
from bajka.settings import settings_with
from bajka.tokens.foreign import is_token_folder
from bajka.training.inputs import Say, name_after, name_of, read_and_split, read_texts

Kind = Literal["main", "mixed", "watched"]


@dataclass(frozen=True)
class Source:
    """A corpus on its way to ids: its `split`, or the folder of token files that was `given` instead of texts.

    "main" are the texts of the run; the other kinds are those of `Further`.
    """

    kind: Kind
    name: str
    texts: tuple[str, ...]
    share: float = 0.0
    split: Split | None = None
    documents: int = 0

    @property
    def given(self) -> Path | None:
        """The folder of token files."""
        folder = typed(self.texts[0])
        return folder if len(self.texts) == 1 and is_token_folder(folder) else None

    @property
    def called(self) -> str:
        """The setting that named it, for sentences."""
        return {"main": "", "mixed": f"--mix {self.texts[0]}", "watched": f"--validate-on {self.texts[0]}"}[self.kind]


def sources_of(settings: Settings) -> list[Source]:
    """The main texts and the further ones, not read yet, each with a name of its own.

    Raises `SettingsError` for texts that are named twice, `CorpusError` when further texts are not there.
    """
    found = [Source("main", name_of(settings), settings.corpus.texts)]
    taken = {*(name for name, _ in settings.train.validated_on if name), found[0].name, *RESERVED}
    for texts, share in settings.train.mixed:
        found.append(Source("mixed", free_name(name_after(texts), taken), (texts,), share))
        taken.add(found[-1].name)
    for name, texts in settings.train.validated_on:
        found.append(Source("watched", name or free_name(name_after(texts), taken), (texts,)))
        taken.add(found[-1].name)
    _refuse_doubles([one for one in found if one.kind != "watched"])
    _refuse_doubles([one for one in found if one.kind == "watched"])
    for source in found[1:]:  # a wrong path is told now, not after the main texts were read
        if not source.given:
            with blaming(source):
                find_sources(source.texts)
    return found


def texts_of(facts: Mapping[str, Any]) -> list[str]:
    """All texts that a run reads or looks at, but folders of token files; `facts` is what plan.json holds of its data."""
    further = [one["texts"] for one in facts.get("further", ()) if one["kind"] != "earlier"]
    return [text for text in (*facts["texts"], *further) if not is_token_folder(typed(text))]


def read_source(
    source: Source, settings: Settings, say: Say, *, parent: Path | None, progress: Progress = silent
) -> Source:
    """The source with its split: of texts to validate on, all on that side. Token files are left as they are."""
    if source.given:
        return source
    keep = parent / source.name if parent else None
    with blaming(source):
        settings = settings_with(settings, texts=source.texts, encoding=_patterns_of(source, settings))
        if source.kind == "watched":
            corpus = read_texts(settings, say, keep=keep, progress=progress)
            split = Split((), corpus.documents, "only validated on", same_book=False, share=1.0)
            split = replace(split, sizes=(0, corpus.bytes, 0))
        else:
            corpus, split = read_and_split(settings, say, keep=keep, progress=progress)
    return replace(source, split=split, documents=len(corpus.documents))


def without_leaks(
    sources: Sequence[Source], also: Sequence[Document], settings: Settings, say: Say, progress: Progress
) -> list[Source]:
    """The sources without the training documents that another one, or `also`, holds out; says how many those are."""
    splits = [one.split for one in sources if one.split is not None]
    cleared = iter(without_held_out(splits, [also], settings.cleaning, progress=progress))
    found = []
    for source in sources:
        split = next(cleared) if source.split is not None else None
        if source.split is not None and split is not None and len(split.train) < len(source.split.train):
            say_leaks(source.name, len(source.split.train) - len(split.train), len(split.train), say)
        found.append(replace(source, split=split))
    return found


def say_repeated(sources: Sequence[Source], say: Say) -> None:
    """Say how much of what each source holds out stands inside larger training documents of the others."""
    for one in sources:
        if one.split is not None:
            training = chain.from_iterable(other.split.train for other in sources if other is not one and other.split)
            if repeated := also_in_training(chain(one.split.validation, one.split.test), training):
                voice(one, say)(repeated)


@contextmanager
def blaming(source: Source) -> Iterator[None]:
    """Put the setting before what is wrong with further texts."""
    try:
        yield
    except InputError as problem:
        if source.kind == "main":
            raise
        raise type(problem)(f"{source.called}: {problem}") from problem


def voice(source: Source, say: Say) -> Say:
    """What is said of further texts begins with their name."""
    return say if source.kind == "main" else lambda line: say(f"{source.name}: {line.strip()}")


def say_leaks(name: str, count: int, left: int, say: Say) -> None:
    """Say how many documents training does without; `CorpusError` when none is left."""
    if not left:
        raise CorpusError(
            f"Every document that {name} would give to training stands in the held-out text of another corpus too. Name "
            "different texts."
        )
    say(f"{name}: not trained on {count:,} documents, equal or nearly equal to held-out ones of another corpus.")


def free_name(name: str, taken: Collection[str]) -> str:
    """The name, or with a number behind it: names that differ in capitals alone are the same to some file systems."""
    number, found, taken = 2, name, {one.lower() for one in taken}
    while found.lower() in taken:
        found, number = f"{name}-{number}", number + 1
    return found


def _refuse_doubles(sources: Sequence[Source]) -> None:
    """Raise `SettingsError` when a further corpus was named before, whatever the path is called."""
    seen: dict[str, str] = {}
    for source in sources:
        for texts in source.texts:
            where = absolute(texts)
            if where in seen and source.kind != "main":
                raise SettingsError(f"{source.called} names the same texts as {seen[where]}: name them once.")
            seen[where] = source.called or f"the run itself, {texts}"


def _patterns_of(source: Source, settings: Settings) -> tuple[str, ...]:
    """The encodings by file pattern that are meant for this corpus: a pattern must fit a file, but not in each of them.

    One that fits a file of another corpus and none here is left out here; one that fits nowhere stays with the main
    texts, which complain.
    """
    patterns = settings.corpus.encoding
    if not patterns or len(settings.train.mix) + len(settings.train.validate_on) == 0:
        return patterns
    fitting = {one.kind + one.name: _fitting(one, patterns) for one in sources_of(settings) if not one.given}
    own = fitting[source.kind + source.name]
    if source.kind != "main":
        return tuple(pattern for pattern in patterns if pattern in own)
    others = set().union(*(found for found in fitting.values() if found is not own))
    return tuple(pattern for pattern in patterns if pattern in own or pattern not in others)


def _fitting(source: Source, patterns: tuple[str, ...]) -> set[str]:
    """The patterns that fit a file of these texts, as shown, within its folder, or its own name."""
    names = [(one.name, one.name.partition("/")[2], one.name.rpartition("/")[2]) for one in find_sources(source.texts)]
    pairs = zip(patterns, parse_overrides(patterns), strict=True)
    return {pattern for pattern, override in pairs if any(override.matches(*some) for some in names)}
