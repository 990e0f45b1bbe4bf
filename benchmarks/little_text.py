"""T4. Little text: the best validation bits per byte in eight minutes, ours against nanoGPT at its best.

    python benchmarks/little_text.py --texts alice.txt shakespeare.txt author/ --nanogpt path/to/nanoGPT --together

Ours is `bajka train TEXT --minutes 8`, nothing else. nanoGPT first is tuned on the same text at full length, one choice after
the other: shape and tokenizer (characters, or our BPE given to it) at the first of `--dropouts` and `--rates`, then dropout,
then rate; the best is kept, and then trained once a seed, with the steps of its tuning. Of nanoGPT's run every saved model is
judged over the whole validation text and the best one counts; of ours the one that the run itself kept. `--together` runs two
at a time with one thread each, so both always have the same. The difference of the two comes with a 95 % interval from a
bootstrap over seeds and, paired, over blocks of the text.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ours
from bootstrap import block_bits, compare
from harness import Results, code, parser, peer_key, show, text_key
from judge import judge
from peers import Peer, run_peer, steps_for
from token_files import Tokens, as_characters, from_bajka, prepare

Job = Callable[[], dict[str, Any]]
SHAPES = {
    "4x128 context 64 batch 12": Peer(layers=4, width=128, heads=4, context=64, batch=12),
    "4x192 context 256 batch 8": Peer(layers=4, width=192, heads=3, context=256, batch=8),
}


def main() -> None:
    """Every text: tune nanoGPT, train both with every seed, compare."""
    options = arguments()
    results = Results(options.results, "little text")
    for text in options.texts:
        with tempfile.TemporaryDirectory() as folder:
            one_text(text, Path(folder), results, options)


def one_text(text: Path, work: Path, results: Results, options: argparse.Namespace) -> None:
    """All runs of one text and their comparison."""
    prepared = prepare([str(text)], work / "data")
    kinds = {"our BPE": from_bajka(prepared, work / "bpe"), "characters": as_characters(prepared, work / "characters")}
    peer, kind = tuned(text, kinds, results, options)
    jobs: list[Job] = []
    for seed in options.seeds:
        jobs.append(lambda seed=seed: our_run(text, seed, results, options))
        one = replace(peer, seed=seed)
        jobs.append(lambda one=one: peer_run(text, one, kind, kinds[kind], results, options))
    lines = in_turn(jobs, options)
    mine, theirs = lines[0::2], lines[1::2]
    for line in lines:
        show(f"{text.stem} {line['name']}", line)
    for seed, one, other in zip(options.seeds, mine, theirs, strict=True):
        tell(f"{text.stem}, seed {seed}", compare([blocks(one)], [blocks(other)]))
    tell(f"{text.stem}, all seeds", compare(list(map(blocks, mine)), list(map(blocks, theirs))))


def tell(name: str, found: dict[str, float]) -> None:
    """One comparison as a sentence."""
    print(
        f"{name}: bajka {found['one']:.4f}, nanoGPT {found['other']:.4f} bits per byte: {found['lower']:.1%} lower "
        f"(95 %: {found['low']:.1%} to {found['high']:.1%}; p = {found['p']:.4f})",
        flush=True,
    )


def blocks(line: Mapping[str, Any]) -> tuple[Any, Any]:
    """Bits and bytes of the blocks, as recorded."""
    return np.array(line["block_bits"]), np.array(line["block_bytes"])


def tuned(text: Path, kinds: dict[str, Tokens], results: Results, options: argparse.Namespace) -> tuple[Peer, str]:
    """nanoGPT's best: shape and tokenizer at the first dropout and rate, then dropout, then rate."""
    first = [
        (replace(peer, dropout=options.dropouts[0], rate=options.rates[0]), kind)
        for name, peer in SHAPES.items()
        for kind in kinds
        if not options.shapes or name.split()[0] in options.shapes
    ]
    best = best_of(text, first, kinds, results, options)
    best = best_of(
        text, [(replace(best[0], dropout=one), best[1]) for one in options.dropouts], kinds, results, options
    )
    best = best_of(text, [(replace(best[0], rate=one), best[1]) for one in options.rates], kinds, results, options)
    print(f"{text.stem}: nanoGPT's best is {best[1]}, {best[0].settings}", flush=True)
    if len(options.rates) > 1 and best[0].rate in (min(options.rates), max(options.rates)):
        print(f"{text.stem}: that rate is at an end of --rates: add one beyond it")
    return best


def best_of(
    text: Path,
    candidates: list[tuple[Peer, str]],
    kinds: dict[str, Tokens],
    results: Results,
    options: argparse.Namespace,
) -> tuple[Peer, str]:
    """The candidate whose best model has the fewest bits per byte."""
    for peer, kind in candidates:  # alone: beside another job it would be given fewer steps
        calibrated(text, peer, kind, kinds[kind], results, options)
    jobs = [
        lambda peer=peer, kind=kind: peer_run(text, peer, kind, kinds[kind], results, options)
        for peer, kind in candidates
    ]
    found = in_turn(jobs, options)
    for (peer, kind), line in zip(candidates, found, strict=True):
        print(f"{text.stem}: {kind}, {peer.layers}x{peer.width}, dropout {peer.dropout}, rate {peer.rate:g}: ", end="")
        print(f"{line['bits_per_byte']:.4f} bits per byte", flush=True)
    return min(zip(candidates, found, strict=True), key=lambda pair: pair[1]["bits_per_byte"])[0]


