"""The doctor: what works on this machine, what is missing, and what to do about it.

Every check becomes a finding, also one that fails in a way nobody foresaw: the doctor itself never does.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bajka.errors import BajkaError, Interrupted

LEAST_DRIVER = 580
"""NVIDIA's driver that CUDA 13, and so torch's own builds, need."""

_WITHOUT_NAME = ("all", "dev")  # collections of the other extras
_PIP_CUDA = "pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu130"
_COMPILE = (
    "import torch; print(torch.compile(lambda x: (2 * x + 1).sin().sum())(torch.ones(64, device={device!r})).item())"
)
_STEPS, _PROMPT = 40, "Once upon a time"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `advice` is what to do, or empty."""

    status: Literal["ok", "note", "problem"]
    title: str
    sentence: str
    advice: str = ""


Check = Callable[[], Finding | list[Finding]]


def examine(*, quick: bool = False) -> list[Finding]:
    """All findings, in the order in which a person should read them; `quick` leaves out what takes seconds.

    Only an interruption by the person is raised.
    """
    found = [*_guarded("Python", _python), *_guarded("torch", _torch)]
    works = all(finding.status != "problem" for finding in found)
    if works:
        machine: list[tuple[str, Check]] = [
            ("device", _device),
            ("NVIDIA", _nvidia),
            ("precision", _precision),
            ("threads", _threads),
            ("compile", lambda: _compile(quick=quick)),
            ("memory", _memory),
        ]
        found += [finding for title, check in machine for finding in _guarded(title, check)]
    found += [*_guarded("disk", _disk), *_guarded("encoding", _encoder), *_guarded("extras", _extras)]
    return found + ([] if quick or not works else _guarded("round trip", round_trip))


def round_trip(*, device: str = "auto", steps: int = _STEPS) -> Finding:
    """Train a tiny model on built-in tales in a temporary folder, save it, load it, write with it, compare.

    Raises what training raises; some seconds on a slow machine.
    """
    from bajka.corpus.tales import write_tales
    from bajka.hardware import choose_device
    from bajka.run import open_run
    from bajka.training.train import train
    from bajka.watching.view import SilentView

    began, place = time.monotonic(), choose_device(device)
    with tempfile.TemporaryDirectory(prefix="bajka-doctor-", ignore_cleanup_errors=True) as folder:
        texts = Path(folder) / "tales.txt"
        texts.write_text("\n\n".join(write_tales(120)), encoding="utf-8")
        run = train(
            texts,
            out=str(Path(folder) / "runs" / "doctor"),
            steps=steps,
            evaluate_every_steps=steps,
            n_layer=2,
            n_embd=64,
            n_head=2,
            context_length=64,
            global_batch_size=8,
            vocab_size=400,
            compile="off",
            device=place,
            prompts=[_PROMPT],
            max_new_tokens=24,
            temperature=0,
            view=SilentView(),
        )
        losses = [line["val_loss"] for line in run.metrics if "val_loss" in line]
        while_training = run.folder.samples()[-1]["text"]
        loaded = open_run(run.path, device=place).write([_PROMPT], max_new_tokens=24, temperature=0)[0].text
    seconds = time.monotonic() - began
    did = f"trained a tiny model on {place} for {steps} steps in {seconds:.0f} s (loss {losses[0]:.2f} to {losses[-1]:.2f})"
    if not losses[-1] < losses[0]:
        return Finding("problem", "round trip", f"{did}, but it learnt nothing.", "Try again with --device cpu.")
    if loaded != while_training:
        sentence = f"{did}, but the saved model writes {loaded!r} instead of {while_training!r}."
        return Finding("problem", "round trip", sentence, "Check the memory and the disk of this machine.")
    return Finding("ok", "round trip", f"{did}, saved it, loaded it, and it wrote the same text again.")


def _guarded(title: str, check: Check) -> list[Finding]:
    """The findings of a check; whatever it raises becomes one."""
    try:
        found = check()
    except Interrupted:
        raise
    except BajkaError as error:
        found = Finding("problem", title, str(error))
    except Exception as error:  # that is what a doctor is for
        found = Finding("problem", title, f"this could not be checked: {type(error).__name__}: {error}")
    return found if isinstance(found, list) else [found]


def _python() -> Finding:
    return Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}.")


def _torch() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: a library of it is missing
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(
            "problem",
            "torch",
            f"it cannot be imported ({reason}).",
            "Install it again: pip install --force-reinstall torch",
        )
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return Finding("ok", "torch", f"{torch.__version__}, built with {build}.")


def _device() -> Finding:
    from bajka.hardware import choose_device, device_name, free_memory

    device = choose_device("auto")
    match device.split(":")[0]:
        case "cuda":
            why = f"an NVIDIA GPU that torch can use, with {_gigabytes(free_memory(device))} free"
        case "mps":
            why = "the GPU of this Mac"
        case _:
            why = "no GPU that torch can use was found"
    return Finding("ok", "device", f"{device}, {device_name(device)}: {why}.")


