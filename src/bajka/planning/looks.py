"""How often and on how much a run is evaluated: everything that is not training costs at most a twentieth of the time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from bajka.config import Settings
from bajka.model import ModelConfig
from bajka.model.estimate import parameters
from bajka.paths import holds, typed
from bajka.planning.machine import Speed
from bajka.planning.shape import Choices, CorpusFacts

SHARE = 0.05
"""Share of the time that evaluations, samples and saves may take."""

FIRST_LOOK_SECONDS = 15.0
"""Training before the first look at what a run in minutes writes, if its evaluations are further apart."""

_OFTEN = (20, 16, 12, 10, 8, 6, 5, 4)  # evaluations a run, that before all steps included
_MORE = 2  # evaluations beside these: the early first look, and that of the last step when it is no multiple
_FEW = 64  # windows below which fewer, larger evaluations are better
_LEAST, _FEWEST = 32, 4  # windows; fewer than the first only where so many would take four twentieths of the time
_NEARLY = 1.25  # times as many windows are judged where that is all of them: 32 of a novel's 37 said 0.9 % too little
_SAMPLE_SHARE = 0.25  # of the validation windows: as many of the training text show the gap between both
_FORWARD = 0.4  # of a training step's time without its optimizer: a third, and no fused loss
_OPERATIONS_A_TOKEN = 60.0  # started for a block when one token is written
_SOON = 0.75  # of the steps to the first evaluation, after which it shows as much as a look of its own
_DISK = 150e6  # bytes/s of a save: hashing, writing, fsync (a first rule for a slow disk)
_SAMPLED = 3 * 32  # tokens beside the longest sample: their prompts, and measuring the speed of writing


@dataclass(frozen=True)
class Looks:
    """Steps between evaluations, validation windows of each, and the seconds of all as a share of those of the steps.

    `first_step` is an evaluation of its own, early in a run in minutes whose evaluations are far apart: a first look at what
    it writes. 0: none.
    """

    every_steps: int
    first_step: int
    windows: int
    share: float


def plan_looks(
    settings: Settings,
    facts: CorpusFacts,
    model: ModelConfig,
    speed: Speed,
    *,
    steps: int,
    batch: int,
    in_minutes: bool,
    c: Choices,
) -> Looks:
    """Evaluations of a run of so many steps; what the person set is kept, and the rest is planned around it.

    Only a run in minutes is evaluated by the measured speed: one in steps is the same whenever it is made again.
    """
    wish = settings.evaluation
    a_step = speed.step_seconds(model, batch)
    seconds = steps * a_step
    whole = validation_windows(settings, facts, model)
    rows = min(rows_at_once(model.context_length), whole)
    a_window = (
        _FORWARD
        * replace(speed, optimizer="adamw", processes=1, slower=1.0).step_seconds(model, rows, eager=True)
        / rows
    )
    beside = beside_seconds(settings, model, speed)
    cost = _Cost(beside, a_window, _sets(settings), _looks(settings, steps), whole)
    if in_minutes:
        often, windows = _affordable(SHARE * seconds, cost, *_asked(settings, steps, whole))
        every = max(1, -(-steps // (often - 1)))
    else:
        paid = SHARE * steps * batch / _FORWARD / (_OFTEN[0] * (cost.sets + _SAMPLE_SHARE) + cost.looks)
        windows, every = min(whole, max(_LEAST, int(paid))), max(10, readable(steps / _OFTEN[0]))
    windows = _windows(wish.evaluation_windows, windows, whole, c)
    times = steps // every + 1
    if in_minutes:
        cheap = cost.of(times + 1, windows) <= 1.1 * SHARE * seconds
    else:
        judged = times * (cost.sets * windows + sample_windows(windows)) + cost.looks * windows
        cheap = _FORWARD * judged <= 1.1 * SHARE * steps * batch
    price = "which costs at most a twentieth of it" if cheap else "the fewest that show a curve"
    every = c.take("evaluate_every_steps", wish.evaluate_every_steps, every, f"about {times} times a run, {price}")
    first = math.ceil(FIRST_LOOK_SECONDS / a_step)
    early = in_minutes and wish.evaluate_every_steps is None and first < _SOON * every
    share = cost.of(steps // every + 1 + early, windows) / max(seconds, 1e-9)
    return Looks(every, first if early else 0, windows, share)


@dataclass(frozen=True)
class _Cost:
    """Seconds `beside` each evaluation and of `a_window`; how many validation texts are judged each time, how often one is
    looked at between evaluations, and all windows that there are of the first."""

    beside: float
    a_window: float
    sets: int
    looks: int
    whole: int

    def of(self, times: int, windows: int) -> float:
        """Seconds of so many evaluations on so many windows, and of all looks between them."""
        each = self.beside + self.a_window * (self.sets * windows + sample_windows(windows))
        return times * each + self.looks * self.a_window * windows

    def windows(self, often: int, budget: float) -> int:
        """Windows that `budget` seconds pay for, so often and in all looks; less than none where nothing is left."""
        times = often + _MORE
        left = (budget - times * self.beside) / self.a_window
        whole = left / (times * (self.sets + _SAMPLE_SHARE) + self.looks)
        some = (left - times * _LEAST) / (
            times * self.sets + self.looks
        )  # as many of the training text as it has at least
        few = left / (times * (self.sets + 1) + self.looks)  # equally many of it
        return int(min(whole, some) if some >= _LEAST else min(few, _LEAST))


def rows_at_once(context: int) -> int:
    """Windows that an evaluation judges together, whatever a step has: 4,096 tokens or eight windows, 16,384 tokens at most."""
    return max(1, min(max(8, 4096 // context), 16_384 // context))


def _sets(settings: Settings) -> int:
    """How many times as many validation windows as planned an evaluation judges: further texts, what was learned before, and
    an average of the weights."""
    train, averaged = settings.train, settings.schedule.average not in (None, "none")
    earlier = train.from_model is not None and holds(typed(train.from_model), "plan.json")
    return 1 + len(train.mix) + len(train.validate_on) + earlier + averaged


def _looks(settings: Settings, steps: int) -> int:
    """Looks at the validation loss between evaluations: those that lower the rate or end the run."""
    s = settings.schedule
    plateau = steps // s.plateau_every_steps if s.schedule == "plateau" else 0
    if s.early_stopping is None:
        return plateau
    averaged = s.average not in (None, "none")  # which is judged too
    return plateau + (1 + averaged) * (steps // (s.early_stopping_every_steps or early_every(settings, steps)))


def early_every(settings: Settings, steps: int) -> int:
    """Steps between looks for early stopping: they change the run, so they do not depend on a measured speed."""
    return settings.evaluation.evaluate_every_steps or max(10, readable(steps / 20))


def _asked(settings: Settings, steps: int, whole: int) -> tuple[int | None, int | None]:
    """How many evaluations, and on how many windows, the person asked for."""
    wish = settings.evaluation
    often = None if wish.evaluate_every_steps is None else steps // wish.evaluate_every_steps + 1
    return often, None if wish.evaluation_windows is None else min(whole, wish.evaluation_windows)


def _windows(wish: int | None, planned: int, whole: int, c: Choices) -> int:
    """Validation windows of an evaluation, never more than there are."""
    if wish is not None and wish > whole:
        wish, planned = None, whole
    if whole <= _NEARLY * planned:
        planned = whole
    why = "what a twentieth of the run can pay for" if planned > _LEAST else "the fewest that tell how it goes"
    if planned == whole:
        why = "all of the validation text"
    return int(c.take("evaluation_windows", wish, planned, why))


def sample_windows(windows: int) -> int:
    """Windows of the training text beside so many of the validation text."""
    return min(windows, max(_LEAST, int(_SAMPLE_SHARE * windows)))


def readable(value: float) -> int:
    """`value` as a number that is easy to read: rounded to one digit that is not zero, at least 1."""
    if value < 10:
        return max(1, round(value))
    unit = 10 ** (len(str(int(value))) - 1)
    return max(unit, round(value / unit) * unit)


def _affordable(budget: float, cost: _Cost, often: int | None, windows: int | None) -> tuple[int, int]:
    """How often, and on how many windows, within `budget` seconds: rather fewer times than on very few windows. What was
    asked for of the two decides the other."""
    choices = _OFTEN if often is None else (max(2, often),)
    if windows is not None:
        tries = [*((one, budget) for one in choices), *((one, 2 * budget) for one in (choices[-1], 3))]
        return next((one for one, paid in tries if cost.windows(one, paid) >= windows), min(choices[-1], 2)), windows
    for one in choices:
        found = cost.windows(one, budget)
        if found >= min(cost.whole, _FEW):
            return one, min(cost.whole, found)
    if often is None and cost.windows(choices[-1], 4 * budget) < _FEWEST:
        choices = (2,)  # the start and the end
    most = cost.windows(choices[-1], 4 * budget)
    return choices[-1], min(cost.whole, max(found, min(_LEAST, max(_FEWEST, most))))


def validation_windows(settings: Settings, facts: CorpusFacts, model: ModelConfig) -> int:
    """All windows of the validation text; with one document a row, its documents."""
    if settings.train.windows == "documents" and facts.validation_documents:
        return facts.validation_documents
    return max(1, -(-(facts.validation_tokens - 1) // model.context_length))


def beside_seconds(settings: Settings, model: ModelConfig, speed: Speed) -> float:
    """Seconds of what comes with an evaluation: samples, written token by token, and a save."""
    tokens = settings.sample.max_new_tokens + _SAMPLED
    a_token = model.n_layer * _OPERATIONS_A_TOKEN * speed.rates.dispatch + parameters(model) / speed.rates.elementwise
    return tokens * a_token + 12 * parameters(model) / _DISK
