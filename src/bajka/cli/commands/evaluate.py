"""`bajka evaluate`: the numbers of a model, on its own validation text or on given texts; a judge when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.table import Table

from bajka.cli.common import console

if TYPE_CHECKING:
    from bajka.evaluation.judge import Comparison


def evaluate(
    model: Annotated[str, tyro.conf.Positional],
    texts: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    part: Literal["validation", "test"] = "validation",
    judge: str | None = None,
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 20,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Loss, perplexity, bits per byte and per letter of MODEL on held-out text: TEXTS, or its run's validation text.

    Args:
        model: A run, a folder, or a name on the hub.
        texts: Files and folders to evaluate on.
        part: Which held-out part of its run; the test part exists when the run had --test-share.
        judge: A larger model (folder or hub name) that judges texts which MODEL writes, beside real ones.
        n: Texts written for the judge.
        json: Print JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    import json as json_module

    from bajka.checkpoint.model_folder import open_model
    from bajka.evaluation.evaluate import evaluate_model
    from bajka.hardware import choose_device

    loaded = open_model(model, device=device)
    notes = console(stderr=True)
    loss = evaluate_model(loaded, texts, part=part, say=lambda line: notes.print(line, markup=False))
    numbers: dict[str, object] = {"model": model, **loss.as_dict()}
    compared = None
    if judge is not None:
        from bajka.evaluation.judge import judge_model

        compared = judge_model(loaded, judge, n=n, texts=texts, part=part, device=choose_device(device))
        numbers["judge"] = compared.as_dict()
    if json:
        print(json_module.dumps(_without_nan(numbers), indent=2, ensure_ascii=False))
        return
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_row("bits per byte", f"{loss.bits_per_byte:.4f}")
    table.add_row("bits per letter", f"{loss.bits_per_letter:.4f}")
    table.add_row("loss", f"{loss.loss:.4f} nats a token of this vocabulary")
    table.add_row("perplexity", f"{loss.perplexity:,.2f} a token of this vocabulary")
    table.add_row("tokens", f"{loss.tokens:,}, each document from its beginning, windows moving by half a context")
    console().print(table)
    if compared is not None:
        _show_judgement(compared)


def _without_nan(value: object) -> object:
    """Numbers that are none as null, at any depth: JSON knows no NaN."""
    match value:
        case dict():
            return {name: _without_nan(one) for name, one in value.items()}
        case list() | tuple():
            return [_without_nan(one) for one in value]
        case float() if value != value:
            return None
        case _:
            return value


def _show_judgement(compared: Comparison) -> None:
    """What the judge says of written texts beside real ones."""
    table = Table(title=f"judged by {compared.judge}", title_justify="left", box=None, padding=(0, 2))
    for heading in ("", "written", "real"):
        table.add_column(heading)
    written, real = compared.written.as_dict(), compared.real.as_dict()
    for name, value in written.items():
        table.add_row(name.replace("_", " "), *(f"{one:,.4g}" for one in (value, real[name])))
    console().print(table)
