"""A process with torch imported that forks one child a run: a kill and a new start cost a third of a second, not five.

It has one thread and never computes a gradient, so a child starts clean. A child tells through a pipe what it does (a step,
a sentence, an operation on the disk); the server sends the signals that a `Fault` asks for, at a time or after such an
event, and is the only one that may: a process id is not given to another before its parent has waited for it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

WRITES = ("os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.link", "os.truncate", "shutil.rmtree")


@dataclass(frozen=True)
class Fault:
    """What is done to a run: `signals` are (seconds to wait, number), the first counted from `event` number `count`.

    Without an event they count from the start. With `operation` the child kills itself before its so-manieth operation
    on the disk (opening for writing, fsync, rename, link, remove, new folder).
    """

    signals: tuple[tuple[float, int], ...] = ()
    event: str = ""
    count: int = 1
    operation: int = 0


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code (minus the signal that killed it), what it told, signals sent before it ended."""

    code: int
    told: list[str] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0
    errors: str = ""

    @property
    def killed(self) -> bool:
        """Whether a kill came before the end."""
        return self.code == -signal.SIGKILL

    @property
    def steps(self) -> list[int]:
        """The steps that were told."""
        return [int(event.split()[1]) for event in self.told if event.startswith("step ")]

    @property
    def operations(self) -> int:
        """How many operations on the disk were told."""
        return self.told.count("disk")

    def operations_before(self, words: str) -> int:
        """How many of them came before the first sentence with these words."""
        place = next(number for number, event in enumerate(self.told) if words in event)
        return self.told[:place].count("disk")


NO_FAULT = Fault()


class ForkServer:
    """The client's side: `train` and `prepare` run in a child of the server, whatever becomes of it."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._answer() == "ready"

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def train(
        self,
        texts: Path,
        wishes: dict[str, Any],
        fault: Fault = NO_FAULT,
        *,
        step_seconds: list[tuple[int, float]] | None = None,
    ) -> Ended:
        """`bajka.train` in the tiny shape; with `step_seconds` a clock moves at every step, by so much from these steps
        on, and not else."""
        return self._run("train", {"texts": str(texts), "wishes": wishes, "step_seconds": step_seconds}, fault)

    def prepare(self, texts: Path, parent: Path, wishes: dict[str, Any], fault: Fault = NO_FAULT) -> Ended:
        """`prepare_inputs` into folders of `parent`, committed every few kilobytes."""
        return self._run("prepare", {"texts": str(texts), "parent": str(parent), "wishes": wishes}, fault)

    def _run(self, work: str, arguments: dict[str, Any], fault: Fault) -> Ended:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([work, arguments, asdict(fault)]) + "\n")
        self._process.stdin.flush()
        return Ended(**self._answer())

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


# -- the server --------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer one request a line until standard input ends."""
    warm_up()
    answer("ready")
    for line in sys.stdin:
        work, arguments, fault = json.loads(line)
        answer(one_run(work, arguments, Fault(**fault)))


def answer(value: Any) -> None:
    """One line of standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def warm_up() -> None:
    """Import what a run imports, draw a plot and compute a model forward; no gradient, no second thread."""
    import matplotlib.pyplot as plt
    import torch
    import torch._dynamo  # the optimizers import it when the first of them is made

    from bajka.characters import count_text
    from bajka.corpus.near import sketches
    from tiny import tiny_model

    count_text("tables")
    sketches(["of", "letters"])
    torch.set_num_threads(1)
    with torch.no_grad():
        tiny_model("modern")(torch.zeros(1, 8, dtype=torch.long))
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    with tempfile.TemporaryFile() as file:
        figure.savefig(file)
    plt.close(figure)
    tasks = Path("/proc/self/task")
    assert not tasks.is_dir() or len(list(tasks.iterdir())) == 1, "a second thread in the server"


def one_run(work: str, arguments: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """Fork a child that works, do to it what the fault says, wait for its end."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            run_and_exit(work, arguments, fault, writing, errors.fileno())
        os.close(writing)
        told, sent = watch(child, reading, fault)
        os.close(reading)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        complaint = errors.read().decode("utf-8", "replace")[-4000:]
    return asdict(Ended(code, told, sent, time.monotonic() - began, complaint))


