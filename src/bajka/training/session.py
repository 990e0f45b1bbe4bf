"""One sitting of a run: steps, evaluations, samples, saves, the clock's decision, signals. `train` opens and ends it."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from bajka.checkpoint.checkpoint import Checkpoint, save_checkpoint
from bajka.checkpoint.model_folder import write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import Settings
from bajka.distributed import World
from bajka.errors import BajkaError, Interrupted, NumericsError
from bajka.evaluation.loss import Loss, windows_loss
from bajka.generation.sampling import Sampling
from bajka.generation.write import generate, measure_speed
from bajka.hardware import Machine, used_memory
from bajka.model.convert import load_hugging_face_weights
from bajka.tokens import Batches
from bajka.training.clock import Clock, decide_cooldown
from bajka.training.inputs import Inputs
from bajka.training.plan import Plan
from bajka.training.record import Record
from bajka.training.schedule import Cooldown
from bajka.training.signals import Signals
from bajka.training.steps import StepReport, TrainingState, compiled_loss, steps
from bajka.training.view import View


@dataclass
class Session:
    """Everything a running training needs at hand."""

    run: RunFolder
    settings: Settings
    plan: Plan
    plan_file: dict[str, Any]
    machine: Machine
    inputs: Inputs
    state: TrainingState
    view: View
    clock: Clock
    world: World = field(default_factory=World)
    best_loss: float = float("inf")
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    _aside: float = 0.0  # seconds of this sitting spent on evaluating, sampling and saving
    _stepping: float = 0.0
    _last_evaluation: float = 1.0
    _saved_at: float = 0.0

    def __post_init__(self) -> None:
        self.record = Record(self.run, tensorboard=self.settings.train.tensorboard)
        self._saved_at = self.clock.seconds()
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

    def say(self, line: str) -> None:
        """Tell the person, and the run's log."""
        if self.world.speaks:
            self.view.say(line)
            self.record.say(line)

    # -- the loop ------------------------------------------------------------------------------------------------

    def go(self) -> None:
        """Train to the end of the schedule; raises `Interrupted` after saving when a signal comes."""
        self._announce()
        if self.state.step == 0:
            self._evaluate()
            self._save(best=True)
        elif self._due(self.state.step, self.plan.evaluate_every_steps) and not self._evaluated(self.state.step):
            self._evaluate()
        with Signals() as signals:
            for report in self._steps():
                self._log(report)
                self._decide()
                last = self._is_last(report.step)
                self._observe(report.step, last=last)
                signal_number = self.world.agree(signals.received)
                if signal_number and not last:
                    self._save_unless_saved()
                    raise Interrupted(
                        f"Stopped at step {report.step:,}; everything is saved. Continue: bajka train {self.run.path}",
                        signal_number=signal_number,
                    )
        self.record.flush()

    def _steps(self) -> Any:
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

    def _is_last(self, step: int) -> bool:
        end = self.plan.schedule.cooldown(self.state.cooldown)
        return end is not None and step >= end.end

    def _observe(self, step: int, *, last: bool) -> None:
        """Whatever is due after a step: plateau, evaluation with samples, saving. Nothing here draws from training."""
        plateau = self.state.plateau
        if plateau is not None and self._due(step, plateau.every_steps) and plateau.look(self._validation().loss):
            self.say(f"Step {step:,}: validation has not improved; the rate is now {plateau.share:.3g} of its peak.")
        cooldown = self.plan.schedule.cooldown(self.state.cooldown)
        begins = cooldown is not None and cooldown.steps > 0 and step == cooldown.begin
        if begins:
            self._save(before_cooldown=True)
        if last or self._due(step, self.plan.evaluate_every_steps):
            improved = self._evaluate()
            if improved or last:
                self._save(best=improved)
        elif self._save_due(step) and not begins:
            self._save()

    @staticmethod
    def _due(step: int, every: int) -> bool:
        return step % every == 0

    def _save_due(self, step: int) -> bool:
        every = self.settings.train.save_every_steps
        if every is not None:
            return self._due(step, every)
        due = self.clock.seconds() - self._saved_at >= 60 * self.settings.train.save_every_minutes
        return bool(self.world.agree(int(due)))

    # -- the clock -----------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Take the clock's one decision when its moment has come, and write it down before it takes effect."""
        if self.plan.minutes is None or self.state.cooldown is not None:
            return
        if earlier := self.plan_file.get("clock"):  # decided before a crash: replayed, not decided again
            if self.state.step >= earlier["begin"]:
                self.state.cooldown = Cooldown(**earlier)
            return
        decision = decide_cooldown(
            self.plan.schedule,
            step=self.state.step,
            elapsed=self.clock.seconds(),
            budget=60 * self.plan.minutes,
            step_seconds=self._step_seconds(),
            reserve=2 * self._last_evaluation + 0.5,
        )
        agreed = int(self.world.largest(-1.0 if decision is None else float(decision.steps)))
        if agreed < 0:
            return
        self.state.cooldown = Cooldown(self.state.step, agreed)
        self.plan_file["clock"] = asdict(self.state.cooldown)
        if self.world.speaks:
            self.run.write_plan(self.plan_file)
        self.say(f"Step {self.state.step:,}: the cooldown begins and lasts {agreed:,} steps.")

    def _step_seconds(self) -> float:
        """Seconds a step takes now, with its share of evaluations, samples and saves."""
        if not self._recent:
            return 1.0
        typical = sorted(self._recent)[len(self._recent) // 2]
        mean = sum(self._recent) / len(self._recent)
        share_aside = self._aside / self._stepping if self._stepping > 0 else 0.0
        return min(max(typical, mean), 1.5 * typical) * (1 + share_aside)

    # -- what is observed ----------------------------------------------------------------------------------------

    def _log(self, report: StepReport) -> None:
        self._recent.append(report.seconds)
        self._stepping += report.seconds
        typical = sum(self._recent) / len(self._recent)
        speed = self.plan.global_batch_size * self.plan.model.context_length / typical
        memory = used_memory(self.machine.device)
        elapsed = self.clock.seconds()
        if not self.world.speaks:
            return
        self.record.metrics(
            report.step,
            tokens=report.tokens,
            epoch=round(report.epoch, 6),
            seconds=round(elapsed, 3),
            train_loss=report.loss,
            learning_rate=report.learning_rate,
            gradient_norm=report.gradient_norm,
            tokens_per_second=round(speed, 1),
            memory_bytes=memory,
        )
        if report.skipped:
            self.say(f"Step {report.step:,}: the gradient was not a number; this batch was skipped.")
        share, left = self._progress(report.step, elapsed)
        self.view.step(report, share=share, seconds_left=left, speed=speed, memory=memory)

    def _progress(self, step: int, elapsed: float) -> tuple[float, float | None]:
        end = self.plan.schedule.cooldown(self.state.cooldown)
        if self.plan.minutes is not None:
            budget = 60 * self.plan.minutes
            if end is None:
                return min(1.0, elapsed / budget), max(0.0, budget - elapsed)
        assert end is not None
        left = (end.end - step) * self._step_seconds()
        return (step / end.end if self.plan.minutes is None else elapsed / (elapsed + left + 1e-9)), left

    def _validation(self) -> Loss:
        return windows_loss(
            self.state.model,
            self.inputs.data.validation,
            end_of_text=self.inputs.data.end_of_text,
            most_windows=self.plan.evaluation_windows,
            rows=max(8, 4096 // self.plan.model.context_length),
            dtype=self.machine.dtype,
        )

    def _evaluate(self) -> bool:
        """Validation loss, the loss of an equal sample of training text, samples; gives whether this is the best."""
        began, step = time.perf_counter(), self.state.step
        loss = self._validation()
        sample = windows_loss(
            self.state.model,
            self.inputs.data.train,
            end_of_text=self.inputs.data.end_of_text,
            most_windows=self.plan.evaluation_windows,
            rows=max(8, 4096 // self.plan.model.context_length),
            dtype=self.machine.dtype,
        )
        improved = loss.loss < self.best_loss
        self.best_loss = min(self.best_loss, loss.loss)
        if self.world.speaks:
            self._record_evaluation(step, loss, sample, improved)
            self._sample(step)
        self._last_evaluation = time.perf_counter() - began
        self._aside += self._last_evaluation
        return improved

    def _record_evaluation(self, step: int, loss: Loss, sample: Loss, improved: bool) -> None:
        self.record.metrics(
            step,
            tokens=self.state.position * self.plan.model.context_length,
            epoch=round(self.state.position / self.batches.windows_per_epoch, 6),
            seconds=round(self.clock.seconds(), 3),
            val_loss=loss.loss,
            val_perplexity=loss.perplexity,
            val_bits_per_byte=loss.bits_per_byte,
            val_bits_per_letter=loss.bits_per_letter,
            train_sample_loss=sample.loss,
        )
        self.record.flush()
        self.say(
            f"Step {step:,}: validation loss {loss.loss:.4f} a token of this vocabulary, perplexity {loss.perplexity:,.2f}, "
            f"{loss.bits_per_byte:.4f} bits a byte, {loss.bits_per_letter:.4f} bits a letter; "
            f"training sample {sample.loss:.4f}{'' if step == 0 or not improved else '  (best so far)'}"
        )

    def _sample(self, step: int) -> None:
        """Write the person's prompts (or the corpus's openings) and say the first; their random numbers are their own."""
        prompts = self.settings.sample.prompts or self.inputs.openings
        if not prompts:
            return
        tokenizer, model = self.inputs.tokenizer, self.state.model
        texts = generate(model, tokenizer, prompts, sampling=sampling_of(self.settings))
        speed = measure_speed(model, tokenizer, tokens=32)
        for text in texts:
            self.record.sample(step, text.prompt, text.text, reason=text.reason, tokens_per_second=round(speed, 1))
        first = texts[0]
        self.say(f"  {first.whole.strip()}  [{speed:,.0f} tokens/s]")

    # -- saving --------------------------------------------------------------------------------------------------

    def _save_unless_saved(self) -> None:
        if (self.run.read_pointer("last") or {}).get("step") != self.state.step:
            self._save()

    def _save(self, *, best: bool = False, before_cooldown: bool = False) -> None:
        """A checkpoint of this moment; weights that are no numbers are never saved."""
        began = time.perf_counter()
        self.world.wait()
        if self.world.speaks:
            self._refuse_broken_weights()
            self.record.flush()
            save_checkpoint(
                self.run,
                self.state.step,
                write_model=lambda folder: write_model_folder(folder, self.state.model, self.inputs.tokenizer),
                tensors=self.state.optimizer.state(),
                state=self._state(),
                best={"val_loss": self.best_loss} if best else None,
                before_cooldown=before_cooldown,
            )
        self.world.wait()
        self._saved_at = self.clock.seconds()
        self._aside += time.perf_counter() - began

    def _refuse_broken_weights(self) -> None:
        for name, parameter in self.state.model.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                raise NumericsError(
                    f"The weights of {name} are no longer numbers at step {self.state.step}. The last checkpoint is good: "
                    f"continue with a lower rate, bajka train {self.run.path} --learning-rate "
                    f"{self.plan.recipe.learning_rate / 3:.1g}"
                )

    def _state(self) -> dict[str, Any]:
        state = self.state
        return {
            "step": state.step,
            "position": state.position,
            "skipped": state.skipped,
            "cooldown": None if state.cooldown is None else asdict(state.cooldown),
            "plateau": None if state.plateau is None else state.plateau.state(),
            "scaler": None if state.scaler is None else state.scaler.state_dict(),
            "best_loss": self.best_loss if self.best_loss < float("inf") else None,
            "active_seconds": self.clock.seconds(),
            "machine": machine_facts(self.machine, self.plan, self.world),
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint: weights, optimizer, position; says what differs from where it was made."""
        saved, state, source = checkpoint.state, self.state, str(checkpoint.folder)
        load_hugging_face_weights(state.model, checkpoint.weights, source=source)
        state.optimizer.load(checkpoint.tensors, source=source)
        state.step, state.position, state.skipped = saved["step"], saved["position"], list(saved["skipped"])
        state.cooldown = Cooldown(**saved["cooldown"]) if saved["cooldown"] else None
        if state.plateau is not None and saved["plateau"]:
            state.plateau.load(saved["plateau"])
        if state.scaler is not None and saved["scaler"]:
            state.scaler.load_state_dict(saved["scaler"])
        self.best_loss = float("inf") if saved["best_loss"] is None else float(saved["best_loss"])
        self.clock = replace(self.clock, earlier=float(saved["active_seconds"]))
        self._saved_at = self.clock.seconds()
        self.run.forget_after(state.step)
        now = machine_facts(self.machine, self.plan, self.world)
        changed = [f"{k} {saved['machine'].get(k)} -> {v}" for k, v in now.items() if saved["machine"].get(k) != v]
        if changed:
            self.say(f"Continues, but not to the same bits: {', '.join(changed)}.")

    def _evaluated(self, step: int) -> bool:
        return any("val_loss" in line and line["step"] == step for line in self.run.metrics()[-3:])

    # -- words ---------------------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Say what is about to begin, and check one batch before the first step."""
        batch = self.batches.batch(self.state.position, self.plan.global_batch_size)
        rows, length = batch.inputs.shape
        largest = int(batch.inputs.max())
        if largest >= self.plan.model.vocab_size:
            raise BajkaError(f"A batch holds the id {largest}, beyond the vocabulary of {self.plan.model.vocab_size}.")
        assert (batch.inputs[:, 1:] == batch.targets[:, :-1])[batch.targets[:, :-1] >= 0].all(), "targets are shifted"
        self.say(
            f"A batch: {rows} rows of {length} tokens, {batch.counted:,} targets, each the token after its input; "
            f"{self.batches.windows_per_epoch:,} windows an epoch."
        )
        if self.state.step:
            self.say(f"Continuing from step {self.state.step:,} of {self.run.path}.")


def sampling_of(settings: Settings) -> Sampling:
    """The sampling that the settings ask for."""
    s = settings.sample
    return Sampling(
        max_new_tokens=s.max_new_tokens,
        temperature=s.temperature,
        top_k=s.top_k,
        top_p=s.top_p,
        min_p=s.min_p,
        repetition_penalty=s.repetition_penalty,
        seed=settings.train.seed,
    )


def machine_facts(machine: Machine, plan: Plan, world: World) -> dict[str, Any]:
    """What must be the same for the same bits."""
    return {
        "device": machine.kind,
        "name": machine.name,
        "threads": machine.threads,
        "precision": machine.precision,
        "compile": plan.compile,
        "torch": machine.torch_version,
        "processes": world.size,
        "micro_batch_size": plan.micro_batch_size,
    }
