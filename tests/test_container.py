"""What a container leaves of the machine, read from the files that Linux writes, here in a folder of our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from bajka.container import memory_left, out_of_memory_kills, processors, waited_seconds
from bajka.hardware import use_processors

MB = 1 << 20
BOUND = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def a_system(root: Path, **files: str) -> Path:
    """Files of a Linux system: names with "__" for "/", those of control groups without "sys/fs/cgroup/" and with "_" for
    their first dot."""
    for name, text in files.items():
        folder = "" if name.startswith("proc__") else "sys/fs/cgroup/"
        file = root / f"{folder}{name.replace('__', '/')}"
        file = file.with_name(file.name.replace("memory_", "memory.").replace("cpu_", "cpu."))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_without_limits_every_processor_is_used_that_this_process_is_bound_to(tmp_path: Path) -> None:
    assert processors(tmp_path / "nothing") == BOUND
    free = a_system(tmp_path, proc__self__cgroup="0::/\n", cpu_max="max 100000\n")
    assert processors(free) == BOUND


@pytest.mark.parametrize(("quota", "worth"), [("100000", 1), ("20000", 1), ("6400000", 64)])
def test_a_share_of_time_is_worth_so_many_processors(tmp_path: Path, quota: str, worth: int) -> None:
    system = a_system(tmp_path, proc__self__cgroup="0::/\n", cpu_max=f"{quota} 100000\n")
    assert processors(system) == min(BOUND or 1, worth)


def test_a_limit_of_a_group_above_counts(tmp_path: Path) -> None:
    system = a_system(
        tmp_path,
        proc__self__cgroup="0::/jobs/mine\n",
        jobs__mine__cpu_max="max 100000\n",
        jobs__cpu_max="100000 100000\n",
    )
    assert processors(system) == 1


def test_control_groups_of_version_1_are_read_though_they_have_the_names_of_the_host(tmp_path: Path) -> None:
    system = a_system(
        tmp_path,
        proc__self__cgroup="5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n",
        cpu__cpu_cfs_quota_us="100000\n",
        cpu__cpu_cfs_period_us="100000\n",
    )
    assert processors(system) == 1
    a_system(tmp_path, cpu__cpu_cfs_quota_us="-1\n")
    assert processors(system) == BOUND


def test_torch_starts_no_more_threads_than_the_container_has_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = a_system(tmp_path, proc__self__cgroup="0::/\n", cpu_max="100000 100000\n")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        use_processors(system=system)
        assert torch.get_num_threads() == 3
        monkeypatch.delenv("OMP_NUM_THREADS")
        use_processors(system=system)
        assert torch.get_num_threads() == 1
        use_processors(2, system=system)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


MEMINFO = f"MemTotal: {64 * MB} kB\nMemFree: 1 kB\nMemAvailable: {32 * MB} kB\n"


def test_memory_is_that_of_the_container_and_what_files_take_is_given_back(tmp_path: Path) -> None:
    system = a_system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/\n",
        memory_max=f"{300 * MB}\n",
        memory_current=f"{250 * MB}\n",
        memory_stat=f"anon 1\nfile {120 * MB}\ninactive_file {100 * MB}\n",
    )
    assert memory_left(system) == (150 * MB, 300 * MB)


def test_memory_that_a_group_above_has_used_up_is_not_left(tmp_path: Path) -> None:
    system = a_system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/mine/job\n",
        mine__memory_max=f"{400 * MB}\n",
        mine__memory_current=f"{350 * MB}\n",
        mine__job__memory_max=f"{200 * MB}\n",
        mine__job__memory_current=f"{10 * MB}\n",
    )
    assert memory_left(system) == (50 * MB, 200 * MB)


def test_memory_of_a_container_of_version_1(tmp_path: Path) -> None:
    system = a_system(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="7:memory:/docker/abc\n",
        memory__memory_limit_in_bytes=f"{300 * MB}\n",
        memory__memory_usage_in_bytes=f"{100 * MB}\n",
    )
    assert memory_left(system) == (200 * MB, 300 * MB)
    a_system(tmp_path, memory__memory_limit_in_bytes="9223372036854771712\n")
    assert memory_left(system)[0] == 32 * MB * 1024


def test_kills_are_those_of_this_process_own_group(tmp_path: Path) -> None:
    assert out_of_memory_kills(tmp_path / "nothing") == 0
    system = a_system(
        tmp_path,
        proc__self__cgroup="0::/jobs/mine\n",
        jobs__memory_events="oom 9\noom_kill 9\n",
        jobs__mine__memory_events="low 0\noom 3\noom_kill 2\noom_group_kill 0\n",
    )
    assert out_of_memory_kills(system) == 2


def test_waiting_for_a_processor_is_summed_over_all_threads(tmp_path: Path) -> None:
    assert waited_seconds(tmp_path) == 0.0
    system = a_system(
        tmp_path,
        proc__self__task__7__schedstat="5000000000 1500000000 12\n",
        proc__self__task__9__schedstat="5000000000 250000000 12\n",
    )
    assert waited_seconds(system) == 1.75
    assert waited_seconds() >= 0.0
