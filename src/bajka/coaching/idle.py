"""The coach's rules about the machine: a processor that waits, other programs, a step too small to fill a GPU."""

from __future__ import annotations

import numpy as np

from bajka.coaching.curve import Curve
from bajka.coaching.facts import Facts
from bajka.planning.machine import COMPILED_UP_TO


def gpu_is_unused(curve: Curve, facts: Facts) -> str | None:
    """There is a GPU, and nobody said not to use it."""
    if not facts.gpu_unused or facts.device != "cpu" or "device" in facts.asked:
        return None
    return (
        "This computer has a GPU that training does not use. `bajka doctor` says why; with it training is many times "
        "faster (--device cuda)."
    )


def threads_idle(curve: Curve, facts: Facts) -> str | None:
    """Fewer threads than half of the logical cores, on a model large enough to share out."""
    large = facts.n_embd >= 128
    if facts.device != "cpu" or not large or "threads" in facts.asked or 2 * facts.threads >= facts.cores:
        return None
    return (
        f"Training uses {facts.threads} of the {facts.cores} processor threads (perhaps OMP_NUM_THREADS is set). Ctrl-C, "
        f"then bajka train {facts.run} --threads {facts.cores // 2} is most likely faster."
    )


def slowed_down(curve: Curve, facts: Facts) -> str | None:
    """At three evaluations in a row the speed was less than half of what this run has shown for as long."""
    speeds = [float(np.median(block)) for block in curve.blocks("tokens_per_second", after=facts.warmup_steps)]
    if len(speeds) < 6:
        return None
    before = max(min(speeds[i : i + 3]) for i in range(len(speeds) - 5))
    now = max(speeds[-3:])
    if now > 0.5 * before:
        return None
    return (
        f"Training has become {before / now:.1f} times slower ({before:,.0f} tokens a second before, {now:,.0f} now): "
        "another program is probably busy, or the computer saves power. Close other programs, plug it in."
    )


def slower_than_planned(curve: Curve, facts: Facts) -> str | None:
    """From the start the speed is far below the plan's, with steps large enough for the plan to know."""
    speed = _speed(curve)
    if speed is None or facts.device != "cpu" or facts.n_embd < 128 or speed > 0.35 * facts.expected_tokens_per_second:
        return None
    return (
        f"Training runs at {speed:,.0f} tokens a second; this computer should reach about "
        f"{facts.expected_tokens_per_second:,.0f}. Another program is probably busy, or the computer saves power: close "
        "other programs, plug it in."
    )


def small_steps(curve: Curve, facts: Facts) -> str | None:
    """A GPU that mostly waits, because each step gives it too little to do."""
    shares = curve.of_steps("peak_share")
    shares = shares[np.isfinite(shares)][-200:]
    if facts.device == "cpu" or len(shares) < 50 or float(np.median(shares)) > 0.04:
        return None
    return (
        f"The GPU mostly waits: it does {float(np.median(shares)):.0%} of what it can. A larger model (--n-embd "
        f"{2 * facts.n_embd}) or larger steps (--global-batch-size {4 * facts.global_batch_size}) in a new run would cost "
        "little more time."
    )


def not_compiled(curve: Curve, facts: Facts) -> str | None:
    """A long run that torch.compile would shorten by more than it costs."""
    wide = facts.device == "cpu" and facts.n_embd > COMPILED_UP_TO
    if facts.compiled or not facts.can_compile or "compile" in facts.asked or facts.device == "mps" or wide:
        return None
    left = curve.steps[-1].get("seconds_left") if curve.steps else None
    if left is None or left < 600 or len(curve.steps) < 20:
        return None
    return (
        f"About {left / 60:.0f} minutes are left, and the model is not compiled. Ctrl-C, then bajka train {facts.run} "
        "--compile on: it takes half a minute and then steps are usually a fifth to a half faster."
    )


def _speed(curve: Curve) -> float | None:
    """Median tokens a second, once there are enough steps and seconds of them."""
    speeds = curve.of_steps("tokens_per_second")[10:]
    speeds = speeds[np.isfinite(speeds)]
    if len(speeds) < 50 or float(curve.of_steps("seconds")[-1]) < 30 or len(curve.evaluations) < 3:
        return None
    return float(np.median(speeds))
