"""The peers as real programs: nanoGPT's train.py, Hugging Face's Trainer, the loop of a book chapter; all timed alike.

    python benchmarks/peers.py nanogpt path/to/novels --nanogpt path/to/nanoGPT --minutes 1 --rate 2e-3

*Cold* is from the start of the process to its end. *Warm* is from the first step on: the sum of the steps' times, where the
first, which may compile, and one that begins with a save count as the median one, and evaluations do not count.

nanoGPT runs in a temporary copy of its checkout. Its published form is unchanged; `changes` lists the lines that other forms
change, each a stated one: autocast on a CPU, where nanoGPT ignores its dtype, and the seed, which it has no option for.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
import statistics
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness import HERE, Timed, cold, python, run, show
from judge import judge
from token_files import Tokens, from_bajka, prepare

AUTOCAST = (
    "ctx = nullcontext() if device_type == 'cpu' else torch.amp.autocast(device_type=device_type, dtype=ptdtype)",
    "ctx = torch.amp.autocast(device_type=device_type, dtype=ptdtype)",
)
SEED = "torch.manual_seed(1337 + seed_offset)"


@dataclass(frozen=True)
class Peer:
    """One program and its settings; `seed` None is the program's own. `compile` is nanoGPT's."""

    program: Literal["nanogpt", "huggingface", "book"] = "nanogpt"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    layers: int = 4
    width: int = 192
    heads: int = 3
    context: int = 256
    batch: int = 8
    rate: float = 1e-3
    dropout: float = 0.0
    seed: int | None = None

    @property
    def name(self) -> str:
        """For people and for results."""
        return f"{self.program} {self.precision}{' compiled' if self.compile else ''}"

    @property
    def settings(self) -> dict[str, Any]:
        """All of it, for results."""
        return asdict(self)


@dataclass(frozen=True)
class Point:
    """A model on the way, and when it was there."""

    step: int
    cold: float
    warm: float
    path: Path


@dataclass(frozen=True)
class Outcome:
    """A run: seconds cold and warm, steps, the median step, and the saved models, the last one at the end."""

    cold: float
    warm: float
    steps: int
    step_seconds: float
    points: list[Point]

    @property
    def figures(self) -> dict[str, Any]:
        """For results."""
        return {"cold": self.cold, "warm": self.warm, "steps": self.steps, "step_seconds": self.step_seconds}


def run_peer(
    peer: Peer,
    tokens: Tokens,
    work: Path,
    *,
    steps: int,
    nanogpt: Path | None = None,
    points: int = 1,
    threads: int | None = None,
) -> Outcome:
    """Train so many steps; nanoGPT leaves `points` models on the way, the others their last one."""
    work.mkdir(parents=True, exist_ok=True)
    environment = cold(work, threads=threads)
    if peer.program == "nanogpt":
        assert nanogpt is not None, "nanoGPT needs --nanogpt path/to/its/checkout"
        every = max(1, steps // points)
        home = workspace(nanogpt, work, changes(peer))
        (home / "data" / "bench").symlink_to(tokens.folder.resolve())
        return timed_nanogpt(nanogpt_words(peer, every * points, every), home, work / "out", environment)
    program = HERE / ("peer_hf.py" if peer.program == "huggingface" else "peer_book.py")
    out = work / ("model" if peer.program == "huggingface" else "model.pt")
    names = ("layers", "width", "heads", "context", "batch", "rate", "dropout", "seed")
    chosen = {name: getattr(peer, name) for name in names if getattr(peer, name) is not None}
    if peer.program == "huggingface":
        chosen["precision"] = peer.precision
    words = [f"--{name}={value}" for name, value in chosen.items()]
    done = run(python(program, tokens.folder, out, f"--steps={steps}", *words), environment=environment)
    ends, warm = step_times(done)
    last = Point(len(ends), done.seconds, warm[-1], out)
    return Outcome(done.seconds, warm[-1], len(ends), _median(warm), [last])


def judged(peer: Peer, outcome: Outcome, tokens: Tokens, *, nanogpt: Path | None = None, windows: int = 256) -> Any:
    """Bits per byte of the last model over the whole validation text, and the curve of the others over `windows`."""
    home = {"nanogpt": nanogpt} if peer.program == "nanogpt" else {}
    curve = []
    for point in outcome.points[:-1]:
        found = judge(peer.program, point.path, tokens, context=peer.context, windows=windows, **home)
        curve.append(asdict(replace(point, path=None)) | {"bits_per_byte": found["bits_per_byte"]})  # type: ignore[arg-type]
    whole = judge(peer.program, outcome.points[-1].path, tokens, context=peer.context, **home)
    return outcome.figures | whole | {"curve": curve}


def steps_for(
    minutes: float, peer: Peer, tokens: Tokens, *, nanogpt: Path | None = None, threads: int | None = None
) -> int:
    """Steps that fill so many minutes of training, from the median of 30 real ones."""
    with tempfile.TemporaryDirectory() as folder:
        found = run_peer(peer, tokens, Path(folder) / "calibrate", steps=30, nanogpt=nanogpt, threads=threads)
    return max(10, int(60 * minutes / found.step_seconds))


def changes(peer: Peer) -> list[tuple[str, str]]:
    """The lines of nanoGPT's train.py that this form changes."""
    found = [AUTOCAST] if peer.precision == "bf16" else []
    return found + ([(SEED, SEED.replace("1337", str(peer.seed)))] if peer.seed is not None else [])