def in_turn(jobs: list[Job], options: argparse.Namespace) -> list[dict[str, Any]]:
    """What the jobs give, in their order; two at a time with --together."""
    with ThreadPoolExecutor(2 if options.together else 1) as pool:
        return list(pool.map(lambda job: job(), jobs))


def peer_run(
    text: Path, peer: Peer, kind: str, tokens: Tokens, results: Results, options: argparse.Namespace
) -> dict[str, Any]:
    """One nanoGPT run; every model on its way judged over the whole validation text, the best one counts."""
    steps = calibrated(text, peer, kind, tokens, results, options)

    def measure() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            work, nats = Path(folder), Path(folder) / "nats.npy"
            outcome = run_peer(
                peer,
                tokens,
                work / "run",
                steps=steps,
                nanogpt=options.nanogpt,
                points=options.points,
                threads=options.threads,
            )
            more = {"nanogpt": options.nanogpt, "nats": nats, "threads": options.threads}
            best, curve = None, []
            for point in outcome.points:
                found = judge("nanogpt", point.path, tokens, context=peer.context, **more)
                curve.append({"step": point.step, "warm": point.warm, "bits_per_byte": found["bits_per_byte"]})
                if best is None or found["bits_per_byte"] < best["bits_per_byte"]:
                    best = found | cut(nats, tokens, options.block_bytes)
        assert best is not None
        return outcome.figures | best | {"curve": curve}

    key = peer.settings | {"tokens": kind, "vocab_size": tokens.vocab_size} | setting(text, options)
    key |= {"points": options.points, "steps": steps, "peer": peer_key(options.nanogpt)}
    return results.once("tune nanoGPT" if peer.seed is None else "nanoGPT", key, measure)


def calibrated(text: Path, peer: Peer, kind: str, tokens: Tokens, results: Results, options: argparse.Namespace) -> int:
    """Steps of so many minutes, measured once for a shape and kept: seed, dropout and rate get the same."""
    key = {name: getattr(peer, name) for name in ("layers", "width", "context", "batch")} | {"tokens": kind}
    key |= setting(text, options) | {"peer": peer_key(options.nanogpt)}
    line = results.once(
        "calibrate nanoGPT",
        key,
        lambda: {"steps": steps_for(options.minutes, peer, tokens, nanogpt=options.nanogpt, threads=options.threads)},
    )
    return int(line["steps"])


def our_run(text: Path, seed: int, results: Results, options: argparse.Namespace) -> dict[str, Any]:
    """One `bajka train TEXT --minutes M --seed S`, and the model that it kept judged."""

    def measure() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            work, nats = Path(folder), Path(folder) / "nats.npy"
            flags = {"minutes": options.minutes, "seed": seed} | dict(word.split("=", 1) for word in options.ours)
            done = ours.train(text, work, flags, threads=options.threads)
            found = ours.judged(done, work / "judge", nats=nats, threads=options.threads)
            sizes = np.load(work / "judge" / "bytes.npy")
            curve = [
                {"step": line["step"], "seconds": line["seconds"], "bits_per_byte": line["val_bits_per_byte"]}
                for line in done.metrics
                if "val_loss" in line
            ]
            return found | cut(nats, Tokens(work / "judge", len(sizes)), options.block_bytes) | {"curve": curve}

    key = setting(text, options) | {"seed": seed, "code": code(), "ours": options.ours}
    return results.once("bajka", key, measure)


def setting(text: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What every run here depends on."""
    return {
        "text": text_key(text),
        "minutes": options.minutes,
        "threads": options.threads,
        "together": options.together,
        "block": options.block_bytes,
    }


def cut(nats: Path, tokens: Tokens, block: int) -> dict[str, list[float]]:
    """Bits and bytes of the blocks of what was judged, short enough to be recorded."""
    bits, sizes = block_bits(np.load(nats), tokens.sizes[tokens.ids("val")], block)
    return {"block_bits": [round(float(one), 3) for one in bits], "block_bytes": [float(one) for one in sizes]}


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--texts", nargs="+", type=Path, required=True, help="files or folders, each a corpus")
    options.add_argument("--nanogpt", type=Path, required=True, help="a checkout of nanoGPT")
    options.add_argument("--minutes", type=float, default=8.0)
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options.add_argument("--dropouts", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.3])
    options.add_argument("--rates", type=float, nargs="+", default=[1e-3, 2e-3, 4e-3])
    names = [name.split()[0] for name in SHAPES]
    options.add_argument("--shapes", nargs="*", default=[], choices=names, help="only these of nanoGPT's shapes")
    options.add_argument("--points", type=int, default=16, help="models that nanoGPT saves on its way")
    options.add_argument("--ours", nargs="*", default=[], metavar="NAME=VALUE", help="settings of ours")
    options.add_argument("--block-bytes", type=int, default=512)
    options.add_argument("--together", action="store_true", help="two at a time, one thread each")
    chosen = options.parse_args()
    chosen.threads = 1 if chosen.together else None
    return chosen


if __name__ == "__main__":
    main()
