"""Jobs of several processes on this machine, as torchrun starts them: what the tests of them share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

AS_A_COMMAND = """
import sys
from bajka.cli.main import ending_at_once
with ending_at_once():  # so that no thread of gloo that still lives aborts a process whose work is done
    exec(sys.argv.pop(1), {"__name__": "__main__"})
"""

TRAIN = """
import json, os, signal, sys
import torch.distributed as dist
import bajka
from bajka.distributed.peers import hang_up
from bajka.errors import BajkaError
from bajka.watching.view import SilentView

class Told(SilentView):
    def __init__(self, stop):
        self.stop, self.lines = stop, []
    def say(self, line):
        self.lines.append(line)
    def step(self, report, *args, **facts):
        if report.step == self.stop:
            os.kill(os.getpid(), signal.SIGTERM)

dist.init_process_group("gloo")  # one meeting for all sittings: starting processes is what takes long
for texts, wishes in json.loads(sys.argv[1]):
    told, code = Told(wishes.pop("stop_at", None)), 0
    try:
        bajka.train(texts, view=told, **wishes)
    except BajkaError as error:
        code = error.exit_code
        told.lines.append(str(error))
    print(json.dumps({"code": code, "said": told.lines}), flush=True)
dist.barrier()
hang_up()
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def start_together(code: str, *arguments: str, size: int = 2) -> list[subprocess.Popen[str]]:
    """`size` processes of one job that run Python `code`."""
    world = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    processes = []
    for rank in range(size):
        environment = os.environ | world | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, "-c", AS_A_COMMAND, code, *arguments]
        processes.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    return processes


def together(code: str, *arguments: str, size: int = 2) -> list[str]:
    """What the processes of a job printed, once all ended well."""
    processes = start_together(code, *arguments, size=size)
    printed = [process.communicate(timeout=300) for process in processes]
    codes = [process.returncode for process in processes]
    ends = "\n".join(f"code {number}: {err[-1500:]}" for number, (_, err) in zip(codes, printed, strict=True))
    assert not any(codes), ends
    return [out for out, _ in printed]


def train_together(sittings: list[tuple[Path, dict[str, Any]]], *, size: int = 2) -> list[list[dict[str, Any]]]:
    """Several `bajka.train(texts, **wishes)` one after the other in one job: for each, what every process tells of it.

    `stop_at` among the wishes is a step at which the first process gets a SIGTERM.
    """
    asked = json.dumps([(str(texts), wishes) for texts, wishes in sittings])
    printed = together(TRAIN, asked, size=size)
    lines = [[json.loads(line) for line in one.splitlines() if line.startswith("{")] for one in printed]
    return [list(one) for one in zip(*lines, strict=True)]