def workspace(nanogpt: Path, work: Path, changed: list[tuple[str, str]]) -> Path:
    """A copy of the checkout without its data, with these lines changed; each must be there exactly once."""
    home = work / "nanoGPT"
    shutil.copytree(nanogpt, home, ignore=shutil.ignore_patterns(".git", "*.bin", "*.ipynb", "assets", "meta.pkl"))
    program = (home / "train.py").read_text(encoding="utf-8")
    for before, after in changed:
        assert program.count(before) == 1, f"this nanoGPT has another line than {before!r}"
        program = program.replace(before, after)
    (home / "train.py").write_text(program, encoding="utf-8")
    return home


def nanogpt_words(peer: Peer, steps: int, every: int) -> list[str]:
    """nanoGPT's command line at these settings: its own recipe, with a schedule that ends with the run."""
    chosen = {
        "dataset": "bench",
        "device": "cpu",
        "dtype": "bfloat16" if peer.precision == "bf16" else "float32",
        "compile": peer.compile,
        "n_layer": peer.layers,
        "n_head": peer.heads,
        "n_embd": peer.width,
        "block_size": peer.context,
        "batch_size": peer.batch,
        "gradient_accumulation_steps": 1,
        "dropout": float(peer.dropout),
        "learning_rate": float(peer.rate),
        "min_lr": peer.rate / 10,
        "beta2": 0.99,
        "warmup_iters": min(100, steps // 10),
        "max_iters": steps,
        "lr_decay_iters": steps,
        "eval_interval": every,
        "eval_iters": 1,
        "log_interval": 1,
        "always_save_checkpoint": True,
    }
    return [f"--{name}={value}" for name, value in chosen.items()]


def timed_nanogpt(words: list[str], home: Path, out: Path, environment: dict[str, str]) -> Outcome:
    """Run train.py; each model that it saves is moved aside as soon as it goes on, so that none is overwritten."""
    saved: list[tuple[int, Path]] = []
    waiting: list[int] = []

    def seen(seconds: float, line: str) -> None:
        if found := re.match(r"step (\d+):", line):
            waiting[:] = [int(found[1])]
        elif line.startswith("iter ") and waiting and (out / "ckpt.pt").exists():
            path = out / f"ckpt-{waiting[0]:06d}.pt"
            (out / "ckpt.pt").rename(path)
            saved.append((waiting.pop(), path))

    done = run(python("train.py", *words, f"--out_dir={out}"), cwd=home, environment=environment, seen=seen)
    ends, warm = step_times(done)
    points = [Point(step, ends[step - 1], warm[step - 1], path) for step, path in saved if step]
    return Outcome(done.seconds, points[-1].warm, points[-1].step, _median(warm), points)


def step_times(done: Timed) -> tuple[list[float], list[float]]:
    """When each step ended since the start of the process, and the warm seconds up to there."""
    ends, took, other, before, saves = [], [], [0], 0.0, False  # `other`: steps with something else in their time
    for seconds, line in done.lines:
        if line.startswith("iter "):
            if saves:
                other.append(len(took))
            ends.append(seconds)
            took.append(seconds - before)
        before, saves = seconds, line.startswith("saving ")
    assert took, "the program printed no steps"
    plain = [one for place, one in enumerate(took) if place not in other] or took
    for place in other:
        took[place] = min(took[place], statistics.median(plain))
    total, warm = 0.0, []
    for one in took:
        total += one
        warm.append(total)
    return ends, warm


def _median(warm: list[float]) -> float:
    return statistics.median([later - earlier for earlier, later in itertools.pairwise(warm)] or warm)


def main() -> None:
    """One peer on some texts, by hand."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("program", choices=["nanogpt", "huggingface", "book"])
    options.add_argument("texts", nargs="+")
    options.add_argument("--nanogpt", type=Path)
    options.add_argument("--minutes", type=float, default=1.0)
    options.add_argument("--rate", type=float, default=1e-3)
    options.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    options.add_argument("--compile", action="store_true")
    options.add_argument("--vocab-size", type=int, default=4096)
    chosen = options.parse_args()
    peer = Peer(chosen.program, chosen.precision, chosen.compile, rate=chosen.rate)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepared = prepare(chosen.texts, work / "data", vocab_size=chosen.vocab_size)
        tokens = from_bajka(prepared, work / "tokens")
        steps = steps_for(chosen.minutes, peer, tokens, nanogpt=chosen.nanogpt)
        outcome = run_peer(peer, tokens, work / "run", steps=steps, nanogpt=chosen.nanogpt, points=4)
        found = judged(peer, outcome, tokens, nanogpt=chosen.nanogpt)
    show(peer.name, found)
    for point in found["curve"]:
        show("  on the way", point)


if __name__ == "__main__":
    main()