def _nvidia() -> list[Finding]:
    """The driver, and whether a card lies idle because torch cannot use it."""
    import torch

    cards = _cards()
    if not cards:
        return [] if not torch.cuda.is_available() else [Finding("note", "NVIDIA", "nvidia-smi does not answer.")]
    names = ", ".join(name for name, _ in cards)
    driver = cards[0][1]
    if torch.cuda.is_available():
        return [Finding("ok", "NVIDIA", f"{names}, driver {driver}.")]
    old = int(driver.split(".")[0] or 0) < LEAST_DRIVER if driver.split(".")[0].isdigit() else False
    update = f"Update NVIDIA's driver to {LEAST_DRIVER} or newer (https://www.nvidia.com/drivers). "
    if torch.version.cuda is None:
        sentence = f"{names} is not used: this torch was built without CUDA."
        advice = f"{update if old else ''}Install the build for NVIDIA: {_PIP_CUDA}"
    else:
        sentence = f"{names} is not used: this torch was built for CUDA {torch.version.cuda}, the driver is {driver}."
        advice = update if old else "Restart the computer after a driver's update; look at CUDA_VISIBLE_DEVICES."
    return [Finding("problem", "NVIDIA", sentence, advice.strip())]


def _cards() -> list[tuple[str, str]]:
    """Name and driver of every card that nvidia-smi sees."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    question = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=15, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [(name.strip(), driver.strip()) for name, comma, driver in (line.rpartition(",") for line in lines) if comma]


def _precision() -> Finding:
    from bajka.hardware import choose_device, native_bf16

    device = choose_device("auto")
    if native_bf16(device):
        return Finding("ok", "precision", "bf16, which this hardware multiplies itself: about twice as fast as fp32.")
    used = "fp16 with a scaled loss" if device.startswith("cuda") else "fp32"
    return Finding("ok", "precision", f"{used}: this hardware has no bf16 of its own, and emulated it would be slower.")


def _threads() -> Finding:
    import torch

    from bajka.container import processors
    from bajka.hardware import use_processors

    use_processors()
    cores = processors()
    threads, limit = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    sentence = f"torch uses {threads} of the {cores} processors that this process may use."
    if limit and threads < cores:
        return Finding(
            "note", "threads", sentence, f"OMP_NUM_THREADS={limit} limits it: unset it, or say --threads {cores}."
        )
    return Finding("ok", "threads", sentence)


def _compile(*, quick: bool) -> Finding:
    """Whether torch.compile can work; unless `quick`, by letting another process compile something small."""
    from bajka.hardware import can_compile, choose_device, cpp_compiler

    kind = choose_device("auto").split(":")[0]
    if not can_compile(kind):
        needs = {"cuda": "Triton (Linux: pip install triton)", "cpu": "a C++ compiler (Linux: apt install g++)"}
        advice = f"It needs {needs[kind]}. Without it training works, somewhat slower." if kind in needs else ""
        return Finding("note", "compile", f"torch.compile cannot be used on {kind} here.", advice)
    tool = cpp_compiler() if kind == "cpu" else "Triton"
    if quick:
        return Finding("ok", "compile", f"torch.compile can use {tool} (not tried).")
    began, command = time.monotonic(), [sys.executable, "-c", _COMPILE.format(device=kind)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1] if done.returncode else ""
    except subprocess.TimeoutExpired:
        reason = "it took more than two minutes"
    if reason:
        return Finding("note", "compile", f"torch.compile fails with {tool}: {reason}", "Train with --compile off.")
    return Finding(
        "ok", "compile", f"torch.compile works with {tool} ({time.monotonic() - began:.0f} s for a first try)."
    )


def _memory() -> Finding:
    from bajka.container import memory_left

    free, _ = memory_left()
    if free < 2 * 2**30:
        advice = "Close other programs, or train a smaller model: a process out of memory is ended without a word."
        return Finding("note", "memory", f"only {_gigabytes(free)} are free.", advice)
    return Finding("ok", "memory", f"{_gigabytes(free)} are free.")


def _disk() -> Finding:
    here = Path.cwd()
    if not os.access(here, os.W_OK):
        return Finding("problem", "disk", f"{here} cannot be written.", "Go to a folder of your own, or use --out.")
    free = shutil.disk_usage(here).free
    if free < 2 * 2**30:
        status: Literal["note", "problem"] = "problem" if free < 2**28 else "note"
        return Finding(status, "disk", f"only {_gigabytes(free)} are free in {here}.", "Free some space, or use --out.")
    return Finding("ok", "disk", f"{_gigabytes(free)} are free in {here}.")


def _extras() -> list[Finding]:
    """One finding for each optional part of bajka: there, or its pip line."""
    needs: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("bajka") or []:
        parsed = re.match(r"([A-Za-z0-9._-]+).*extra == ['\"]([^'\"]+)['\"]", line)
        if parsed and parsed[2] not in _WITHOUT_NAME:
            needs.setdefault(parsed[2], []).append(parsed[1])
    return [_extra(name, packages) for name, packages in sorted(needs.items())]


def _encoder() -> Finding:
    """Whether texts are encoded by the fast library, which must give the ids that `tokenizers` gives."""
    from bajka.tokenizer.fast import examine_gigatoken

    reason = examine_gigatoken()
    if reason:
        return Finding("note", "encoding", f"texts are encoded the slower way: {reason}.", "pip install 'bajka[fast]'")
    return Finding("ok", "encoding", "gigatoken gives the same ids as tokenizers here, and is used.")


def _extra(name: str, packages: list[str]) -> Finding:
    versions = {package: _version(package) for package in packages}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        advice = f"Needed only for what uses it: pip install 'bajka[{name}]'"
        return Finding("note", f"extra {name}", f"{', '.join(missing)} not installed.", advice)
    return Finding(
        "ok", f"extra {name}", f"{', '.join(f'{package} {version}' for package, version in versions.items())}."
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
