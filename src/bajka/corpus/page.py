"""The report as one HTML page that needs nothing else: no scripts, no fonts, no addresses."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from bajka.corpus.report import CorpusReport

OURS = b'<meta name="generator" content="bajka inspect">'
"""What tells our page from another."""


def report_page(report: CorpusReport, *, title: str) -> str:
    """The page; every text in it is escaped."""
    return _template().render(report=report, title=title, tallest=max(bin.documents for bin in report.histogram))


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda value: f"{value:,.0f}"
    environment.filters["share"] = lambda value: f"{value:.1%}"
    source = files("bajka.corpus").joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(source)
