"""The doctor finds what is wrong and says what to do; it never fails itself."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bajka.cli.doctor import Finding, examine, round_trip
from bajka.errors import Interrupted

CARD = "NVIDIA GeForce RTX 3060, {driver}"


def finding(title: str, *, quick: bool = True) -> Finding:
    return next(one for one in examine(quick=quick) if one.title == title)


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, first on the path, that tests may write."""
    if os.name == "nt":
        pytest.skip("a shell script stands for nvidia-smi")
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def answer(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_every_part_of_the_machine_is_looked_at() -> None:
    titles = [one.title for one in examine(quick=True)]
    assert {"Python", "torch", "device", "precision", "threads", "compile", "memory", "disk"} <= set(titles)
    assert "round trip" not in titles


def test_a_round_trip_trains_saves_loads_and_writes() -> None:
    found = round_trip(device="cpu", steps=30)
    assert (found.status, found.title) == ("ok", "round trip")
    assert "the same text again" in found.sentence


@pytest.mark.skipif(torch.cuda.is_available(), reason="the card of this machine is used")
@pytest.mark.parametrize(
    ("driver", "advice"),
    [("580.65.06", "pip install --force-reinstall torch"), ("470.1", "Update NVIDIA's driver to 580")],
)
def test_a_card_that_torch_cannot_use_is_a_problem(
    nvidia_smi: Path, driver: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    answer(nvidia_smi, f"echo '{CARD.format(driver=driver)}'")
    found = finding("NVIDIA")
    assert found.status == "problem"
    assert "NVIDIA GeForce RTX 3060 is not used: this torch was built without CUDA" in found.sentence
    assert advice in found.advice


@pytest.mark.skipif(torch.cuda.is_available(), reason="the card of this machine is used")
def test_a_driver_too_old_for_torch_is_a_problem(nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    answer(nvidia_smi, f"echo '{CARD.format(driver='535.104')}'")
    found = finding("NVIDIA")
    assert "built for CUDA 13.0, the driver is 535.104" in found.sentence
    assert "580 or newer" in found.advice


@pytest.mark.skipif(torch.cuda.is_available(), reason="the card of this machine is used")
@pytest.mark.parametrize("script", ["echo 'NVIDIA-SMI has failed'; exit 9", "echo nonsense", "exit 0"])
def test_an_nvidia_smi_that_knows_no_card_is_no_finding(nvidia_smi: Path, script: str) -> None:
    answer(nvidia_smi, script)
    assert all(one.title != "NVIDIA" for one in examine(quick=True))


def test_a_program_that_cannot_be_started_is_no_finding(nvidia_smi: Path) -> None:
    nvidia_smi.write_bytes(b"\x00\x01")
    nvidia_smi.chmod(0o755)
    assert all("could not be checked" not in one.sentence for one in examine(quick=True))


def test_without_a_compiler_one_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    found = finding("compile")
    assert found.status == "note"
    assert "a C++ compiler" in found.advice


def test_each_extra_is_there_or_has_its_pip_line() -> None:
    extras = {one.title: one for one in examine(quick=True) if one.title.startswith("extra ")}
    for name in set(importlib.metadata.metadata("bajka").get_all("Provides-Extra") or []) - {"all", "dev"}:
        found = extras[f"extra {name}"]
        assert found.status == "ok" or f"pip install 'bajka[{name}]'" in found.advice


def test_a_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10**6))
    assert finding("disk").status == "problem"


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> int:
        raise RuntimeError("the sensor fell off")

    monkeypatch.setattr(torch, "get_num_threads", broken)
    assert finding("threads").sentence == "this could not be checked: RuntimeError: the sensor fell off"


def test_a_torch_that_cannot_be_imported_is_a_problem_and_the_rest_is_still_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = {one.title: one for one in examine()}
    assert found["torch"].status == "problem"
    assert "pip install" in found["torch"].advice
    assert {"Python", "disk"} <= set(found)


def test_a_person_can_interrupt_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> int:
        raise Interrupted("Stopped.", signal_number=2)

    monkeypatch.setattr(torch, "get_num_threads", stopped)
    with pytest.raises(Interrupted):
        examine(quick=True)


def test_the_doctor_can_be_imported_without_torch() -> None:
    code = "import sys, bajka.cli.doctor; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
