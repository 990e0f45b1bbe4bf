"""Planning a new run: the machine is measured, then everything is worked out, in at most a few seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bajka.config import Settings
from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.planning.plan import CorpusFacts, Plan, make_plan
from bajka.planning.rates import Rates
from bajka.planning.schedule import planned_minutes
from bajka.training.measuring import Watch, measure_machine, measure_step, measuring_seconds

LOOKS = 3
"""Candidates whose real step is measured: the choice may change when the first is slower than thought."""


@dataclass
class Planner:
    """Plans one run on one machine, or for so many `processes` on machines like it; `elapsed` gives the seconds since the
    command began, `imported` and `teacher` are the shapes of given models.

    `rates` grow with each candidate whose step is measured, within `allowance` seconds in all; with 0 nothing is measured,
    and the same texts and settings give the same plan.
    """

    settings: Settings
    machine: Machine
    rates: Rates
    elapsed: Callable[[], float]
    imported: ModelConfig | None = None
    allowance: float = 0.0
    processes: int = 1
    teacher: ModelConfig | None = None

    @classmethod
    def measuring(
        cls,
        settings: Settings,
        machine: Machine,
        *,
        elapsed: Callable[[], float],
        imported: ModelConfig | None = None,
        teacher: ModelConfig | None = None,
        processes: int = 1,
    ) -> Planner:
        """A planner for this machine, whose rates are measured now; steps of candidates follow."""
        allowance = measuring_seconds(planned_minutes(settings))
        rates = measure_machine(machine, seconds=0.25 * allowance)
        return cls(settings, machine, rates, elapsed, imported, allowance, processes, teacher)

    @property
    def minutes(self) -> float | None:
        """The length of the run; None for one in steps or epochs."""
        return planned_minutes(self.settings)

    def plan(self, facts: CorpusFacts) -> Plan:
        """The plan, its speed measured on real steps of what it chose."""
        looked: list[Plan] = []
        while len(looked) < LOOKS and self._measured(plan := self._plan(facts)):
            looked.append(plan)
        self._measure_again(looked)
        return self._plan(facts)

    def _plan(self, facts: CorpusFacts) -> Plan:
        return make_plan(
            self.settings,
            facts,
            self.machine,
            rates=self.rates,
            imported=self.imported,
            teacher=self.teacher,
            spent=self.elapsed(),
            processes=self.processes,
        )

    def _measured(self, plan: Plan) -> bool:
        """Measure a step of what was chosen, once and while there is time; whether the rates have changed.

        A run in steps is planned without: nothing that it decides depends on the speed.
        """
        left = self.allowance - self.rates.seconds
        if (
            self.minutes is None
            or left <= 0
            or self.rates.knows(plan.model, plan.micro_batch_size, self.machine.precision)
        ):
            return False
        return self._measure(plan, seconds=left / 2)

    def _measure_again(self, looked: list[Plan]) -> None:
        """Measure once more what something else seems to have disturbed: a larger shape may have been passed over for it."""
        slow = self.rates.doubtful
        for plan in looked:
            if slow is not None and slow.is_of(plan.model, plan.micro_batch_size, self.machine.precision):
                self._measure(plan, seconds=4 * slow.modelled)

    def _measure(self, plan: Plan, *, seconds: float) -> bool:
        """Whether real steps of the plan were made, in so many seconds; the rates then know them."""
        watch = Watch(self.machine)
        step = measure_step(plan, self.machine, self.rates, seconds=seconds)
        rates = self.rates if step is None else self.rates.with_step(step)
        self.rates = rates.measured_for(watch.seconds, watch.waited)
        return step is not None
