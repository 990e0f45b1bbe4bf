"""Training: the loop, the optimizer, checkpoints, and what happens when something goes wrong.

`steps` is the loop itself, a generator that yields one `StepReport` per optimizer update. `train` is the caller most
people want: it prepares, resumes, prints, evaluates, samples, saves, and returns the finished run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bajka.training.steps import StepReport, TrainingState, steps
    from bajka.training.train import train

__all__ = ["StepReport", "TrainingState", "steps", "train"]


def __getattr__(name: str) -> Any:
    """Import torch only when one of the names is used."""
    if name in ("steps", "StepReport", "TrainingState"):
        import bajka.training.steps as module
    elif name == "train":
        import bajka.training.train as module  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module 'bajka.training' has no attribute {name!r}")
    return getattr(module, name)
