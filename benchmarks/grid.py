"""Record many small trainings: the evidence behind `bajka.planning.expectation`.

    python benchmarks/grid.py --cells benchmarks/expectation_cells.jsonl --corpora FOLDER \
        --results benchmarks/expectation_runs.jsonl --jobs 2

A cell is a JSON line of settings under their flat names; `texts` is a name inside --corpora, `tokens` (instead of `steps`)
is how much is seen. Each is a real `bajka train` in a process of its own, on one thread; with `minutes` it is one as a person
starts it, on all cores and with everything planned (then --jobs 1). Its figures are appended to --results as one line.
Cells recorded there are skipped, so it can be interrupted and continued.
`--before "nice -n 10"` puts a command before each.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bajka.model import ModelConfig
from bajka.model.estimate import flops_per_token, parameters
from bajka.planning.ngrams import COUNTED, foretold, sample_of
from bajka.tokens.store import TokenData, open_token_data

CONTEXT, BATCH = 256, 8
FIXED = {"compile": "off", "max_new_tokens": 1, "save_every_minutes": 1000.0}


def main() -> None:
    """Run all cells that are not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--corpora", type=Path, required=True, help="the folder that the texts of cells are in")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once, one thread each")
    parser.add_argument("--before", default="", help="a command before each training, as 'nice -n 10'")
    parser.add_argument("--limit", type=int, help="stop after so many trainings")
    options = parser.parse_args()
    recorded = {key_of(line["cell"]) for line in read_lines(options.results)}
    waiting = [cell for cell in read_lines(options.cells) if key_of(cell) not in recorded][: options.limit]
    print(f"{len(recorded)} recorded, {len(waiting)} to run", flush=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda cell: run_and_record(cell, options), waiting))


def run_and_record(cell: dict[str, Any], options: argparse.Namespace) -> None:
    """One training; its line in the results, or what went wrong on the terminal."""
    began = time.time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            line = measure(cell, options.corpora, Path(folder), before=shlex.split(options.before))
        except subprocess.CalledProcessError as error:
            print(f"FAILED {key_of(cell)}\n{error.stdout}\n{error.stderr}", flush=True)
            return
    with options.results.open("a", encoding="utf-8") as results:
        results.write(json.dumps(line) + "\n")
    print(
        f"{time.time() - began:6.1f} s  {line['best_bits_per_byte']:.4f} bits/byte  {line['tokens_seen']:>9,} tokens  "
        f"{line['epochs']:5.1f} epochs  {line['weights']:>9,} weights  {key_of(cell)}",
        flush=True,
    )


def measure(cell: dict[str, Any], corpora: Path, folder: Path, *, before: list[str]) -> dict[str, Any]:
    """Train one cell in `folder`; settings and figures as a line for the results."""
    run = folder / "runs" / "cell"
    command = [*before, sys.executable, "-m", "bajka", "train", str(corpora / cell["texts"]), "--out", str(run)]
    environment = dict(os.environ)
    if "minutes" in cell:
        command += flags({name: value for name, value in cell.items() if name != "texts"})
    else:
        command += flags({**FIXED, "threads": 1, **wishes_of(cell)})
        environment["OMP_NUM_THREADS"] = str(cell.get("threads", 1))
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    plan = json.loads((run / "plan.json").read_text(encoding="utf-8"))
    lines = read_lines(run / "metrics.jsonl")
    return {"cell": cell, **figures(lines, plan), **text_figures(open_token_data(Path(plan["data"]["folder"])), lines)}


def wishes_of(cell: dict[str, Any]) -> dict[str, Any]:
    """The settings of a cell: tokens as steps, and evaluations so often that the best model is found."""
    found = {"context_length": CONTEXT, "global_batch_size": BATCH, "evaluation_windows": 192, **cell}
    del found["texts"]
    tokens = found.pop("tokens", None)
    if tokens is not None:
        found["steps"] = max(10, round(tokens / found["global_batch_size"] / found["context_length"]))
    if "steps" in found:
        found.setdefault("evaluate_every_steps", -(-found["steps"] // found.pop("evaluations", 4)))
    return found


def figures(lines: list[dict[str, Any]], plan: dict[str, Any]) -> dict[str, Any]:
    """What came of a run, from its metrics and plan.json."""
    judged = [line for line in lines if "val_bits_per_byte" in line]
    last = [line for line in lines if "tokens" in line][-1]
    speeds = [line["tokens_per_second"] for line in lines if "tokens_per_second" in line]
    model, data = ModelConfig(**plan["plan"]["model"]), plan["data"]
    return {
        "corpus_bytes": data["bytes"],
        "train_tokens": data["train_tokens"],
        "validation_tokens": data["validation_tokens"],
        "vocab_size": model.vocab_size,
        "weights": parameters(model),
        "body_weights": parameters(model, embeddings=False),
        "flops_per_token": flops_per_token(model),
        "n_layer": model.n_layer,
        "n_embd": model.n_embd,
        "context_length": model.context_length,
        "tokens_a_step": model.context_length * plan["plan"]["global_batch_size"],
        "dropout": model.dropout,
        "weight_decay": plan["plan"]["recipe"]["weight_decay"],
        "tokens_seen": last["tokens"],
        "epochs": last["epoch"],
        "best_bits_per_byte": min(line["val_bits_per_byte"] for line in judged),
        "final_bits_per_byte": judged[-1]["val_bits_per_byte"],
        "final_loss": judged[-1]["val_loss"],
        "best_step": min(judged, key=lambda line: line["val_bits_per_byte"])["step"],
        "steps": last["step"],
        "tokens_per_second": float(np.median(speeds)),
        "seconds": plan["finished"]["seconds"],
        "expected": plan["plan"]["expected_bits_per_byte"],
        "expected_seconds": plan["plan"]["expected_seconds"],
        "expected_tokens_per_second": plan["plan"]["expected_tokens_per_second"],
        "date": plan["planned_at"],
        "machine": plan["machine"]["name"],
        "torch": plan["machine"]["torch_version"],
    }


def text_figures(data: TokenData, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """How predictable the text is, in bits a byte of the held-out text, as the plan would find out beforehand."""
    bytes_per_token = data.validation.bytes_per_token
    held_out = sample_of(data.validation.ids, 100_000)
    seen = [line["tokens"] for line in lines if "tokens" in line][-1]
    found: dict[str, Any] = {"bytes_per_token": bytes_per_token}
    counted = sample_of(data.train.ids, min(seen, COUNTED))
    (losses,), _ = foretold(counted, held_out, data.vocab_size, bytes_per_token, sizes=[len(counted)])
    found["ngrams"] = [round(loss / np.log(2) / bytes_per_token, 5) for loss in losses]
    return found


def flags(wishes: dict[str, Any]) -> Iterable[str]:
    """Settings as words of the command line."""
    for name, value in wishes.items():
        yield from (f"--{name.replace('_', '-')}", str(value))


def key_of(cell: dict[str, Any]) -> str:
    """The same for equal cells."""
    return json.dumps(cell, sort_keys=True)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with a JSON object in each line; none when there is no such file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


if __name__ == "__main__":
    main()
