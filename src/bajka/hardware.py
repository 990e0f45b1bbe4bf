"""What this machine is: device, precision, memory, threads, and whether torch.compile can work here."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from bajka.config import HardwareSettings, Precision
from bajka.container import memory_left, processors
from bajka.errors import SettingsError

DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Machine:
    """The device a run uses, in facts that decide its speed and its bits."""

    device: str
    name: str
    precision: Precision
    threads: int
    memory_bytes: int
    can_compile: bool
    torch_version: str

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations."""
        return DTYPES[self.precision]

    @property
    def kind(self) -> str:
        """cpu, cuda or mps."""
        return self.device.split(":")[0]


def find_machine(settings: HardwareSettings) -> Machine:
    """Choose device and precision and set the number of CPU threads; raises `SettingsError` for what is not there."""
    device = choose_device(settings.device)
    kind = device.split(":")[0]
    use_processors(settings.threads)
    if kind == "cpu":
        keep_freed_memory()
    if settings.deterministic and kind == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    if kind == "cuda":  # else WSL moves what does not fit to the system's memory, ten times slower, instead of failing
        free, total = torch.cuda.mem_get_info(device)
        mine = torch.cuda.memory_reserved(device)
        torch.cuda.set_per_process_memory_fraction(min(1.0, (free + mine) / total), device)
    return Machine(
        device=device,
        name=device_name(device),
        precision=_precision(settings.precision, device),
        threads=torch.get_num_threads(),
        memory_bytes=free_memory(device),
        can_compile=settings.compile != "off" and can_compile(kind),
        torch_version=torch.__version__,
    )


def use_processors(threads: int | None = None, *, system: Path = Path("/")) -> None:
    """Let torch use so many threads, or no more than there are processors for this process: by itself it starts one for
    each of the machine, and where a container allows only a few they wait for each other. OMP_NUM_THREADS is kept."""
    most = processors(system)
    if threads is None and torch.get_num_threads() > most and not os.environ.get("OMP_NUM_THREADS"):
        threads = most
    if threads is not None:
        torch.set_num_threads(threads)


