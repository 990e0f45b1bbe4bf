"""`bajka inspect`: what the texts are, as tables or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.table import Table

from bajka.cli.arguments import given, wishes_type
from bajka.cli.common import console, read_settings

if TYPE_CHECKING:
    from bajka.corpus import CorpusReport

    Wishes = Any
else:
    Wishes = wishes_type("corpus")


def inspect(
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXTS")],
    json: bool = False,
    settings: Wishes = Wishes() if not TYPE_CHECKING else None,  # noqa: B008
) -> None:
    """Show what TEXTS are: documents, encodings, scripts, lengths, duplicates, what was skipped, the split.

    Args:
        texts: Files, folders, or a settings page.
        json: Print the report as JSON instead of tables.
    """
    from bajka.corpus import inspect_corpus, read_corpus, split_documents
    from bajka.errors import CorpusError

    wanted, _, _ = read_settings(texts, given(settings))
    corpus = read_corpus(wanted.corpus)
    try:
        split, trouble = split_documents(corpus, wanted.corpus), None
    except CorpusError as error:
        split, trouble = None, error
    report = inspect_corpus(corpus, split)
    if json:
        print(report.model_dump_json(indent=2))
    else:
        _show(report)
    if trouble is not None:
        raise trouble


def _show(report: CorpusReport) -> None:
    """Tables for a person."""
    out = console()
    facts = Table(show_header=False, box=None, padding=(0, 2))
    rows = [
        ("documents", f"{report.documents:,} in {report.files:,} files"),
        ("size", f"{report.bytes:,} bytes, {report.letters:,} letters, {report.words:,} words"),
        ("encodings", ", ".join(f"{name} ({count:,})" for name, count in report.encodings.items())),
        ("scripts", ", ".join(f"{name} {share:.1%}" for name, share in report.scripts.items())),
        (
            "lengths",
            f"{report.lengths.shortest:,} to {report.lengths.longest:,} characters, median {report.lengths.median:,.0f}, "
            f"mean {report.lengths.mean:,.0f}",
        ),
        ("duplicates", f"{report.duplicates.documents:,} exact ({report.duplicates.share:.1%})"),
    ]
    if report.split is not None:
        split = report.split
        rows += [
            ("split", split.how),
            ("training", f"{split.train_documents:,} documents, {split.train_bytes:,} bytes"),
            ("validation", f"{split.validation_documents:,} documents, {split.validation_bytes:,} bytes"),
        ]
        if split.dropped:
            rows.append(("left out", f"{split.dropped:,} documents whose text stands in validation"))
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
