"""Where numbers and samples go besides metrics.jsonl: TensorBoard and Weights & Biases, both below the run's folder.

Nothing leaves the computer: Weights & Biases works offline unless the person has set WANDB_MODE=online, its reports of
errors and use are off, and what it wrote can be sent later with `wandb sync`.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bajka import durable
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import TrainSettings
from bajka.errors import MissingExtraError
from bajka.settings import wishes

_CLOCKWORK = ("step", "tokens", "epoch", "seconds", "seconds_left", "share")
_NAMES: Mapping[str, str] = {
    "train_loss": "loss/train",
    "val_loss": "loss/validation",
    "train_sample_loss": "loss/train_sample",
    "average_val_loss": "loss/average",
}


class Tracker(Protocol):
    """Told what metrics.jsonl and samples.jsonl are told."""

    name: str

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        """Finite numbers of a step, under names with a slash for what belongs together."""

    def sample(self, step: int, prompt: str, text: str) -> None:
        """What the model wrote."""

    def flush(self) -> None:
        """Put on the disk what waits."""

    def close(self) -> None:
        """No more will come."""


class Trackers:
    """All trackers of a run. One that fails is left out from then on, and that is said: it never stops a training."""

    def __init__(self, trackers: Sequence[Tracker], *, say: Callable[[str], None] = lambda line: None) -> None:
        self._trackers, self._say = list(trackers), say

    def numbers(self, line: Mapping[str, Any]) -> None:
        """The numbers of a line of metrics.jsonl."""
        found = {_NAMES.get(name, _spelled(name)): line[name] for name in line if name not in _CLOCKWORK}
        self._each(lambda tracker: tracker.numbers(line["step"], found))

    def sample(self, line: Mapping[str, Any]) -> None:
        """The text of a line of samples.jsonl."""
        self._each(lambda tracker: tracker.sample(line["step"], line["prompt"], line["text"]))

    def flush(self) -> None:
        """Put on the disk what waits."""
        self._each(lambda tracker: tracker.flush())

    def close(self) -> None:
        """End them all."""
        self._each(lambda tracker: tracker.close())
        self._trackers = []

    def _each(self, do: Callable[[Tracker], None]) -> None:
        for tracker in list(self._trackers):
            try:
                do(tracker)
            except Exception as error:
                self._trackers.remove(tracker)
                self._say(f"{tracker.name} failed ({error!r}): the training goes on without it; metrics.jsonl has all.")


def _spelled(name: str) -> str:
    """Losses of named validation sets stand beside the others."""
    return f"loss/{name.removeprefix('val_loss/')}" if name.startswith("val_loss/") else name


def check_trackers(settings: TrainSettings) -> None:
    """Raise `MissingExtraError` for a tracker that is asked for and not installed."""
    if settings.tensorboard:
        _summary_writer()
    if settings.wandb:
        _wandb()


def open_trackers(run: RunFolder, *, step: int, say: Callable[[str], None]) -> Trackers:
    """The trackers that the run's settings ask for; `step` is the one that it goes on from."""
    asked, opened = run.settings.train, list[Tracker]()
    for wanted, make in ((asked.tensorboard, TensorBoard), (asked.wandb, WeightsAndBiases)):
        if wanted:
            try:
                opened.append(make(run, step=step))
            except Exception as error:
                say(f"{make.name} cannot begin ({error!r}): the training goes on without it; metrics.jsonl has all.")
    return Trackers(opened, say=say)


class TensorBoard:
    """Event files in RUN/tensorboard. What they hold of steps after `step` is forgotten: those are done again."""

    name = "TensorBoard"

    def __init__(self, run: RunFolder, *, step: int) -> None:
        self._board = _summary_writer()(str(run.path / "tensorboard"), purge_step=step + 1)

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def sample(self, step: int, prompt: str, text: str) -> None:
        self._board.add_text(f"sample/{prompt}", prompt + text, step)

    def flush(self) -> None:
        self._board.flush()

    def close(self) -> None:
        self._board.close()


class WeightsAndBiases:
    """A run of Weights & Biases in RUN/wandb, the same one whenever the training goes on.

    Its steps only rise: what a resumed or extended run does again, `wandb sync` keeps as it was the first time.
    """

    name = "Weights & Biases"

    def __init__(self, run: RunFolder, *, step: int) -> None:
        wandb = _wandb()
        online = os.environ.get("WANDB_MODE") == "online"
        number = _same_number(run)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "bajka"),
            name=run.path.name,
            id=number,
            resume="allow" if online else None,
            mode="online" if online else "offline",
            dir=str(run.path),
            reinit="create_new",  # a run of the person's own may be open in this process: it stays open, and theirs
            config={"settings": wishes(run.settings), "plan": run.plan["plan"], "machine": run.plan["machine"]},
            settings=wandb.Settings(
                console="off",  # our own view stays ours
                disable_code=True,
                disable_git=True,
                silent=True,
                x_disable_machine_info=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def sample(self, step: int, prompt: str, text: str) -> None:
        self._run.log({f"sample/{prompt}": prompt + text}, step=step)

    def flush(self) -> None:
        """Its own process writes at once."""

    def close(self) -> None:
        self._run.finish()


def _same_number(run: RunFolder) -> str:
    """The run's id there, kept in RUN/wandb/id.txt."""
    file = run.path / "wandb" / "id.txt"
    if file.is_file() and (number := file.read_text(encoding="utf-8").strip()):
        return number
    number = uuid.uuid4().hex[:8]
    durable.write_text(file, number + "\n")
    return number


def _summary_writer() -> Any:
    """TensorBoard's `SummaryWriter`; raises `MissingExtraError` where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard = true", extra="tensorboard") from None
    return SummaryWriter


def _wandb() -> Any:
    """The wandb module, told before it is imported to report nothing; raises `MissingExtraError` without it."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb
    except ImportError:
        raise MissingExtraError("wandb = true", extra="wandb") from None
    return wandb