def watch(child: int, pipe: int, fault: Fault) -> tuple[list[str], int]:
    """What the child told until it ended, and how many signals were sent to it meanwhile."""
    waiting, sent, seen, events, rest = list(fault.signals), 0, 0, list[str](), ""
    due = time.monotonic() + waiting[0][0] if waiting and not fault.event else None
    while True:
        timeout = None if due is None else max(0.0, due - time.monotonic())
        if select.select([pipe], [], [], timeout)[0]:
            told = os.read(pipe, 1 << 16)
            if not told:
                return events, sent
            *lines, rest = (rest + told.decode()).split("\n")
            events += lines
            seen += sum(line == fault.event for line in lines)
            if due is None and fault.event and seen >= fault.count and sent == 0 and waiting:
                due = time.monotonic() + waiting[0][0]
        else:
            os.kill(child, waiting.pop(0)[1])
            sent += 1
            due = time.monotonic() + waiting[0][0] if waiting else None


# -- the child ---------------------------------------------------------------------------------------------------


def run_and_exit(work: str, arguments: dict[str, Any], fault: Fault, pipe: int, errors: int) -> NoReturn:
    """The work of a child, ended as the command line would end."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        told = watched(pipe, fault.operation)
        code = ended(train if work == "train" else prepare, told, arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(function: Callable[..., None], tell: Callable[[str], None], arguments: dict[str, Any]) -> int:
    """The exit code that the command line gives for what `function` did."""
    from bajka.errors import BajkaError

    try:
        function(tell, **arguments)
    except BajkaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as the command line: who presses it a fourth time gets the same
        return 130
    return 0


def watched(pipe: int, fatal: int) -> Callable[[str], None]:
    """A function that tells the server something; from now on every operation on the disk is told (and may be fatal)."""
    done, sync = 0, os.fsync

    def tell(what: str) -> None:
        os.write(pipe, f"{what}\n".encode())

    def operation() -> None:
        nonlocal done
        done += 1
        if done == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        tell("disk")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WRITES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            operation()

    def told_sync(descriptor: int) -> None:
        operation()
        sync(descriptor)

    sys.addaudithook(hook)
    os.fsync = told_sync
    return tell


def train(
    tell: Callable[[str], None], *, texts: str, wishes: dict[str, Any], step_seconds: list[tuple[int, float]] | None
) -> None:
    """A tiny run that tells its steps and sentences."""
    from bajka.watching.view import SilentView
    from tiny_runs import HandClock, train_tiny

    hand = HandClock()

    class Told(SilentView):
        def say(self, line: str) -> None:
            tell(f"said {line}".replace("\n", " "))

        def step(self, report: Any, *facts: Any, **more: Any) -> None:
            hand.time += [0.0, *(seconds for first, seconds in step_seconds or () if first <= report.step)][-1]
            tell(f"step {report.step}")

    train_tiny(texts, Told(), clock=None if step_seconds is None else hand.stopwatch(), **wishes)


def prepare(tell: Callable[[str], None], *, texts: str, parent: str, wishes: dict[str, Any]) -> None:
    """Texts to ids, with a commit every few kilobytes."""
    from bajka.corpus import gathering
    from bajka.settings import settings_with
    from bajka.tokens import prepare as preparing
    from bajka.training.inputs import prepare_inputs

    gathering._COMMIT_BYTES = 4_000
    preparing._ENCODED = 2_000
    preparing.prepare.__kwdefaults__["portion"] = 4_000

    def progress(what: str, done: int, total: int) -> None:
        tell(f"working {what}")

    settings = settings_with(texts=(texts,), **wishes)
    prepare_inputs(settings, parent=Path(parent), say=lambda line: tell("said"), progress=progress)


if __name__ == "__main__":
    serve()
