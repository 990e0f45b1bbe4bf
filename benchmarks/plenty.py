"""T2. Plenty of text: how soon are we at the bits per byte that nanoGPT has after eight minutes?

    python benchmarks/plenty.py --texts path/to/english --nanogpt path/to/nanoGPT --rates 1e-3 2e-3 4e-3 --ours-minutes 1 1.5

A folder of English (40 MB), a vocabulary of 4,096 that bajka trained, and the same token files for everyone; 4 layers, 192
wide, context 256. Peers: nanoGPT (fp32 eager; bf16 by one stated line), Hugging Face's Trainer, the loop of a book chapter.
Each peer trains for `--minutes` of steps, its schedule ending there; its rate is the best of `--rates` at `--tune-minutes`.
Ours is `bajka train` on the same token files with `--minutes M` for each of `--ours-minutes` (cold: the whole command), or
`--ours-steps N`. The answer is the smallest M that reaches each peer's bits per byte, and the ratio of the times.
All are judged alike, outside the clock, over the whole validation text.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ours
from harness import Results, code, medians, parser, peer_key, show, text_key
from peers import Peer, judged, run_peer, steps_for
from token_files import Tokens, from_bajka, prepare

PEERS = {
    "nanogpt-fp32": Peer("nanogpt", "fp32"),
    "nanogpt-bf16": Peer("nanogpt", "bf16"),
    "nanogpt-bf16-compiled": Peer("nanogpt", "bf16", compile=True),
    "huggingface-fp32": Peer("huggingface", "fp32"),
    "huggingface-bf16": Peer("huggingface", "bf16"),
    "book": Peer("book", rate=4e-4, dropout=0.1),
}
DEFAULT = ("nanogpt-fp32", "huggingface-fp32", "book")


def main() -> None:
    """Tune, then rounds in which each trains once, then the answer."""
    options = arguments()
    if any("huggingface" in name for name in options.peers) and importlib.util.find_spec("accelerate") is None:
        sys.exit(
            "Hugging Face's Trainer needs accelerate: pip install transformers accelerate, or leave it out of --peers"
        )
    results = Results(options.results, "plenty")
    with tempfile.TemporaryDirectory(prefix="plenty-") as folder:
        measure_all(options.work or Path(folder), results, options)


def measure_all(work: Path, results: Results, options: argparse.Namespace) -> None:
    """Everything, with the token files in `work`."""
    prepared = prepared_texts(options.texts, work, options.vocab_size)
    tokens = from_bajka(prepared, work / "tokens")
    chosen = {name: shaped(PEERS[name], options) for name in options.peers}
    chosen = {name: tuned(name, peer, tokens, results, options) for name, peer in chosen.items()}
    steps = {name: calibrated(peer, options.minutes, tokens, results, options) for name, peer in chosen.items()}
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(options.rounds):
        for name, line in one_round(number, chosen, steps, prepared, tokens, results, options):
            found.setdefault(name, []).append(line)
            show(name, line)
    conclude(found, list(chosen))


def prepared_texts(texts: list[str], work: Path, vocab_size: int) -> Path:
    """The token files of the texts; those of an earlier sitting in the same `--work` are taken."""
    out = work / f"{'-'.join(text_key(Path(text)).replace(' ', '-') for text in texts)[:120]}-{vocab_size}"
    ready = [path.parent for path in out.glob("*/meta.json")]
    return ready[0] if ready else prepare(texts, out, vocab_size=vocab_size)


def shaped(peer: Peer, options: argparse.Namespace) -> Peer:
    """The peer in the shape of this benchmark."""
    heads = max(1, options.width // 64)
    return replace(peer, layers=options.layers, width=options.width, heads=heads, context=options.context)


def tuned(name: str, peer: Peer, tokens: Tokens, results: Results, options: argparse.Namespace) -> Peer:
    """The peer at the best of the rates, each tried for `--tune-minutes` once; the book's rate only with --tune-book."""
    if not options.rates or (peer.program == "book" and not options.tune_book):
        return peer
    steps = calibrated(peer, options.tune_minutes, tokens, results, options)
    tried = {}
    for rate in dict.fromkeys([*options.rates, *([peer.rate] if peer.program == "book" else [])]):
        one = replace(peer, rate=rate)
        tried[rate] = trained(f"tune {name}", one, steps, 0, tokens, results, options)["bits_per_byte"]
        print(f"tuning {name} at {rate:g}: {tried[rate]:.4f} bits per byte", flush=True)
    best = min(tried, key=lambda rate: tried[rate])
    if len(tried) > 1 and best in (min(tried), max(tried)):
        print(f"{name}: the best rate, {best:g}, is at an end of --rates: add one beyond it")
    return replace(peer, rate=best)


def calibrated(peer: Peer, minutes: float, tokens: Tokens, results: Results, options: argparse.Namespace) -> int:
    """Steps of so many minutes, measured once and kept: the rate does not matter."""
    key = {name: value for name, value in peer.settings.items() if name != "rate"} | {
        "minutes": minutes,
        "data": tokens.name,
        "peer": peer_key(options.nanogpt if peer.program == "nanogpt" else None),
    }
    line = results.once(
        f"calibrate {peer.name}", key, lambda: {"steps": steps_for(minutes, peer, tokens, nanogpt=options.nanogpt)}
    )
    return int(line["steps"])


