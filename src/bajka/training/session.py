"""One sitting of a run: steps, evaluations, samples, saves, the clock's decisions, signals. `train` opens and ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import torch

from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.distributed import World
from bajka.errors import BajkaError, Interrupted, NumericsError, ResourceError
from bajka.generation.write import Text
from bajka.hardware import Machine, compiling_failed, nearly_full, out_of_memory
from bajka.planning.plan import Plan
from bajka.planning.schedule import Cooldown
from bajka.settings import shell_word
from bajka.training.clock import Clock, Pace
from bajka.training.inputs import Inputs
from bajka.training.look import Losses, losses_of, samples, validation_loss
from bajka.training.minutes import keep_to_minutes, save_seconds
from bajka.training.mixed import batches_of
from bajka.training.patience import look
from bajka.training.pulse import Pulse
from bajka.training.saving import check_disk, keep_as_best, save
from bajka.training.sharding import is_sharded, whole
from bajka.training.signals import Signals
from bajka.training.steps import EverybodysMemoryError, StepReport, TrainingState, compiled_loss, steps
from bajka.training.teacher import Teacher
from bajka.training.telling import announce, new_advice, note_advice, note_losses, note_samples, note_step
from bajka.training.trouble import go_on_eager, roll_back, use_less_memory
from bajka.watching.record import Log, Record
from bajka.watching.trackers import open_trackers

T = TypeVar("T")

_WINDOWS_OF_A_NEW_MODEL = 32  # it knows nothing, which a few windows show as well as all


@dataclass
class Session:
    """Everything a running training needs at hand; `plan_file` is what plan.json holds."""

    run: RunFolder
    settings: Settings
    plan: Plan
    plan_file: dict[str, Any]
    machine: Machine
    inputs: Inputs
    state: TrainingState
    log: Log
    clock: Clock
    world: World = field(default_factory=World)
    best_loss: float = float("inf")
    resumed: bool = False
    teacher: Teacher | None = None
    pace: Pace = field(default_factory=Pace)
    signalled: int = 0
    _saved_at: float = 0.0

    def __post_init__(self) -> None:
        self.batches = batches_of(self.inputs, self.plan)
        a_step = self.plan.global_batch_size * self.plan.model.context_length
        if self.plan.expected_tokens_per_second:  # none after another machine took the run up
            self.pace.expected = a_step / self.plan.expected_tokens_per_second

    def go(self, open_teacher: Callable[[Session], Teacher | None] = lambda session: None) -> None:
        """Train to the end of the schedule; raises `Interrupted` after saving when a signal comes. `open_teacher` is called
        before the first step, which is saved by then: it may take long."""
        check_disk(self)
        if self.plan.compile:
            torch.compiler.reset()  # what earlier runs in this process compiled counts against a limit
        if self.machine.kind == "cuda":
            torch.cuda.reset_peak_memory_stats(self.machine.device)
        speaks = self.world.speaks
        trackers = open_trackers(self.run, step=self.state.step, say=self.log.say) if speaks else None
        self.record = Record(self.run, trackers, warn=self.log.say)
        self.log.view.opened(self.run)
        try:
            with Pulse(self.run, expected_bytes=self.plan.expected_memory_bytes, silent=not speaks) as pulse:
                announce(self)
                self._saved_at = self.clock.seconds()
                if not self.resumed:
                    self._save()
                self.teacher = open_teacher(self)
                if self._owes_evaluation():
                    self._evaluate()
                with Signals() as signals:
                    self._train(signals, pulse)
        finally:
            self.record.close()

    @property
    def cooldown(self) -> Cooldown | None:
        """When the rate falls and the run ends, as far as that is known."""
        return self.plan.schedule.cooldown(self.state.cooldown)

    # -- the loop ------------------------------------------------------------------------------------------------

    def _train(self, signals: Signals, pulse: Pulse) -> None:
        """Steps to the end, through trouble; the loop begins anew where the state is after it."""
        while not self.state.ended(self.plan.schedule):
            try:
                self._walk(signals, pulse)
            except NumericsError as trouble:
                roll_back(self, trouble)
            except RuntimeError as error:
                if out_of_memory(error) and (self.world.size == 1 or isinstance(error, EverybodysMemoryError)):
                    use_less_memory(self, "There is not enough memory for a step")
                elif out_of_memory(error):  # others wait for this process in the middle of a step
                    raise ResourceError(
                        f"There is not enough memory for a step on this process. Try --micro-batch-size "
                        f"{max(1, self.plan.micro_batch_size // 2)} or a smaller model."
                    ) from error
                elif self.plan.compile and self.world.size == 1 and compiling_failed(error):
                    go_on_eager(self, error)
                else:
                    raise

    def _walk(self, signals: Signals, pulse: Pulse) -> None:
        """Steps, and between two of them whatever is due; time is that of the run's clock."""
        before, first = self._stepping(), self.state.step
        for report in self._steps():
            if self.world.speaks:
                note_step(self, report)
            now = self._stepping()
            self.pace.stepped(now - before, at=self.clock.seconds())
            before = now
            pulse.beat(report.step - first)
            keep_to_minutes(self)
            self._observe(report.step)
            self._obey(signals)
            if self.machine.kind == "cuda" and self._spilling():
                use_less_memory(self, "Steps take three times as long as before: the GPU's memory seems to overflow")
                return

    def _spilling(self) -> bool:
        """Whether any process' steps have become slow with its GPU nearly full, and smaller micro-batches are left to try."""
        slow = self.pace.spilling() and nearly_full(self.machine.device)
        rows = -(-self.plan.global_batch_size // self.world.size)
        return bool(self.world.agree(int(slow))) and min(self.plan.micro_batch_size, rows) > 1

    def _stepping(self) -> float:
        """Active seconds without evaluations, saves and looks."""
        return self.clock.seconds() - self.pace.beside

    def _steps(self) -> Iterator[StepReport]:
        return steps(
            self.state,
            self.batches,
            schedule=self.plan.schedule,
            machine=self.machine,
            global_batch_size=self.plan.global_batch_size,
            micro_batch_size=self.plan.micro_batch_size,
            seed=self.plan.seed,
            world=self.world,
            loss_function=compiled_loss(self.state.model) if self.plan.compile else None,
            teacher=self.teacher,
        )

    def _observe(self, step: int) -> None:
        """Whatever is due after a step: looks that change the weights, saving, then evaluation with samples, which draws
        nothing from training and cannot lose it."""
        look(self)
        cooldown, last = self.cooldown, self.state.ended(self.plan.schedule)
        # What comes before a cooldown is worth keeping: from there a run can be made longer. Cosine and linear fall
        # from the start, so a longer run of theirs goes on from the end.
        falls = cooldown is not None and cooldown.steps > 0 and self.plan.schedule.name == "wsd"
        begins = falls and cooldown is not None and step == cooldown.begin
        due = self._evaluation_due()
        if due or begins or last or self._save_due(step):
            self._save(before_cooldown=begins)
        if due:
            self._evaluate()

    def _obey(self, signals: Signals) -> None:
        """Save and stop when any process got a signal; one that ends anyway only keeps it in `signalled`."""
        number = self.world.agree(signals.received)
        if not number or self.state.ended(self.plan.schedule):
            self.signalled = number
            return
        if (self.run.read_pointer("last") or {}).get("step") != self.state.step:
            self._save()
        raise Interrupted(
            f"Stopped at step {self.state.step:,}; everything is saved. Continue: bajka train "
            f"{shell_word(self.run.path)}",
            signal_number=number,
        )

    def _save_due(self, step: int) -> bool:
        every = self.settings.train.save_every_steps
        if every is not None:
            return step % every == 0
        due = self.clock.seconds() - self._saved_at >= save_seconds(self)
        return bool(self.world.agree(int(due)))

    def _save(self, *, before_cooldown: bool = False) -> None:
        began = self.clock.seconds()
        save(self, before_cooldown=before_cooldown)
        self._saved_at = self.clock.seconds()
        self.pace.spent("saves", self._saved_at - began)

    # -- evaluations ---------------------------------------------------------------------------------------------

    def _evaluation_due(self) -> bool:
        plan, step = self.plan, self.state.step
        due = step % plan.evaluate_every_steps == 0 or step == plan.first_look_step
        return due or self.state.ended(plan.schedule)

    def _owes_evaluation(self) -> bool:
        """Whether this step is still to be evaluated: a crash can come between a save and its evaluation."""
        done = any("val_loss" in line and line["step"] == self.state.step for line in self.run.metrics())
        return self._evaluation_due() and not self.world.first(lambda: done)

    def _evaluate(self) -> None:
        """Losses and samples of a step that is saved, written down and said; the best model so far is kept."""
        began = self.clock.seconds()
        losses, improved = self._guarded("evaluation", self._losses), False
        if losses is not None:
            loss = self.world.largest(losses.best)  # the same on all processes, to the last bit
            improved = loss < self.best_loss
            if improved:
                self.best_loss = loss
                average = losses.validation.loss > losses.best
                self.world.first(lambda: keep_as_best(self, loss, average=average))
        with whole(self.state.model):
            written = self._guarded("sample", self._samples, alone=True) if self.world.speaks else None
        if self.world.speaks:
            self._note_evaluation(losses, written or ([], 0.0), improved=improved)
        self.pace.spent("evaluations", self.clock.seconds() - began)

    def _note_evaluation(self, losses: Losses | None, written: tuple[list[Text], float], *, improved: bool) -> None:
        """All that an evaluation found, written down together and last: what a crash leaves out is done again."""
        show_samples = note_samples(self, *written)
        if losses is not None:
            note_losses(self, losses, improved=improved)
        show_samples()
        self.record.flush()
        note_advice(self, self._guarded("coach", lambda: new_advice(self), alone=True) or [])

    def _samples(self) -> tuple[list[Text], float]:
        return samples(self.state.model, self.inputs, self.settings.sample, seed=self.plan.seed)

    def _losses(self) -> Losses:
        state, plan = self.state, self.plan
        if state.step == 0 and not self.settings.train.from_model:
            plan = replace(plan, evaluation_windows=min(plan.evaluation_windows, _WINDOWS_OF_A_NEW_MODEL))
        with whole(state.model):
            losses = losses_of(state.model, self.inputs, plan, self.machine)
        if state.average is None or not state.average.ready:
            return losses
        with state.average.in_place_of(state.model), whole(state.model):
            return replace(losses, average=validation_loss(state.model, self.inputs, self.plan, self.machine))

    def _guarded(self, what: str, look: Callable[[], T], *, alone: bool = False) -> T | None:
        """What `look` gives, on all processes or on none: a look that fails never ends a run that trains."""
        trouble, found = "", None
        try:
            found = look()
        except BajkaError:
            raise
        except Exception as error:
            if is_sharded(self.state.model):  # the others wait for weights of this process
                raise ResourceError(f"The {what} at step {self.state.step:,} failed: {error}") from error
            trouble = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if not (bool(trouble) if alone else self.world.agree(bool(trouble))):
            return found
        self.log.say(
            f"The {what} at step {self.state.step:,} failed ({trouble or 'in another process'}); training goes on."
        )
        return None
