"""What a person should know beside the numbers of a plan, in sentences."""

from __future__ import annotations

from bajka.model import ModelConfig
from bajka.planning.little import way_out
from bajka.planning.outlook import REPEATED, UNLIKE, Outlook
from bajka.planning.recipe import LITTLE_TEXT_EPOCHS

BUSY = 0.2
"""Share of the time of measuring from which on it is said that other programs had it."""

LATE = 0.5
"""Share of the minutes from which on it is said that they went by before training began."""

COPIED = 0.05
"""Share of the held-out text from which on it is said that it stands in the training text too, if it is more than the text
repeats itself anyway."""

CUT = 0.8
"""Share of the text that rows of one document show below which it is said that the rest is never read."""


def plan_notes(
    outlook: Outlook, model: ModelConfig, readings: float, *, spent: float, expected: bool
) -> tuple[str, ...]:
    """Sentences for a run of so many `readings` that begins after `spent` seconds; `expected`: a result is expected of it."""
    facts, windows = outlook.facts, outlook.settings.train.windows
    found = way_out(facts.bytes, facts.language) if outlook.fresh else []
    if readings > 2 * LITTLE_TEXT_EPOCHS and not expected:
        found.append(f"Each text will be read about {readings:.0f} times: text, not time, is the limit here.")
    if windows == "documents" and outlook.shown(model) < CUT * facts.train_tokens:
        found.append(
            f"One document a row: of each only the first {model.context_length:,} tokens are read, at most "
            f"{100 * outlook.shown(model) / facts.train_tokens:.2g} % of the text. --windows packed reads all of it."
        )
    if outlook.seconds is not None:
        found += _before(outlook, spent)
    if facts.copied >= max(COPIED, 2 * facts.repeated):
        found.append(
            f"At least {100 * facts.copied:.0f} % of what is held out stands word for word in the training text too, in long "
            "passages: there what is known by heart is judged, not what is learnt."
        )
    if facts.repeated > REPEATED:
        found.append(
            f"About {100 * facts.repeated:.0f} % of the text stands in it more than once, in long passages: it is smaller "
            "than it looks, and soon known by heart. --duplicate-paragraphs keeps one of equal ones (200 letters or more)."
        )
    elif facts.unlike > UNLIKE:
        found.append(
            f"What is held out is unlike the rest of the text ({facts.unlike:.1f} times as many bits as parts of that have): "
            "an appendix, another language, capitals? Validation judges only this. Where the text is cut into many documents "
            "(--documents newline, or marker), some of everything is held out."
        )
    if facts.same_book:
        found.append("Validation text is the tail of the same texts: the loss says how well the model continues them.")
    return tuple(found)


def _before(outlook: Outlook, spent: float) -> list[str]:
    """Of a run in minutes: what went by, and what was in the way, before training."""
    found = []
    if spent > LATE * (spent + (outlook.seconds or 0.0)):
        found.append(
            f"Preparing took {spent / 60:.2g} minutes of the time that was given. The text is prepared once: give more "
            "--minutes, and all of them are left for training."
        )
    busy = outlook.speed.rates.busy
    if busy > BUSY:
        found.append(
            f"Other programs had the processors for {100 * busy:.0f} % of the time in which this machine was measured, and "
            "this is the plan for what they left: end them and start again for a better one."
        )
    return found