def trained(
    name: str, peer: Peer, steps: int, number: int, tokens: Tokens, results: Results, options: argparse.Namespace
) -> dict[str, Any]:
    """One peer trained and judged."""

    def measure() -> Mapping[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_peer(peer, tokens, Path(folder), steps=steps, nanogpt=options.nanogpt, points=options.points)
            return judged(peer, outcome, tokens, nanogpt=options.nanogpt)  # type: ignore[no-any-return]

    key = peer.settings | {"data": tokens.name, "steps": steps, "round": number}
    key["peer"] = peer_key(options.nanogpt if peer.program == "nanogpt" else None)
    return results.once(name, key, measure)


def one_round(
    number: int,
    chosen: dict[str, Peer],
    steps: dict[str, int],
    prepared: Path,
    tokens: Tokens,
    results: Results,
    options: argparse.Namespace,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each peer, and ours at each length, one after the other."""
    for name, peer in chosen.items():
        yield name, trained(name, peer, steps[name], number, tokens, results, options)
    lengths = [{"minutes": one} for one in options.ours_minutes] + [{"steps": one} for one in options.ours_steps]
    for length in lengths:
        flags = our_flags(options) | length
        key = flags | {
            "data": tokens.name,
            "code": code(),
            "round": number,
            "from": "texts" if options.from_texts else "tokens",
        }
        yield f"bajka {length}", results.once("bajka", key, lambda flags=flags: train_ours(flags, prepared, options))


def our_flags(options: argparse.Namespace) -> dict[str, Any]:
    """The shape of this benchmark and what else the person set, as NAME=VALUE."""
    shape = {"n_layer": options.layers, "n_embd": options.width, "context_length": options.context}
    return shape | dict(word.split("=", 1) for word in options.ours)


def train_ours(flags: dict[str, Any], prepared: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`bajka train`, cold, from the token files that the peers read, or from the texts."""
    with tempfile.TemporaryDirectory() as folder:
        sources = options.texts if options.from_texts else [prepared]
        words = (*map(str, sources[1:]), *([f"--vocab-size={options.vocab_size}"] if options.from_texts else []))
        done = ours.train(sources[0], Path(folder), flags, words=words)
        return ours.judged(done, Path(folder) / "judge") | {"mflops_a_token": ours.flops_per_token(done.path) / 1e6}


def conclude(found: dict[str, list[dict[str, Any]]], peers: list[str]) -> None:
    """Medians, and for each peer the soonest of ours that is as good."""
    middle = {name: medians(lines, "cold", "warm", "bits_per_byte") for name, lines in found.items()}
    for name, figures in middle.items():
        show(f"median {name}", figures)
    for name in peers:
        peer = middle[name]
        good = {one: middle[one] for one in middle if one not in peers}
        good = {one: figures for one, figures in good.items() if figures["bits_per_byte"] <= peer["bits_per_byte"]}
        if not good:
            print(
                f"{name}: none of ours reaches {peer['bits_per_byte']:.4f} bits per byte; give a longer --ours-minutes"
            )
            continue
        first = min(good, key=lambda one: good[one]["cold"])
        ratios = [peer[clock] / good[first][clock] for clock in ("cold", "warm")]
        print(f"{name}: {first} reaches it, {ratios[0]:.2f} times sooner cold, {ratios[1]:.2f} times sooner warm")


def arguments() -> argparse.Namespace:
    """The command line."""
    options = parser(__doc__)
    options.add_argument("--texts", nargs="+", required=True, help="folders or files of texts")
    options.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT")
    options.add_argument("--peers", nargs="*", default=list(DEFAULT), choices=list(PEERS))
    options.add_argument("--minutes", type=float, default=8.0, help="of training of each peer")
    options.add_argument("--ours-minutes", type=float, nargs="*", default=[1.0, 1.5])
    options.add_argument("--ours-steps", type=int, nargs="*", default=[])
    options.add_argument("--ours", nargs="*", default=[], metavar="NAME=VALUE", help="further settings of ours")
    options.add_argument("--from-texts", action="store_true", help="ours also reads, cleans and tokenizes in its clock")
    options.add_argument("--rates", type=float, nargs="*", default=[], help="tune the peers' rate over these")
    options.add_argument("--tune-minutes", type=float, default=1.0)
    options.add_argument("--tune-book", action="store_true", help="also tune the rate of the book's loop")
    options.add_argument("--points", type=int, default=4, help="models on nanoGPT's way, for its curve")
    options.add_argument("--vocab-size", type=int, default=4096)
    options.add_argument("--layers", type=int, default=4)
    options.add_argument("--width", type=int, default=192)
    options.add_argument("--context", type=int, default=256)
    options.add_argument("--work", type=Path, help="keep the token files here (default: a temporary folder)")
    return options.parse_args()


if __name__ == "__main__":
    main()
