"""One prompt through time: what a model wrote at its first evaluation, at its last, and at some between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import RunError
from bajka.watching.dashboard import visible
from bajka.watching.view import can_draw, say


@dataclass(frozen=True)
class Moment:
    """What the model wrote for a prompt at one evaluation; `loss` is that of validation, NaN where none is known."""

    step: int
    epoch: float
    loss: float
    text: str


def story_of(run: RunFolder, *, most: int = 12) -> dict[str, list[Moment]]:
    """For each prompt of the run at most `most` moments in order of steps.

    They lie evenly in the logarithm of the step: a model learns as much from step 10 to 100 as from 1,000 to 10,000.
    Raises `RunError` when the run wrote no samples yet.
    """
    judged = {line["step"]: line for line in run.metrics() if "val_loss" in line}
    written: dict[str, dict[int, Moment]] = {}
    for line in run.samples():
        step, facts = line["step"], judged.get(line["step"], {})
        moment = Moment(step, float(facts.get("epoch", 0.0)), float(facts.get("val_loss", math.nan)), line["text"])
        written.setdefault(line["prompt"], {})[step] = moment
    if not written:
        raise RunError(f"{run.path} has no samples yet: they come with its first evaluation.")
    return {
        prompt: [moments[step] for step in spread(sorted(moments), most=most)] for prompt, moments in written.items()
    }


def spread(steps: Sequence[int], *, most: int) -> list[int]:
    """At most `most` of the ascending `steps`: the first, the last, and between them evenly in the logarithm."""
    if len(steps) <= most:
        return list(steps)
    places = [math.log(step + 1) for step in steps]
    chosen = {0, len(steps) - 1}
    for number in range(1, most - 1):
        wanted = places[0] + (places[-1] - places[0]) * number / (most - 1)
        chosen.add(min(range(len(steps)), key=lambda at: abs(places[at] - wanted)))
    return [steps[at] for at in sorted(chosen)]


def show_story(run: RunFolder, console: Console) -> None:
    """Print the story: paragraphs in a terminal, a page of Markdown elsewhere."""
    if can_draw(console):
        for text in _paragraphs(story_of(run), console):
            console.print(text)
        return
    for line in _markdown(run.path.name, story_of(run)):
        say(console, line)


def _paragraphs(story: dict[str, list[Moment]], console: Console) -> Iterator[Text]:
    width = min(console.width, 100) - 2
    for prompt, moments in story.items():
        yield Text()
        for number, moment in enumerate(moments):
            yield Text(_when(moment), style="yellow" if number < len(moments) - 1 else "bold green")
            whole = Text.assemble((visible(prompt, console.encoding), "bold"), visible(moment.text, console.encoding))
            for line in whole.wrap(console, width):
                yield Text.assemble("  ", line)


def _markdown(name: str, story: dict[str, list[Moment]]) -> Iterator[str]:
    """A table for each prompt."""
    yield f"# {name}: one prompt through time"
    for prompt, moments in story.items():
        yield f"\n## {_cell(prompt) or 'A new text'}\n"
        yield "| step | epoch | validation loss | what it wrote |\n|---|---|---|---|"
        for one in moments:
            loss = "" if math.isnan(one.loss) else f"{one.loss:.3f}"
            yield f"| {one.step:,} | {one.epoch:.2f} | {loss} | {_cell(one.text)} |"


def _when(moment: Moment) -> str:
    loss = "" if math.isnan(moment.loss) else f", validation loss {moment.loss:.3f}"
    return f"after {moment.step:,} steps, epoch {moment.epoch:.2f}{loss}"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return visible(text).strip().replace("\\", "\\\\").replace("|", "\\|")
