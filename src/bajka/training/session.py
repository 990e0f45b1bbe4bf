"""One sitting of a run: steps, evaluations, samples, saves, the clock's decision, signals. `train` opens and ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.distributed import World
from bajka.errors import BajkaError, Interrupted
from bajka.hardware import Machine, used_memory
from bajka.tokens import Batches
from bajka.training.clock import Clock, Pace, decide_cooldown
from bajka.training.inputs import Inputs
from bajka.training.look import Losses, both_losses, samples, validation_loss
from bajka.training.plan import Plan
from bajka.training.record import Log, Record
from bajka.training.saving import save
from bajka.training.schedule import Cooldown
from bajka.training.sharding import whole
from bajka.training.signals import Signals
from bajka.training.steps import StepReport, TrainingState, compiled_loss, steps


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
    pace: Pace = field(default_factory=Pace)
    _last_evaluation: float = 1.0  # seconds
    _saved_at: float = 0.0

    def __post_init__(self) -> None:
        train = self.inputs.data.train
        self.batches = Batches(
            train.ids,
            train.starts,
            context_length=self.plan.model.context_length,
            seed=self.plan.seed,
            end_of_text=self.inputs.data.end_of_text,
            windows=self.plan.windows,  # type: ignore[arg-type]
            stride=self.plan.stride,
        )

    def go(self) -> None:
        """Train to the end of the schedule; raises `Interrupted` after saving when a signal comes."""
        board = self.settings.train.tensorboard and self.world.speaks
        self.record = Record(self.run, tensorboard=board, step=self.state.step)
        try:
            self._announce()
            self._saved_at = began = self.clock.seconds()
            if not self.resumed:
                self._evaluate()
                self._save(best=True)
            with Signals() as signals:
                self._train(signals, began)
        finally:
            self.record.close()

    # -- the loop ------------------------------------------------------------------------------------------------

    def _train(self, signals: Signals, began: float) -> None:
        """Steps to the end, and between two of them whatever is due; time is that of the run's clock."""
        ready = self.clock.seconds()
        self.pace.spent_beside(ready - began)
        for report in self._steps():
            self._note(report)
            stepped = self.clock.seconds()
            self.pace.stepped(stepped - ready)
            self._decide()
            self._observe(report.step)
            self._obey(signals)
            ready = self.clock.seconds()
            self.pace.spent_beside(ready - stepped)

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
        )

    def _observe(self, step: int) -> None:
        """Whatever is due after a step: plateau, evaluation with samples, saving. Nothing here draws from training."""
        self._look_for_plateau(step)
        cooldown, last = self._cooldown, self._is_last
        # What comes before a cooldown is worth keeping: from there a run can be made longer. Cosine and linear fall
        # from the start, so a longer run of theirs goes on from the end.
        falls = cooldown is not None and cooldown.steps > 0 and self.plan.schedule.name == "wsd"
        begins = falls and cooldown is not None and step == cooldown.begin
        improved = (last or step % self.plan.evaluate_every_steps == 0) and self._evaluate()
        if improved or begins or last or self._save_due(step):
            self._save(best=improved, before_cooldown=begins)

    @property
    def _cooldown(self) -> Cooldown | None:
        return self.plan.schedule.cooldown(self.state.cooldown)

    @property
    def _is_last(self) -> bool:
        return self._cooldown is not None and self.state.step >= self._cooldown.end

    def _look_for_plateau(self, step: int) -> None:
        plateau = self.state.plateau
        if plateau is None or step % plateau.every_steps:
            return
        with whole(self.state.model):
            loss = validation_loss(self.state.model, self.inputs, self.plan, self.machine).loss
        if plateau.look(self.world.largest(loss)):
            self.log.say(
                f"Step {step:,}: validation has not improved; the rate is now {plateau.share:.3g} of its peak."
            )

    def _obey(self, signals: Signals) -> None:
        """Save and stop when any process got a signal, unless the run ends anyway."""
        number = self.world.agree(signals.received)
        if not number or self._is_last:
            return
        if (self.run.read_pointer("last") or {}).get("step") != self.state.step:
            self._save()
        raise Interrupted(
            f"Stopped at step {self.state.step:,}; everything is saved. Continue: bajka train {self.run.path}",
            signal_number=number,
        )

    def _save_due(self, step: int) -> bool:
        every = self.settings.train.save_every_steps
        if every is not None:
            return step % every == 0
        due = self.clock.seconds() - self._saved_at >= 60 * self.settings.train.save_every_minutes
        return bool(self.world.agree(int(due)))

    def _save(self, *, best: bool = False, before_cooldown: bool = False) -> None:
        save(self, best=best, before_cooldown=before_cooldown)
        self._saved_at = self.clock.seconds()

    # -- the clock -----------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Take the clock's one decision when its moment has come, and write it down before it takes effect."""
        if self.plan.minutes is None or self.state.cooldown is not None:
            return
        if earlier := self.plan_file["clock"]:  # decided before a crash: replayed, not decided again
            if self.state.step >= earlier["begin"]:
                self.state.cooldown = Cooldown(**earlier)
            return
        decision = decide_cooldown(
            self.plan.schedule,
            step=self.state.step,
            elapsed=self.clock.seconds(),
            budget=60 * self.plan.minutes,
            step_seconds=self.pace.whole(),
            reserve=2 * self._last_evaluation + 0.5,
        )
        agreed = int(self.world.largest(-1.0 if decision is None else float(decision.steps)))
        if agreed < 0:
            return
        cooldown = Cooldown(self.state.step, agreed)
        self.plan_file["clock"] = asdict(cooldown)
        self.world.first(lambda: self.run.write_plan(self.plan_file))
        self.state.cooldown = cooldown
        self.log.say(f"Step {self.state.step:,}: the cooldown begins and lasts {agreed:,} steps.")

    # -- what is written down ------------------------------------------------------------------------------------

    def _note(self, report: StepReport) -> None:
        if not self.world.speaks:
            return
        seconds = self.pace.mean() if self.pace.recent else report.seconds
        speed = self.plan.global_batch_size * self.plan.model.context_length / max(seconds, 1e-9)
        memory = used_memory(self.machine.device)
        self.record.metrics(
            report.step,
            tokens=report.tokens,
            epoch=round(report.epoch, 6),
            seconds=round(self.clock.seconds(), 3),
            train_loss=report.loss,
            learning_rate=report.learning_rate,
            gradient_norm=report.gradient_norm,
            tokens_per_second=round(speed, 1),
            memory_bytes=memory,
        )
        if report.skipped:
            self.log.say(f"Step {report.step:,}: the gradient was not a number; this batch was skipped.")
        share, left = self._progress(report.step)
        self.log.view.step(report, share=share, seconds_left=left, speed=speed, memory=memory)

    def _progress(self, step: int) -> tuple[float, float | None]:
        """Share of the run that is done, and seconds that are left."""
        cooldown, elapsed = self._cooldown, self.clock.seconds()
        if cooldown is None:
            assert self.plan.minutes is not None
            budget = 60 * self.plan.minutes
            return min(1.0, elapsed / budget), max(0.0, budget - elapsed)
        left = (cooldown.end - step) * self.pace.whole()
        return (step / cooldown.end if self.plan.minutes is None else elapsed / (elapsed + left + 1e-9)), left

    def _evaluate(self) -> bool:
        """Losses and samples, written down and said; gives whether the validation loss is the best so far."""
        with whole(self.state.model):
            return self._evaluate_whole()

    def _evaluate_whole(self) -> bool:
        began = self.clock.seconds()
        losses = both_losses(self.state.model, self.inputs, self.plan, self.machine)
        validation = self.world.largest(losses.validation.loss)  # the same on all processes, to the last bit
        improved = validation < self.best_loss
        self.best_loss = min(self.best_loss, validation)
        if self.world.speaks:
            self._record_losses(losses, improved)
            self._record_samples()
        self._last_evaluation = self.clock.seconds() - began
        return improved

    def _record_losses(self, losses: Losses, improved: bool) -> None:
        step, loss = self.state.step, losses.validation
        self.record.metrics(
            step,
            tokens=self.state.position * self.plan.model.context_length,
            epoch=round(self.state.position / self.batches.windows_per_epoch, 6),
            seconds=round(self.clock.seconds(), 3),
            val_loss=loss.loss,
            val_perplexity=loss.perplexity,
            val_bits_per_byte=loss.bits_per_byte,
            val_bits_per_letter=loss.bits_per_letter,
            train_sample_loss=losses.sample.loss,
        )
        self.record.flush()
        self.log.say(
            f"Step {step:,}: validation loss {loss.loss:.4f} a token of this vocabulary, perplexity {loss.perplexity:,.2f}, "
            f"{loss.bits_per_byte:.4f} bits a byte, {loss.bits_per_letter:.4f} bits a letter; "
            f"training sample {losses.sample.loss:.4f}{'  (best so far)' if step and improved else ''}"
        )

    def _record_samples(self) -> None:
        """Write the samples down, and say the first."""
        texts, speed = samples(self.state.model, self.inputs, self.settings.sample, seed=self.plan.seed)
        for text in texts:
            facts = {"reason": text.reason, "tokens_per_second": round(speed, 1)}
            self.record.sample(self.state.step, text.prompt, text.text, **facts)
        if texts:
            self.log.say(f"  {texts[0].whole.strip()}  [{speed:,.0f} tokens/s]")

    def _announce(self) -> None:
        """Say what is about to begin, and check one batch before the first step."""
        batch = self.batches.batch(self.state.position, self.plan.global_batch_size)
        rows, length = batch.inputs.shape
        largest = int(batch.inputs.max())
        if largest >= self.plan.model.vocab_size:
            raise BajkaError(f"A batch holds the id {largest}, beyond the vocabulary of {self.plan.model.vocab_size}.")
        assert (batch.inputs[:, 1:] == batch.targets[:, :-1])[batch.targets[:, :-1] >= 0].all(), "targets are shifted"
        self.log.say(
            f"A batch: {rows} rows of {length} tokens, {batch.counted:,} targets, each the token after its input; "
            f"{self.batches.windows_per_epoch:,} windows an epoch."
        )
        if self.state.step:
            self.log.say(f"Continuing from step {self.state.step:,} of {self.run.path}.")
