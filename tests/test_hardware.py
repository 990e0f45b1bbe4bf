"""Devices, precision and memory: what is chosen, and the sentence for what is not there."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import pytest
import torch

from bajka.config import HardwareSettings
from bajka.errors import SettingsError
from bajka.hardware import (
    Machine,
    can_compile,
    choose_device,
    cpp_compiler,
    find_machine,
    free_memory,
    native_bf16,
    synchronize,
    used_memory,
)

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has an NVIDIA GPU")


def machine(**wishes: Any) -> Machine:
    return find_machine(HardwareSettings(**{"device": "cpu", **wishes}))


def test_a_cpu_is_always_there_and_described_by_facts() -> None:
    found = machine()
    assert found.kind == found.device == "cpu"
    assert found.threads == torch.get_num_threads()
    assert found.name.endswith(f"({found.threads} threads)")
    assert found.torch_version == torch.__version__
    assert found.memory_bytes > 100 << 20


@pytest.mark.parametrize("wish", ["gpu", "cuda:x", "cpu:a", "cuda:-1", "", "cuda:1:2"])
def test_what_is_no_device_is_refused(wish: str) -> None:
    with pytest.raises(SettingsError, match=r'is not a device: write "auto", "cpu", "cuda", "cuda:1" or "mps"'):
        choose_device(wish)


@no_gpu
@pytest.mark.parametrize("wish", ["cuda", "cuda:1"])
def test_a_gpu_that_is_not_there_is_refused_with_what_works(wish: str) -> None:
    with pytest.raises(SettingsError, match=r"torch sees no NVIDIA GPU here.*--device cpu works"):
        choose_device(wish)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this is a Mac")
def test_a_mac_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"this is no Mac with Apple silicon.*--device cpu"):
        choose_device("mps")


@no_gpu
def test_auto_takes_the_best_device_that_is_there() -> None:
    assert choose_device("auto") == ("mps" if torch.backends.mps.is_available() else "cpu")


def test_bf16_is_taken_only_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine().precision == ("bf16" if native_bf16("cpu") else "fp32")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert machine().precision == "fp32"
    with pytest.raises(SettingsError, match=r"precision = bf16, but .* has no native bf16. Leave it out, or use fp32."):
        machine(precision="bf16")


def test_fp16_is_for_nvidia_gpus() -> None:
    with pytest.raises(SettingsError, match=r"precision = fp16 is for NVIDIA GPUs"):
        machine(precision="fp16")


def test_a_given_precision_is_kept_and_names_the_type_of_activations() -> None:
    assert machine(precision="fp32").dtype == torch.float32


def test_the_number_of_threads_is_set() -> None:
    before = torch.get_num_threads()
    try:
        assert machine(threads=2).threads == torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_compile_needs_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_compile("cpu") == (cpp_compiler() is not None)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("CXX", raising=False)
    assert cpp_compiler() is None
    assert not machine().can_compile
    assert not can_compile("mps")


def test_a_compiler_is_the_one_that_inductor_would_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("clang++", "my-compiler"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert (cpp_compiler() is None) == (platform.system() == "Linux")
    monkeypatch.setenv("CXX", "my-compiler")
    assert cpp_compiler() == str(tmp_path / "my-compiler")


def test_in_a_job_of_many_processes_no_device_is_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert choose_device("cpu") == "cpu"
    with pytest.raises(SettingsError, match=r"device = mps is for one process"):
        choose_device("mps")


def test_compile_off_is_never_possible_again_for_the_plan() -> None:
    assert not machine(compile="off").can_compile


def test_memory_is_counted_in_bytes() -> None:
    assert 100 << 20 < free_memory("cpu") < 1 << 50
    assert 10 << 20 < used_memory("cpu") < 1 << 45
    synchronize("cpu")
