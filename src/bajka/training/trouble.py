"""What a session does when a step cannot be done: numbers that are none, memory that is not there.

Numbers: a batch whose loss or gradient is not a number is skipped (`steps`). After ten such batches in a row, or when
a weight is no number, the run goes back to its last good checkpoint and on from there at half the rate; after three
such returns it gives up. Each return stands in plan.json before it takes effect, so that a crash repeats it.

Memory: the micro-batch is halved and the global batch kept, down to one sequence at a time.

Compiling: what torch.compile cannot do here is done without it.
"""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from bajka.checkpoint.checkpoint import find_checkpoint, read_checkpoint
from bajka.errors import NumericsError, ResourceError
from bajka.settings import shell_word
from bajka.training.saving import rate_share, take_over

if TYPE_CHECKING:
    from bajka.planning.plan import Plan
    from bajka.training.session import Session

MOST_RETURNS = 3
LOWERED = 0.5  # what the rate is multiplied by at each return


def roll_back(session: Session, trouble: NumericsError) -> None:
    """Go back to the last good checkpoint with a lower rate; raises `NumericsError` when that was tried often enough."""
    run, step = session.run, session.state.step
    returns = session.plan_file.setdefault("rollbacks", [])
    rate = session.plan.recipe.learning_rate
    if len(returns) >= MOST_RETURNS:
        raise NumericsError(
            f"{trouble}, after {MOST_RETURNS} returns to an earlier checkpoint, each at half the rate. The last checkpoint "
            f"is good: continue from it with a lower rate, bajka train {shell_word(run.path)} --learning-rate "
            f"{rate * LOWERED ** (MOST_RETURNS + 1):.1g}"
        ) from trouble
    folder = session.world.first(lambda: find_checkpoint(run, "last", say=session.log.say))
    assert folder is not None, "there is one before the first step"
    checkpoint = read_checkpoint(folder)
    back = int(checkpoint.state["step"])
    lowered = LOWERED * min(rate_share(session.plan_file, step), session.state.rate_share)
    returns.append({"from_step": step, "to_step": back, "rate_share": lowered})
    session.world.first(lambda: _write_down(session, back))
    take_over(session, checkpoint)
    session.log.say(
        f"{trouble}. Back to the checkpoint of step {back:,}; from there at {lowered:g} of the rate (return "
        f"{len(returns)} of {MOST_RETURNS})."
    )


def _write_down(session: Session, back: int) -> None:
    session.run.write_plan(session.plan_file)
    session.record.flush()
    session.run.forget_after(back)


def go_on_eager(session: Session, error: RuntimeError) -> None:
    """Do without torch.compile for the rest of the run."""
    _change(session, replace(session.plan, compile=False))
    told = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    session.log.say(
        f"torch.compile failed ({told.strip()}): from step {session.state.step + 1:,} on without it. `bajka doctor` tells "
        "what is missing."
    )


def _change(session: Session, plan: Plan) -> None:
    """Another plan for the rest of the run, and nothing left of a step that was begun."""
    session.plan = plan
    session.plan_file["plan"] = plan.as_dict()
    session.world.first(lambda: session.run.write_plan(session.plan_file))
    for parameter in session.state.model.parameters():
        parameter.grad = None


def use_less_memory(session: Session, trouble: str) -> None:
    """Halve the micro-batch for the rest of the run; raises `ResourceError` when it is one sequence already."""
    plan = session.plan
    rows = -(-plan.global_batch_size // session.world.size)
    size = min(plan.micro_batch_size, rows)
    if size == 1:
        raise ResourceError(
            f"{trouble}, with one sequence at a time. Make the model or the context smaller (--n-embd, --n-layer, "
            "--context-length), or compute activations again instead of keeping them: --gradient-checkpointing True"
        )
    _change(session, replace(plan, micro_batch_size=-(-size // 2)))
    gc.collect()
    if session.machine.kind == "cuda":
        torch.cuda.empty_cache()
    session.log.say(
        f"{trouble}: from step {session.state.step + 1:,} on {session.plan.micro_batch_size} instead of {size} sequences "
        f"at once; the global batch stays {plan.global_batch_size}."
    )
