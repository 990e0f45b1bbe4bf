"""Tiny Shakespeare, characters, a model of no more weights than nanoGPT's CPU example: wall time and validation loss.

    python benchmarks/shakespeare.py --nanogpt path/to/nanoGPT --text path/to/tinyshakespeare.txt --rounds 1

Both start cold, as a person would (process start and imports included), alternating. nanoGPT runs the CPU command of its
README; bajka runs `bajka train` on a settings page. Both are then judged alike: the loss over the whole validation text
(the last 10 % of the characters), in windows of 64 that do not overlap. Without --nanogpt only bajka is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAGE = """\
[corpus]
texts = [{text}]
split = "characters"
validation_share = 0.1

[tokenizer]
tokenizer = "characters"

[model]
n_layer = 4
n_head = 4
n_embd = 128
n_inner = 320
context_length = 64
tie_embeddings = true
dropout = 0.0

[optimizer]
momentum = 0.9
learning_rate = {rate}
adamw_learning_rate = {adamw}
weight_decay = 0.0

[schedule]
steps = {steps}
warmup_steps = 10
cooldown_share = {cooldown}

[train]
global_batch_size = {batch}

[evaluation]
evaluate_every_steps = 100000

[hardware]
compile = "{compile}"
"""

NANOGPT = """train.py config/train_shakespeare_char.py --device=cpu --compile=False --eval_iters=20 --log_interval=1
--block_size=64 --batch_size=12 --n_layer=4 --n_head=4 --n_embd=128 --max_iters=2000 --lr_decay_iters=2000 --dropout=0.0"""


def main() -> None:
    """Run the rounds and print every figure and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="tinyshakespeare.txt, 1,115,394 characters")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT (its dependencies: torch, numpy, requests)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0.02)
    parser.add_argument("--adamw", type=float, default=0.006)
    parser.add_argument("--cooldown", type=float, default=0.6)
    parser.add_argument("--compile", default="off")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(options.rounds):
        for name in ("bajka", "nanoGPT"):
            if name == "nanoGPT" and options.nanogpt is None:
                continue
            with tempfile.TemporaryDirectory() as folder:
                seconds, loss = (
                    run_bajka(options, Path(folder)) if name == "bajka" else run_nanogpt(options, Path(folder))
                )
            found.setdefault(name, []).append((seconds, loss))
            print(f"round {number + 1}  {name:8}  {seconds:6.1f} s  whole-validation loss {loss:.4f}", flush=True)
    for name, results in found.items():
        print(f"median   {name:8}  {statistics.median(s for s, _ in results):6.1f} s", end="  ")
        print(f"whole-validation loss {statistics.median(loss for _, loss in results):.4f}")


def run_bajka(options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the loss that its last evaluation found over all validation windows."""
    page = folder / "shakespeare.toml"
    page.write_text(PAGE.format(text=json.dumps(str(options.text.resolve())), **vars_of(options)), encoding="utf-8")
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")}  # a cold compile cache
    began = time.perf_counter()
    command = [sys.executable, "-m", "bajka", "train", str(page), "--out", str(folder / "run")]
    command += ["--evaluation-windows", "100000"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if result.returncode:
        sys.exit(result.stdout + result.stderr)
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
    return seconds, [line["val_loss"] for line in lines if "val_loss" in line][-1]


def vars_of(options: argparse.Namespace) -> dict[str, object]:
    """The options that the page names."""
    return {name: getattr(options, name) for name in ("steps", "batch", "rate", "adamw", "cooldown", "compile")}


def run_nanogpt(options: argparse.Namespace, folder: Path) -> tuple[float, float]:
    """Seconds of nanoGPT's published command, and the loss of its best checkpoint over the whole validation text."""
    home = options.nanogpt.resolve()
    data = home / "data" / "shakespeare_char"
    (data / "input.txt").write_text(options.text.read_text(encoding="utf-8"), encoding="utf-8")
    subprocess.run([sys.executable, "prepare.py"], cwd=data, check=True, capture_output=True)
    began = time.perf_counter()
    command = [sys.executable, *NANOGPT.split(), f"--out_dir={folder}"]
    result = subprocess.run(command, cwd=home, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if result.returncode:
        sys.exit(result.stdout[-2000:] + result.stderr)
    judge = subprocess.run(
        [sys.executable, "-c", JUDGE, str(folder)], cwd=home, capture_output=True, text=True, check=True
    )
    return seconds, float(judge.stdout.split()[-1])


JUDGE = """
import sys, numpy as np, torch
from model import GPT, GPTConfig
saved = torch.load(sys.argv[1] + '/ckpt.pt', map_location='cpu', weights_only=False)
model = GPT(GPTConfig(**saved['model_args']))
model.load_state_dict(saved['model'])
model.eval()
ids = torch.from_numpy(np.fromfile('data/shakespeare_char/val.bin', dtype=np.uint16).astype(np.int64))
total = count = 0
with torch.no_grad():
    for start in range(0, len(ids) - 1, 64):
        x, y = ids[start:start + 64], ids[start + 1:start + 65]
        x = x[:len(y)]
        total += float(model(x[None], y[None])[1]) * len(y)
        count += len(y)
print(total / count)
"""


if __name__ == "__main__":
    main()
