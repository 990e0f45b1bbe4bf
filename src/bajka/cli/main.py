"""`bajka COMMAND ...`: finds the command, reads its arguments, and turns our errors into a sentence and an exit code."""

from __future__ import annotations

import atexit
import difflib
import errno
import importlib
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType

STARTED = time.perf_counter()
"""When this process began, for the clock of `--minutes`."""

FIRST = {
    "inspect": "what your texts are: documents, encodings, languages, duplicates, the split",
    "plan": "what a training would look like, every number with its reason",
    "train": "train a model on your texts, or go on with a run",
    "generate": "write texts with a model",
    "evaluate": "how good a model is: loss, perplexity, bits per byte and per letter",
    "export": "a clean Hugging Face folder with a model card",
    "studio": "a page in the browser to write with a model",
}
SECOND = {
    "demo": "train on built-in tales and write new ones, in about two minutes",
    "doctor": "what works on this machine, and what is missing",
    "watch": "how a run goes: follow it while it trains, or read what it wrote as it learnt",
    "share": "put a model on the Hugging Face hub (--dry-run shows what would go)",
    "fetch": "well-known corpora: list them, or download one",
    "prepare": "texts to train.bin and val.bin, without training",
}

SPINS = 3000
"""Turns of a waiting thread before it sleeps, of GNU's OpenMP (Linux): some tenths of a millisecond."""

USAGE = """\
bajka trains a small GPT language model from scratch on your own texts.

  bajka train path/to/texts --minutes 5
  bajka generate runs/texts "Once upon a time"

usage: bajka COMMAND ... (bajka COMMAND --help for its options)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code (0 when all went well; see `bajka.errors` for the others).

    Without `arguments` it is the command line of this process, which then ends at once.
    """
    with ending_at_once() if arguments is None else nullcontext():
        _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(arguments: list[str]) -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # nothing leaves the computer unless it is shared
    _wait_briefly()
    _write_any_letter()
    with _noticed_ctrl_c() as pressed:
        try:
            code = run(arguments)
        except (KeyboardInterrupt, Exception) as error:
            if not pressed and not isinstance(error, KeyboardInterrupt):
                raise
            complain("Stopped. What was saved before is intact.")
            code = 130
    _let_go_of_output()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """The exit code of one command line."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version", "version"):
        from bajka import __version__

        print(f"bajka {__version__}")
        return 0
    command, rest = arguments[0], arguments[1:]
    if command not in FIRST | SECOND:
        close = difflib.get_close_matches(command, [*FIRST, *SECOND], n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        complain(f"There is no command {command}.{hint} `bajka --help` lists them all.")
        return 2
    return _guarded(command, rest)


def _guarded(command: str, rest: list[str]) -> int:
    """Run a command; every foreseen trouble becomes a sentence on standard error and its exit code."""
    from bajka.errors import BajkaError, was_said

    try:
        from bajka.cli.arguments import parse

        function = getattr(importlib.import_module(f"bajka.cli.commands.{command}"), command)
        parse(function, command, rest)()
    except BajkaError as error:
        if not was_said(error):
            complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        return 0  # `| head` closed our output: not an error
    except OSError as error:
        if os.name == "nt" and error.errno == errno.EINVAL and error.filename is None:
            return 0  # what Windows says when `| more` closed our output
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO):
            raise
        complain(
            f"{error.strerror}: {error.filename or 'a file'}. Free some space or choose another folder, then try again."
        )
        return 3
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        complain(
            "The machine ran out of memory. Choose a smaller model, context or micro-batch, or fewer texts at once."
        )
        return 3
    return 0


def _out_of_memory(error: Exception) -> bool:
    """Whether it means that there is no memory left: torch says so in a RuntimeError."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from bajka.hardware import out_of_memory

    return out_of_memory(error)


def _wait_briefly() -> None:
    """Let torch's threads sleep soon when they wait for each other: they spin for milliseconds otherwise, and beside another
    program one of them often spins on the very processor that the other one waits for (docs/experiments.md, "Beside other
    programs"). It is read when torch is loaded; what a person set is kept."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _write_any_letter() -> None:
    """Into files and pipes we write UTF-8; a terminal that lacks a letter shows a question mark for it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")


def overview() -> str:
    """The text of `bajka --help`."""
    width = max(map(len, FIRST | SECOND))
    blocks = ["\n".join(f"  {name:<{width}}  {what}" for name, what in block.items()) for block in (FIRST, SECOND)]
    return f"{USAGE}\n{blocks[0]}\n\n{blocks[1]}"


def complain(sentence: str) -> None:
    """An error for a person, on standard error, if that is still there."""
    with suppress(OSError):
        print(f"bajka: {sentence}", file=sys.stderr)


@contextmanager
def _noticed_ctrl_c() -> Iterator[list[int]]:
    """A list that is not empty once Ctrl-C was pressed.

    `KeyboardInterrupt` alone does not tell: pressed while numpy or torch is imported it is swallowed there, and something
    else fails later ("module 'numpy' has no attribute 'matrix'").
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Around the work of a process: it ends when that and what it left to `atexit` are done, without taking Python down.

    A thread that still computes then (of gloo, of a page that answers somebody) would abort it: "terminate called".
    """
    code = [1]
    atexit.register(_end_at_once, code)  # what is registered first is called last
    try:
        yield
        code[0] = 0
    except SystemExit as end:
        code[0] = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


def _end_at_once(code: list[int]) -> None:
    try:
        _let_go_of_output()
    finally:
        os._exit(code[0])


def _let_go_of_output() -> None:
    """What nobody can read any more (a closed pipe or terminal) is dropped, so that it is no error at the very end."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed before this process began
            continue
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
