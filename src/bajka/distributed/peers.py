"""Who of a job is alive, and who tells the person why it ended.

Each process beats once a second into the store at which all of them met, from a thread, so that a process that computes
or waits for the others is heard too. One that ends leaves its last words there. A collective that fails, or never comes
back (as NCCL's do), is explained by who is silent and by what the others said.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store

from bajka.errors import BajkaError, PeerError, mark_said

_BEAT = 1.0  # seconds
_SILENT = 5  # beats of ours without one of theirs: gone, when a collective failed as well
_DEAD = 60  # beats: gone, though no collective failed (counted in our own beats: a machine that slept killed nobody)
_GRACE = 20  # beats after another's last words: whoever still waits for it then will wait for ever
_TELLING = 15.0  # seconds that the others give the first to tell the person
_LEAVING = 2.0  # seconds that the first gives the others to leave its store


@dataclass(frozen=True)
class LastWords:
    """Why a process ended; an `echo` ended only because another did."""

    rank: int
    sentence: str
    exit_code: int
    echo: bool


class Peers:
    """The processes of a job as seen by one of them, from `Peers(...)` until `leave` or `part`."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        meeting = store.add(f"bajka/meetings/{rank}", 1)  # one process may train several times
        self._store = PrefixStore(f"bajka/{meeting}", store)
        self._beats = [""] * size
        self._silent = [0] * size
        self._since_ended = 0
        self._beaten = 0
        self._parting = False
        self._stop = threading.Event()
        self._store.set(f"name/{rank}", f"pid {os.getpid()} on {socket.gethostname()}")
        self._store.set(f"beat/{rank}", "0")
        self._thread = threading.Thread(target=self._watch, name="bajka-peers", daemon=True)
        self._thread.start()
        threading.Thread(target=self._guard, name="bajka-peers-guard", daemon=True).start()

    def leave(self) -> None:
        """Beat no more. The first, at whose store the others may have met, stays until those that live have left it too."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(5 * _BEAT)
        deadline = time.monotonic() + _LEAVING
        with suppress(dist.DistError):
            self._store.add("left", 1)
            living = self.size - len(self._gone())
            while self.rank == 0 and self._store.add("left", 0) < living and time.monotonic() < deadline:
                time.sleep(0.01)

    def part(self, error: BaseException) -> BaseException:
        """Leave because of `error`: give the error to raise, which is marked where another process tells the person.

        Disconnects, so that the others notice at once. A connection that broke is explained: by the last words of a
        process that ended by itself, else by the names of those that are silent.
        """
        self._parting = True
        with _no_hurry():
            if is_lost_connection(error):
                error = self._explanation()
            self._post(error)
            if dist.is_initialized():
                hang_up()
            if not isinstance(error, KeyboardInterrupt):  # a second Ctrl-C ends at once
                self._settle_who_tells(error)
            self.leave()
        return error

    # -- who tells -----------------------------------------------------------------------------------------------

    def _settle_who_tells(self, error: BaseException) -> None:
        """The first that lives tells; the others wait until it did, for the launcher ends all when one has ended."""
        deadline = time.monotonic() + _TELLING
        try:
            while self.rank != self._first_living() and time.monotonic() < deadline and not self._store.check(["told"]):
                time.sleep(0.05)
            if self._store.add("told", 1) > 1:
                mark_said(error)
                self.leave()
                time.sleep(0.5)
        except dist.DistError:  # the meeting point is gone with the process that held it
            if self.rank != self._first_living():
                mark_said(error)

    def _first_living(self) -> int:
        return next(rank for rank in range(self.size) if rank == self.rank or self._silent[rank] < _SILENT)

    def _post(self, error: BaseException) -> None:
        words = LastWords(
            self.rank,
            str(error) if isinstance(error, BajkaError) else f"{type(error).__name__}: {error}",
            error.exit_code if isinstance(error, BajkaError) else 1,
            isinstance(error, PeerError),
        )
        try:
            self._store.set(f"ended/{self.rank}", json.dumps(words.__dict__))
            self._store.add("ended", 1)
        except dist.DistError:
            return

    # -- what happened -------------------------------------------------------------------------------------------

    def _explanation(self) -> PeerError:
        """Who broke the connection; takes some seconds when nobody left a word."""
        deadline = time.monotonic() + 2 * _SILENT * _BEAT
        while time.monotonic() < deadline:
            if words := self._cause():
                return PeerError(f"{self._name(words.rank)} ended: {words.sentence}", exit_code=words.exit_code)
            if self._gone():
                break
            time.sleep(0.1)
        return self._mourning()

    def _mourning(self) -> PeerError:
        return PeerError(_lost([self._name(rank) for rank in self._gone()]))

    def _gone(self) -> list[int]:
        return [rank for rank in range(self.size) if self._silent[rank] >= _SILENT]

    def _cause(self) -> LastWords | None:
        """The last words of a process that ended by itself."""
        try:
            ended = [rank for rank in range(self.size) if rank != self.rank and self._store.check([f"ended/{rank}"])]
            found = [LastWords(**json.loads(self._store.get(f"ended/{rank}"))) for rank in ended]
        except dist.DistError:
            return None
        return next((words for words in found if not words.echo), None)

    def _name(self, rank: int) -> str:
        try:
            known = self._store.check([f"name/{rank}"])
            name = self._store.get(f"name/{rank}").decode() if known else "never heard of"
        except dist.DistError:
            name = "at whose store the others met"
        return f"Process {rank} of {self.size} ({name})"

    # -- the thread ----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._stop.wait(_BEAT):
            try:
                self._store.set(f"beat/{self.rank}", str(self._beaten + 1))
                self._listen()
                self._beaten += 1
            except dist.DistError:  # the meeting point is gone; the collectives will notice
                self._silent = [_SILENT if rank == 0 and self.rank else 0 for rank in range(self.size)]
                return
            if not self._parting and (self._since_ended > _GRACE or max(self._silent) > _DEAD):
                self._end()

    def _guard(self) -> None:
        """End this process when the store is out of reach: a machine that vanishes breaks no connection and answers nothing."""
        seen, still = 0, 0
        while not self._stop.wait(_BEAT):
            still = still + 1 if self._beaten == seen else 0
            seen = self._beaten
            if still > _DEAD:
                # One after the other: once the first of a machine has ended, its launcher ends the rest.
                turn = _BEAT * int(os.environ.get("LOCAL_RANK", "0"))
                if self._stop.wait(turn):
                    return
                sys.stderr.write(f"bajka: {_lost(['The process at whose store the others met'])}\n")
                sys.stderr.flush()
                os._exit(PeerError.exit_code)

    def _listen(self) -> None:
        """Count for how long each of the others has been silent."""
        keys = [f"beat/{rank}" for rank in range(self.size)]
        if not self._store.check(keys):  # some are still on their way here
            return
        beats = [value.decode() for value in self._store.multi_get(keys)]
        for rank, (before, now) in enumerate(zip(self._beats, beats, strict=True)):
            self._silent[rank] = self._silent[rank] + 1 if before == now and rank != self.rank else 0
        self._beats = beats
        self._since_ended += self._store.add("ended", 0) > 0

    def _end(self) -> None:
        """End this process from beside: its main thread waits in a collective that will never come back."""
        words = self._cause()
        error = self._mourning() if words is None else PeerError(words.sentence, exit_code=words.exit_code)
        if self._store.add("told", 1) == 1:
            sys.stderr.write(f"bajka: {error}\n")
            sys.stderr.flush()
        os._exit(error.exit_code)


def _lost(gone: list[str]) -> str:
    """What is said when `gone` do not answer."""
    who = f"{' and '.join(gone)} {'is' if len(gone) == 1 else 'are'} gone" if gone else "The others are out of reach"
    return (
        f"{who}: killed, or the machine or its network stopped. The job ends; the last checkpoint is good: start the "
        "same command again to go on from it."
    )


def hang_up() -> None:
    """Leave the process group, and give its threads the time to come to rest: they would abort a process that just ends.

    Torch's caches of FSDP2 keep the group, and so its threads, beyond `destroy_process_group`. A thread that lets go of its
    last tensor while Python ends aborts the process ("terminate called"), because it needs the interpreter, which is gone.
    A fifth of a second is long for a thread that only waits for its turn.
    """
    dist.destroy_process_group()
    time.sleep(0.2)


@contextmanager
def _no_hurry() -> Iterator[None]:
    """While entered, SIGTERM is ignored: torchrun sends it as soon as one process is gone, and kills half a minute later."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_lost_connection(error: BaseException) -> bool:
    """Whether a collective failed because another process went away."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
