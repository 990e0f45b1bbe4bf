"""What a session says and writes down: each step, each evaluation, samples. Only the first process of a job does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from bajka.checkpoint.run_folder import RunFolder
from bajka.coaching.coach import Advice, advise
from bajka.coaching.conclusion import conclude
from bajka.coaching.facts import facts_of
from bajka.errors import BajkaError
from bajka.generation.write import Text
from bajka.hardware import used_memory
from bajka.model.estimate import flops_per_token
from bajka.settings import shell_word
from bajka.training.look import Losses, say_named
from bajka.training.minutes import seconds_left
from bajka.training.mixed import describe_mixture
from bajka.training.steps import StepReport
from bajka.watching.dashboard import duration

if TYPE_CHECKING:
    from bajka.training.session import Session


def announce(session: Session) -> None:
    """Say what is about to begin, and check one batch before the first step."""
    batch = session.batches.batch(session.state.position, session.plan.global_batch_size)
    rows, length = batch.inputs.shape
    largest = int(batch.inputs.max())
    if largest >= session.plan.model.vocab_size:
        raise BajkaError(f"A batch holds the id {largest}, beyond the vocabulary of {session.plan.model.vocab_size}.")
    assert (batch.inputs[:, 1:] == batch.targets[:, :-1])[batch.targets[:, :-1] >= 0].all(), "targets are shifted"
    session.log.say(
        f"A batch: {rows} rows of {length} tokens, {batch.counted:,} targets, each the token after its input; "
        f"{session.batches.windows_per_epoch:,} windows an epoch."
    )
    for line in describe_mixture(session.inputs, session.batches):
        session.log.say(line)
    if session.state.step:
        session.log.say(f"Continuing from step {session.state.step:,} of {session.run.path}.")


def note_step(session: Session, report: StepReport) -> None:
    """A line of metrics.jsonl for a step, shown to the person."""
    seconds = session.pace.mean() if session.pace.recent else report.seconds
    speed = session.plan.global_batch_size * session.plan.model.context_length / max(seconds, 1e-9)
    share, left = _progress(session, report.step)
    line = session.record.metrics(
        report.step,
        tokens=report.tokens,
        epoch=round(report.epoch, 6),
        seconds=round(session.clock.seconds(), 3),
        train_loss=report.loss,
        learning_rate=report.learning_rate,
        gradient_norm=report.gradient_norm,
        tokens_per_second=round(speed, 1),
        memory_bytes=used_memory(session.machine.device),
        share=round(share, 6),
        seconds_left=round(left, 1),
        peak_share=_peak_share(session, speed),
    )
    if report.skipped:
        session.log.say(f"Step {report.step:,}: the gradient was not a number; this batch was skipped.")
    session.log.view.step(report, line)


def _peak_share(session: Session, speed: float) -> float | None:
    """The arithmetic of training at `speed` tokens/s as a share of the machine's measured matrix rate."""
    rate = session.plan_file.get("matmul_rate")  # not in plans of older runs
    return None if not rate else round(speed * flops_per_token(session.plan.model) / (rate * session.world.size), 4)


def _progress(session: Session, step: int) -> tuple[float, float]:
    """Share of the run that is done, and seconds that are left."""
    cooldown, elapsed, minutes = session.cooldown, session.clock.seconds(), session.plan.minutes
    end = session.plan.most_steps if cooldown is None else cooldown.end
    left = math.inf if end is None else seconds_left(session, end)
    if minutes is None:
        assert end is not None
        return step / end, left
    if cooldown is None:
        left = min(left, max(0.0, 60 * minutes - elapsed))
    return elapsed / (elapsed + left + 1e-9), left


def note_losses(session: Session, losses: Losses, *, improved: bool) -> None:
    """A line of metrics.jsonl for an evaluation, said in words."""
    step, loss, average = session.state.step, losses.validation, losses.average
    line = session.record.metrics(
        step,
        tokens=session.state.position * session.plan.model.context_length,
        epoch=round(session.state.position / session.batches.windows_per_epoch, 6),
        seconds=round(session.clock.seconds(), 3),
        val_loss=loss.loss,
        val_perplexity=loss.perplexity,
        val_bits_per_byte=loss.bits_per_byte,
        val_bits_per_letter=loss.bits_per_letter,
        train_sample_loss=losses.sample.loss,
        **losses.named_metrics,
        average_val_loss=None if average is None else average.loss,
    )
    session.log.view.evaluated(line)
    session.log.note(
        f"Step {step:,}: validation loss {loss.loss:.4f} a token of this vocabulary, perplexity {loss.perplexity:,.2f}, "
        f"{loss.bits_per_byte:.4f} bits a byte, {loss.bits_per_letter:.4f} bits a letter; "
        f"training sample {losses.sample.loss:.4f}"
        f"{'' if average is None else f'; average of the weights {average.loss:.4f}'}"
        f"{'  (best so far)' if step and improved else ''}"
    )
    for named in say_named(losses, session.inputs, session.run):
        session.log.note(named)


def new_advice(session: Session) -> list[Advice]:
    """What the curve so far calls for, and was not said before."""
    facts = facts_of(session.plan_file, run=session.run.path, gpu_unused=_gpu_unused(session))
    return advise(session.run.metrics(), facts, given=session.plan_file.setdefault("advice", []))


def note_advice(session: Session, found: list[Advice]) -> None:
    """Say each piece of advice, and remember that it was said."""
    for advice in found:
        session.log.say(f"Coach: {advice.text}")
        session.plan_file["advice"].append(advice.name)
        session.run.write_plan(session.plan_file)


def last_words(session: Session) -> None:
    """How long it took, which model is the best, what came of the plan, what limited the result, what to type next."""
    run, best = session.run, session.run.read_pointer("best") or {}
    session.log.say(
        f"Finished {session.state.step:,} steps in {duration(session.clock.seconds())}. The best model is that of step "
        f"{best.get('step', 0):,} (validation loss {best.get('val_loss', float('nan')):.4f}): {run.model}"
    )
    teacher = RunFolder(run.teacher)
    taught = teacher.read_pointer("best") or {}
    if taught.get("val_loss", math.inf) < best.get("val_loss", math.inf):  # where the machine became too slow for both
        session.log.say(
            f"Its teacher is better (validation loss {taught['val_loss']:.4f}): bajka generate {shell_word(teacher.path)}"
        )
    facts = facts_of(session.plan_file, run=run.path, gpu_unused=_gpu_unused(session))
    prompt = (session.inputs.openings or ("",))[0]
    for line in conclude(run.metrics(), facts, prompt=prompt) or [
        f'Write with it: bajka generate {shell_word(run.path)} "{prompt}"'
    ]:
        session.log.say(line)


def _gpu_unused(session: Session) -> bool:
    return session.machine.kind == "cpu" and torch.cuda.is_available()


def note_samples(session: Session, texts: list[Text], speed: float) -> Callable[[], None]:
    """Lines of samples.jsonl for what the model wrote, at so many tokens/s; gives what shows them to the person."""
    facts = {"tokens_per_second": round(speed, 1)}
    step, record, log = session.state.step, session.record, session.log
    lines = [record.sample(step, text.prompt, text.text, reason=text.reason, **facts) for text in texts]

    def show() -> None:
        for line in lines:
            log.view.sampled(line)
        if texts:
            log.note(f"  {texts[0].whole.strip()}  [{speed:,.0f} tokens/s]")

    return show
