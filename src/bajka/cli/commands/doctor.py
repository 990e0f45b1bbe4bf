"""`bajka doctor`: what works here, and what is missing."""

from __future__ import annotations

import sys

from bajka.cli.common import console

_MARKS = {"ok": "[green]ok[/]     ", "note": "[yellow]note[/]   ", "problem": "[red]problem[/]"}


def doctor(quick: bool = False) -> None:
    """Look at this machine: torch, GPU, precision, compiler, memory, disk, extras, and a round trip of 20 seconds.

    Args:
        quick: Leave the round trip and the trial of torch.compile out.
    """
    from bajka.cli.doctor import examine

    out, problems = console(), 0
    for finding in examine(quick=quick):
        problems += finding.status == "problem"
        out.print(f"{_MARKS[finding.status]}  {finding.title}: ", end="")
        out.print(finding.sentence, markup=False)
        if finding.advice:
            out.print(f"         {finding.advice}", markup=False)
    if problems:
        sys.exit(3)
