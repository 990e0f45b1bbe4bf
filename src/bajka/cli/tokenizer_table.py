"""The tokenizer on the texts, beside GPT-2's on the same ones, as a table."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bajka.tokenizer.report import TokenizerFigures, TokenizerReport


def show_tokenizer(report: TokenizerReport, console: Console, *, name: str, why_alone: str | None) -> None:
    """Print what a tokenizer makes of a sample; `why_alone` says why there is no second one to compare with."""
    table = Table(title=f"tokenizer {name} on {report.bytes:,} bytes of the texts", title_justify="left", box=None)
    figures = [report.figures, *([report.against] if report.against else [])]
    for heading in ("", name, *(["gpt2"] if report.against else [])):
        table.add_column(heading)
    scripts = [one.script for one in report.figures.scripts]
    rows = [_row(one, scripts) for one in figures]
    for label in rows[0]:
        table.add_row(label, *(row.get(label, "-") for row in rows))
    console.print(table)
    longest = " ".join(repr(entry) for entry in report.longest[:12])
    console.print(f"  longest entries: {longest}", markup=False)
    for note in (report.gguf_note, why_alone):
        if note:
            console.print(f"  {note}", markup=False)


def _row(figures: TokenizerFigures, scripts: list[str]) -> dict[str, str]:
    held = {one.script: one for one in figures.scripts}
    words = "no words here" if figures.tokens_per_word is None else f"{figures.tokens_per_word:.2f}"
    return {
        "entries": f"{figures.vocab_size:,}",
        "tokens": f"{figures.tokens:,}",
        "bytes a token": f"{figures.bytes_per_token:.2f}",
        "letters a token": f"{figures.letters_per_token:.2f}",
        "tokens a word": words,
        "entries used": f"{figures.used:,} ({figures.used / max(1, figures.used + figures.unused):.0%})",
        "documents that do not come back": f"{figures.changed:,}",
        **{f"{name}: letters a token": f"{held[name].letters_per_token:.2f}" for name in scripts if name in held},
    }
