"""`bajka inspect`: what the texts are, as a table, a page, or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.table import Table

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import console, read_settings, shown_progress

if TYPE_CHECKING:
    from bajka.config import Settings
    from bajka.corpus import Corpus, CorpusReport
    from bajka.corpus.report import CleaningStep

    Wishes = Any
else:
    Wishes = wishes_type("corpus", "cleaning", "tokenizer")


def inspect(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    json: bool = False,
    page: Path = Path("report.html"),
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Show what TEXTS are: documents, encodings, languages, duplicates, what cleaning changed, the split.

    The page holds the same with examples: what each step changed, the commonest words, some documents. With
    --tokenizer (bpe, gpt2, a folder, ...) the texts are tried with a tokenizer too, beside GPT-2's.

    Args:
        texts: Files, folders, or a settings page.
        json: Print the report as JSON instead, and write no page.
        page: Where to write the page; written anew each time.
    """
    from bajka.corpus import inspect_corpus, read_corpus, split_documents
    from bajka.corpus.sources import printable
    from bajka.errors import CorpusError

    wanted, _, flags = read_settings(texts, given(settings))
    with shown_progress() as progress:
        corpus = read_corpus(wanted.corpus, wanted.cleaning, progress=progress)
    try:
        split, trouble = split_documents(corpus, wanted.corpus), None
    except CorpusError as error:
        split, trouble = None, error
    report = inspect_corpus(corpus, split)
    if json:
        print(report.model_dump_json(indent=2))
    else:
        _show(report)
        if {"tokenizer", "vocab_size"} & flags.keys():
            _try_tokenizer(wanted, corpus)
        _write_page(
            report, page, title=" and ".join(printable(Path(text).name or text) for text in wanted.corpus.texts)
        )
    if trouble is not None:
        raise trouble


def _changed(step: CleaningStep) -> str:
    return f"{step.documents:,} documents, {step.characters:,} characters"


def _try_tokenizer(settings: Settings, corpus: Corpus) -> None:
    """Make or load the tokenizer, and show what it makes of an even sample of the texts."""
    from bajka.cli.tokenizer_table import show_tokenizer
    from bajka.tokenizer import Tokenizer, choose_vocab_size, train_tokenizer
    from bajka.tokenizer.report import tokenizer_report
    from bajka.tokenizer.source import is_here

    wanted = settings.tokenizer
    size = wanted.vocab_size or choose_vocab_size(corpus.bytes, corpus.characters)[0]
    tokenizer = train_tokenizer(wanted, (document.text for document in corpus.documents), vocab_size=size)
    gpt2 = Tokenizer.load("gpt2") if is_here("gpt2") else None
    why_alone = None if gpt2 else "GPT-2's is not on this computer to compare with: --tokenizer gpt2 fetches it once."
    some = corpus.documents[:: max(1, len(corpus.documents) // 1000)]
    report = tokenizer_report(tokenizer, (document.text for document in some), against=gpt2)
    show_tokenizer(report, console(), name=wanted.tokenizer, why_alone=why_alone)


def _write_page(report: CorpusReport, path: Path, *, title: str) -> None:
    """Write the HTML page; a file of that name that is not ours stays."""
    from bajka import durable
    from bajka.corpus.page import OURS, report_page
    from bajka.errors import SettingsError

    if path.exists() and (path.is_dir() or OURS not in path.read_bytes()[:1000]):
        raise SettingsError(f"{path} exists and is no report of ours, so it stays. Choose another name with --page.")
    durable.write_text(path, report_page(report, title=title))
    console().print(f"The page with examples: {path}", markup=False)


def _show(report: CorpusReport) -> None:
    """Tables for a person."""
    out = console()
    facts = Table(show_header=False, box=None, padding=(0, 2))
    rows = [
        ("documents", f"{report.documents:,} in {report.files:,} files"),
        ("size", f"{report.bytes:,} bytes, {report.letters:,} letters, {report.words:,} words"),
        ("read", f"{report.bytes_read:,} bytes"),
        ("encodings", ", ".join(f"{name} ({count:,})" for name, count in report.encodings.items())),
        ("scripts", ", ".join(f"{name} {share:.1%}" for name, share in report.scripts.items())),
        ("languages", ", ".join(f"{name} ({count:,})" for name, count in report.vocabulary.languages.items())),
        (
            "lengths",
            f"{report.lengths.shortest:,} to {report.lengths.longest:,} characters, median {report.lengths.median:,.0f}, "
            f"mean {report.lengths.mean:,.0f}",
        ),
        ("duplicates", f"{report.duplicates.equal:,} equal, {report.duplicates.nearly_equal:,} nearly equal"),
    ]
    rows += [(f"cleaned: {one.step}", _changed(one)) for one in report.cleaning]
    rows += [("left out", f"{count:,} documents, {reason}") for reason, count in report.left_out.items()]
    if report.split is not None:
        split = report.split
        rows += [
            ("split", split.how),
            ("training", f"{split.train_documents:,} documents, {split.train_bytes:,} bytes"),
            ("validation", f"{split.validation_documents:,} documents, {split.validation_bytes:,} bytes"),
        ]
        if split.test_documents:
            rows.append(("test", f"{split.test_documents:,} documents, {split.test_bytes:,} bytes"))
        if split.also_in_training:
            rows.append(("held out", split.also_in_training))
        rows += [("in no part", f"{count:,} documents, {reason}") for reason, count in split.left_out.items()]
    rows.append(("enough for", report.enough_for))
    for name, value in rows:
        facts.add_row(name, value)
    out.print(facts)
    for note, count in report.notes.items():
        out.print(f"  {note} ({count:,} files)", markup=False)
    for guess in report.unsure:
        instead = f", perhaps {guess.instead}" if guess.instead else ""
        out.print(f"  UNSURE: {guess.name} read as {guess.encoding}{instead}: {guess.sample}", markup=False)
        out.print(f'          overrule with --encoding "{guess.name}=NAME"', markup=False)
    for skipped in report.skipped:
        out.print(f"  skipped {skipped.name}: {skipped.reason}", markup=False)
