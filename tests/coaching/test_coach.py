"""The coach: each rule speaks on recorded curves of its kind, at a sensible moment, and is silent on all others."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bajka.coaching.coach import advise, going_on
from bajka.coaching.curve import Curve, noise, slope
from bajka.coaching.facts import Facts, facts_of, text_facts
from bajka.settings import SECTION_OF
from bajka.tokens import TokenSet
from recorded_curves import NAMES, Recorded, coached, recorded

BUSY = {"slowed down": (0.4, 1.0)}
"""Other work took the processor while these were recorded: the coach is right."""

EXPECTED: dict[str, dict[str, tuple[float, float]]] = {
    "overfitting": {"vocabulary too large": (0.0, 0.0), "overfitting": (0.1, 0.3)},
    "large_vocabulary": {"vocabulary too large": (0.0, 0.0), "overfitting": (0.5, 0.8)},
    "too_little_text": {
        "too little text": (0.0, 0.0),
        "vocabulary too large": (0.0, 0.0),
        "overfitting": (0.3, 0.6),
    }
    | BUSY,
    "rate_too_high_adamw": {"rate too high": (0.05, 0.25)},
    "rate_too_high_muon": {"rate too high": (0.05, 0.25)},
    "rate_too_high_adamw_1": {"rate too high": (0.4, 0.6)},
    "spikes": {"rate too high": (0.2, 0.3)},
    "spikes_unclipped": {"rate too high": (0.2, 0.3)},
    "rate_too_low_adamw": {"rate too low": (0.15, 0.4)},
    "rate_too_low_muon": {"rate too low": (0.15, 0.4)},
    "fine_tuned": {"forgetting": (0.2, 0.5)},
    "slowed_down": {"slowed down": (0.5, 0.75)},
    "jump": {"rate too high": (0.5, 0.75)},
    "healthy_double": BUSY,
    "resumed": BUSY,
    "rate_low_but_well": BUSY,
    "small_batches": BUSY,
    "healthy_tales": BUSY,
    "read_often": BUSY,
}
"""What the coach says on each recorded curve, and between which shares of the run; on all others it is silent."""


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_speaks_on_its_curves_in_time_and_is_silent_on_all_others(name: str) -> None:
    run = recorded(name)
    said = {advice.name: step / run.lines[-1]["step"] for step, advice in coached(run)}
    assert set(said) == set(EXPECTED.get(name, {}))
    for advice, (first, last) in EXPECTED.get(name, {}).items():
        assert first <= said[advice] <= last, f"{advice} was said after {said[advice]:.0%} of the run"


def test_every_advice_about_learning_has_a_curve_of_a_real_run() -> None:
    heard = {name for expected in EXPECTED.values() for name in expected}
    assert heard >= {
        "overfitting",
        "too little text",
        "rate too high",
        "rate too low",
        "vocabulary too large",
        "forgetting",
        "slowed down",
    }


# -- curves that were never trained ------------------------------------------------------------------------------


def healthy_lines(random: np.random.Generator, *, spread: float, evaluations: int = 20) -> list[dict[str, Any]]:
    """A power law under wsd with noise on every number, and a training sample a little below."""
    steps, height, power = 30 * evaluations, random.uniform(3, 8), random.uniform(0.15, 0.6)
    floor, drop = random.uniform(0.5, 3), random.uniform(0, 0.3)
    lines: list[dict[str, Any]] = []
    for step in range(0, steps + 1, 3):
        law = floor + height * (step + 10) ** -power - drop * max(0.0, 2 * step / steps - 1)
        there = {"step": step, "epoch": step / steps, "seconds": step / 10}
        if step:
            noisy = law + random.normal() * max(0.1, 5 * spread)
            speed = 1e4 * random.uniform(0.8, 1.1)
            lines.append(
                there | {"train_loss": noisy, "learning_rate": 0.02, "gradient_norm": 0.5, "tokens_per_second": speed}
            )
        if step % 30 == 0:
            loss = law + random.normal() * spread
            lines.append(there | {"val_loss": loss, "train_sample_loss": loss - 0.05 + random.normal() * spread})
    return lines


def false_alarms(*, spread: float, curves: int) -> int:
    """Of so many healthy curves with noise of so many nats, those on which the coach says anything at any evaluation."""
    random, document = np.random.default_rng(0), recorded("healthy").document
    made = (Recorded("made", document, healthy_lines(random, spread=spread)) for _ in range(curves))
    return sum(bool(coached(one)) for one in made)


@pytest.mark.parametrize("spread", [0.0, 0.005, 0.02, 0.05])
def test_no_made_healthy_curve_raises_a_false_alarm(spread: float) -> None:
    assert false_alarms(spread=spread, curves=10) == 0


@pytest.mark.torture
@pytest.mark.parametrize("spread", [0.0, 0.005, 0.02, 0.05, 0.1])
def test_fewer_than_one_in_a_hundred_of_many_healthy_curves_raises_a_false_alarm(spread: float) -> None:
    assert false_alarms(spread=spread, curves=1000) < 10


def test_a_shape_that_was_planned_for_few_readings_is_not_called_too_large_for_its_text() -> None:
    few = [
        {"step": s, "epoch": s / 40, "val_loss": 5 - s / 60, "train_sample_loss": 5 - s / 60 - s * s / 9000}
        for s in range(0, 121, 20)
    ]
    facts = replace(recorded("healthy").facts, parameters=4_000_000, train_tokens=900_000, n_layer=5, n_embd=256)
    for wishes, silent in (
        ({"most_epochs": 3.0}, True),
        ({"most_epochs": 20.0}, False),
        ({"most_epochs": None}, False),
    ):
        said = {one.name for one in advise(few, replace(facts, asked=frozenset(), **wishes))}
        assert ("too little text" not in said) is silent
    asked = replace(facts, asked=frozenset({"n_layer"}), most_epochs=3.0)
    assert "too little text" in {one.name for one in advise(few, asked)}


# -- what going on would bring ------------------------------------------------------------------------------------

DOUBLED = (("healthy_half", "healthy"), ("healthy", "healthy_double"))


@pytest.mark.parametrize(("run", "twice_as_long"), DOUBLED)
def test_what_twice_the_time_brings_is_foretold_within_a_third(run: str, twice_as_long: str) -> None:
    before, after = Curve.of(recorded(run).lines), Curve.of(recorded(twice_as_long).lines)
    came = before.validation.min() - after.validation.min()
    assert going_on(before, recorded(run).facts) == pytest.approx(came, rel=1 / 3)


def test_nothing_is_foretold_from_too_few_evaluations() -> None:
    run = recorded("healthy")
    assert going_on(Curve.of(run.lines[:40]), run.facts) is None


# -- what is said -------------------------------------------------------------------------------------------------


def test_what_was_given_is_not_said_again() -> None:
    run = recorded("overfitting")
    first = advise(run.lines, run.facts)
    assert "overfitting" in {advice.name for advice in first}
    assert advise(run.lines, run.facts, given=[advice.name for advice in first]) == []


def test_nothing_is_said_before_the_first_evaluation() -> None:
    assert advise([], recorded("overfitting").facts) == []
    assert advise([{"step": 1, "learning_rate": 0.1}], recorded("overfitting").facts) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_advice_names_numbers_and_something_that_can_be_typed_or_done(name: str) -> None:
    for _, advice in coached(recorded(name)):
        assert 80 <= len(advice.text) <= 480
        assert re.search(r"\d", advice.text)
        flags = re.findall(r"--([a-z-]+)", advice.text)
        assert flags or "Close other programs" in advice.text
        assert {flag.replace("-", "_") for flag in flags} <= {*SECTION_OF, "from", "replay"}


# -- rules that need no curve --------------------------------------------------------------------------------------


def said_at_the_start(**changes: Any) -> set[str]:
    """The advice after the first evaluation of a healthy run with other facts."""
    run = recorded("healthy")
    return {advice.name for advice in advise(run.lines[:1], replace(run.facts, **changes))}


def test_a_gpu_that_is_not_used_is_named_unless_the_person_chose_the_cpu() -> None:
    assert said_at_the_start(gpu_unused=True) == {"gpu unused"}
    assert said_at_the_start(gpu_unused=True, asked=frozenset({"device"})) == set()


def test_idle_threads_are_named_unless_the_person_chose_their_number() -> None:
    assert said_at_the_start(n_embd=256, threads=1, cores=8) == {"threads idle"}
    assert said_at_the_start(n_embd=256, threads=1, cores=8, asked=frozenset({"threads"})) == set()
    assert said_at_the_start(n_embd=256, threads=4, cores=8) == set(), (
        "half of the logical cores is all of the real ones"
    )
    assert said_at_the_start(n_embd=64, threads=1, cores=8) == set(), "a small model gains nothing"


def steady_lines(count: int = 80, **numbers: float) -> list[dict[str, Any]]:
    """So many steps of half a second, and three evaluations, with `numbers` in every step line."""
    lines: list[dict[str, Any]] = []
    always = {"train_loss": 4.0, "gradient_norm": 0.5}
    for step in range(1, count + 1):
        lines.append({"step": step, "seconds": step / 2, "learning_rate": 0.02, **always, **numbers})
        if step % (count // 3) == 0:
            lines.append({"step": step, "val_loss": 4.0, "train_sample_loss": 4.0})
    return lines


def test_a_gpu_that_mostly_waits_gets_more_to_do() -> None:
    facts = replace(recorded("healthy").facts, device="cuda")
    assert [advice.name for advice in advise(steady_lines(peak_share=0.01), facts)] == ["small steps"]
    assert advise(steady_lines(peak_share=0.2), facts) == []


def test_a_long_run_that_could_be_compiled_is_told_so() -> None:
    facts = replace(recorded("healthy").facts, can_compile=True, asked=frozenset())
    assert [advice.name for advice in advise(steady_lines(seconds_left=3000), facts)] == ["not compiled"]
    assert advise(steady_lines(seconds_left=200), facts) == []
    assert advise(steady_lines(seconds_left=3000), replace(facts, compiled=True)) == []
    assert advise(steady_lines(seconds_left=3000), replace(facts, asked=frozenset({"compile"}))) == []


def test_a_run_far_slower_than_planned_is_told_so_when_its_steps_are_large() -> None:
    facts = replace(recorded("healthy").facts, n_embd=256, expected_tokens_per_second=10_000)
    assert [advice.name for advice in advise(steady_lines(tokens_per_second=2000), facts)] == ["slower than planned"]
    assert advise(steady_lines(tokens_per_second=6000), facts) == []
    assert advise(steady_lines(tokens_per_second=2000), replace(facts, n_embd=64)) == [], (
        "the plan knows nothing of these"
    )


def test_steps_that_fail_again_and_again_mean_too_high_a_rate() -> None:
    facts = recorded("healthy").facts
    lines = steady_lines()
    assert advise(lines, facts) == []
    for line in lines[40:43]:
        del line["train_loss"]
    assert [advice.name for advice in advise(lines, facts)] == ["rate too high"]
    assert advise(lines, replace(facts, precision="fp16")) == [], "fp16 looks for its scale by failing"


# -- numbers -------------------------------------------------------------------------------------------------------


def test_noise_is_that_which_was_added_and_not_the_trend() -> None:
    random = np.random.default_rng(1)
    line = np.linspace(5, 3, 400)
    assert noise(line + random.normal(size=400) * 0.05) == pytest.approx(0.05, rel=0.2)
    assert noise(line) < 1e-9
    assert noise(line[:4]) == float("inf")


def test_one_odd_point_does_not_turn_the_slope() -> None:
    x = np.arange(9, dtype=np.float64)
    y = -0.5 * x
    y[4] = 100
    assert slope(x, y) == pytest.approx(-0.5, abs=0.02)


def test_rare_entries_and_the_loss_of_mere_frequencies_are_counted_in_chunks() -> None:
    random = np.random.default_rng(3)
    ids = np.minimum(random.geometric(0.02, size=5000) + 250, 599).astype(np.uint16)
    ids[::100] = 0
    tokens = TokenSet(ids, np.array([0], dtype=np.uint64), 4950, 9000, 9000, control=(0,))
    found = text_facts(tokens, 600, chunk=333)
    counts = Counter(int(i) for i in ids if i)
    shares = np.array(list(counts.values())) / counts.total()
    assert found["rare_share"] == pytest.approx(sum(counts[i] < 20 for i in range(260, 600)) / 340, abs=1e-4)
    assert found["unigram_loss"] == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-4)


def test_facts_are_read_from_what_plan_json_holds() -> None:
    document = recorded("cosine").document
    facts: Facts = facts_of(document, run="runs/x", cores=8)
    assert (facts.run, facts.cores, facts.optimizer, facts.schedule) == ("runs/x", 8, "adamw", "cosine")
    assert facts.usual_rate == facts.learning_rate
    assert {"n_layer", "optimizer", "schedule", "steps"} <= facts.asked
    assert facts.expected_bits_per_byte is None
    expecting = document | {"plan": document["plan"] | {"expected_bits_per_byte": [1.5, 1.75]}}
    assert facts_of(expecting, run="x").expected_bits_per_byte == (1.5, 1.75)