@contextmanager
def torch_as_before() -> Iterator[None]:
    """Torch's threads, random numbers and determinism are afterwards what they were: others use it in this process too."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    cpu, seed = torch.get_rng_state(), torch.initial_seed()
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
        if now != (strict, only_warns):  # else it would load torch's compiler for nothing
            torch.use_deterministic_algorithms(strict, warn_only=only_warns)
        torch.set_rng_state(cpu)
        if gpus:
            torch.cuda.set_rng_state_all(gpus)
        else:
            torch.cuda.manual_seed_all(seed)  # what they would have begun with


def keep_freed_memory() -> None:
    """Let glibc keep the memory that tensors free: else each step asks the system for the same pages again, which takes
    a tenth of the time of a small model on a CPU (docs/experiments.md, "Where the time of a step goes")."""
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # from malloc.h; 32 MiB is glibc's own limit of the last one
    allocator = ctypes.CDLL(None)
    for name, value in ((trim_threshold, 2**30), (top_pad, 2**26), (mmap_threshold, 2**25)):
        allocator.mallopt(name, value)


def choose_device(wish: str) -> str:
    """The torch device that a wish means ("auto": a GPU if there is one); `SettingsError` for what is not there."""
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    if wish in ("auto", "cuda") and torch.cuda.is_available():
        return _own_gpu()
    if wish == "auto":
        return "mps" if alone and torch.backends.mps.is_available() else "cpu"
    kind, _, number = wish.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdigit()):
        raise SettingsError(f'device = {wish!r} is not a device: write "auto", "cpu", "cuda", "cuda:1" or "mps".')
    if kind == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "device = cuda, but torch sees no NVIDIA GPU here. `bajka doctor` says why; --device cpu works."
        )
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise SettingsError(f"device = {wish}, but there are only {torch.cuda.device_count()} GPUs, counted from 0.")
    if number and not alone:
        raise SettingsError(f"device = {wish}, but each process of this job has a GPU of its own: write --device cuda.")
    if kind == "mps" and not alone:
        raise SettingsError("device = mps is for one process: torch's processes cannot exchange what is on it.")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise SettingsError(
            "device = mps, but this is no Mac with Apple silicon (or torch lacks it). Use --device cpu."
        )
    return wish


def _own_gpu() -> str:
    """The GPU of this process: the one of its number among the processes of this machine, or the only one it was shown."""
    number, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if count == 1 and os.environ.get("CUDA_VISIBLE_DEVICES"):
        return "cuda:0"
    if number >= count:
        raise SettingsError(
            f"There are more processes on this machine than GPUs that they see ({count}): start as many as there are "
            f"(torchrun --nproc-per-node {count}), or use --device cpu."
        )
    return f"cuda:{number}"


def native_bf16(device: str) -> bool:
    """Whether the hardware multiplies bf16 itself: `torch.cuda.is_bf16_supported` also says yes to emulation, and
    emulated bf16 on a CPU is tens to hundreds of times slower than fp32 (pytorch#146508)."""
    match device.split(":")[0]:
        case "cuda":
            return torch.cuda.get_device_capability(device) >= (8, 0)
        case "cpu":
            return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
        case _:
            return False


def _precision(wish: str, device: str) -> Precision:
    native = native_bf16(device)
    kind = device.split(":")[0]
    match wish:
        case "bf16" if not native:
            raise SettingsError(
                f"precision = bf16, but {device_name(device)} has no native bf16. Leave it out, or use fp32."
            )
        case "fp16" if kind != "cuda":
            raise SettingsError("precision = fp16 is for NVIDIA GPUs. Leave it out, or use fp32.")
        case "bf16" | "fp16" | "fp32":
            return wish
        case _:
            return "bf16" if native else "fp16" if kind == "cuda" else "fp32"


def device_name(device: str) -> str:
    """The device's name for people, as "AMD EPYC (2 threads)" or "NVIDIA GeForce RTX 3060"."""
    match device.split(":")[0]:
        case "cuda":
            return torch.cuda.get_device_name(device)
        case "mps":
            return "Apple GPU"
        case _:
            return f"{_cpu_name()} ({torch.get_num_threads()} threads)"


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def free_memory(device: str) -> int:
    """Bytes that can be used now: free dedicated memory of a GPU, system memory that is left to this process otherwise.

    What torch has of a GPU and does not use (after an earlier training in the same process) is free too.
    """
    if not device.startswith("cuda"):
        return memory_left()[0]
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept


def nearly_full(device: str) -> bool:
    """Whether less than a tenth of a GPU's memory is left."""
    free, total = torch.cuda.mem_get_info(device)
    return free < total / 10


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that there is no memory left: CUDA has a type for it, the others a sentence."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )


def used_memory(device: str) -> int:
    """Peak bytes this process used so far: on the GPU, or of system memory."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def can_compile(kind: str) -> bool:
    """Whether torch.compile has what it needs: a C++ compiler for a CPU; for a GPU Triton, and a C compiler for the little
    programs by which it starts its kernels."""
    if kind == "cuda":
        return importlib.util.find_spec("triton") is not None and (os.name == "nt" or c_compiler() is not None)
    return kind == "cpu" and cpp_compiler() is not None


def compiling_failed(error: BaseException) -> bool:
    """Whether torch.compile could not do its work, for want of a compiler or for a fault of its own."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def cpp_compiler() -> str | None:
    """Path of the C++ compiler that Inductor would call, if there is one."""
    usual = {"Windows": "cl", "Darwin": "clang++"}.get(platform.system(), "g++")
    found = shutil.which(os.environ.get("CXX") or usual)
    return None if found is None or _only_offers_itself(found) else found


def c_compiler() -> str | None:
    """Path of the C compiler that Triton would call, if there is one and it has Python's headers."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["gcc", "clang", "cc"]
    scheme = sysconfig.get_default_scheme().replace(
        "posix_local", "posix_prefix"
    )  # Debian's Python has its headers there
    headers = Path(sysconfig.get_paths(scheme)["include"], "Python.h").is_file()
    return next((found for name in names if headers and (found := shutil.which(name))), None)


def _only_offers_itself(compiler: str) -> bool:
    """Whether a Mac has nothing but the name of a compiler, which asks to install one."""
    if platform.system() != "Darwin" or Path(compiler).parent != Path("/usr/bin"):
        return False
    return subprocess.run(["/usr/bin/xcode-select", "-p"], capture_output=True, check=False).returncode != 0


def synchronize(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    elif device == "mps":
        torch.mps.synchronize()
