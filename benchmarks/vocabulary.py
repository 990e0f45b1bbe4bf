"""How large a vocabulary? The same model, for the same time, on the same texts, with several vocabulary sizes.

    python benchmarks/vocabulary.py --texts path/to/novels --minutes 5 --sizes 512 1024 2048 4096 8192

Bits per byte of the held-out text can be compared across vocabularies, losses cannot. Minutes are those of a person: from
the start, with reading and the making of the vocabulary. Sizes are taken in turn, `--rounds` times with another seed each;
nothing else should run meanwhile. `bajka.tokenizer.choose_vocab_size` holds what was found.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import warnings
from pathlib import Path

import bajka
from bajka.tokenizer import Tokenizer
from bajka.watching.view import SilentView


def main() -> None:
    """Run the rounds; print every figure, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", required=True, help="files and folders")
    parser.add_argument("--minutes", type=float, default=5.0, help="of each training")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--tokenizer", default="bpe", help="or sentencepiece-bpe, sentencepiece-unigram")
    parser.add_argument("--limit", help='only so much text, as "1MB"')
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--context", type=int, default=256)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    found: dict[int, list[float]] = {}
    for number in range(options.rounds):
        for size in options.sizes:
            with tempfile.TemporaryDirectory() as folder:
                bits, line = measure(options, size, seed=1337 + number, folder=Path(folder))
            found.setdefault(size, []).append(bits)
            print(f"round {number + 1}  {size:>7,} entries  {line}", flush=True)
    for size, bits in found.items():
        print(f"median   {size:>7,} entries  {statistics.median(bits):.4f} bits/byte")


def measure(options: argparse.Namespace, size: int, *, seed: int, folder: Path) -> tuple[float, str]:
    """Bits per byte of all validation windows at the end of one training, and all its figures as a line."""
    bajka.train(
        options.texts,
        view=SilentView(),
        minutes=options.minutes,
        tokenizer=options.tokenizer,
        vocab_size=size,
        limit=options.limit,
        n_layer=options.layers,
        n_embd=options.width,
        context_length=options.context,
        compile="off",
        seed=seed,
        evaluation_windows=100_000,
        out=str(folder / "run"),
    )
    tokenizer = Tokenizer.load(folder / "run")
    lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last = [line for line in lines if "val_bits_per_byte" in line][-1]
    bits = float(last["val_bits_per_byte"])
    letters = last["val_loss"] / last["val_bits_per_letter"] / 0.6931471805599453
    return bits, (
        f"{tokenizer.vocab_size:>7,} made  {bits:.4f} bits/byte  {last['val_bits_per_letter']:.4f} bits/letter  "
        f"{letters:.2f} letters/token  {last['tokens'] * letters / 1e6:.2f}M letters seen, epoch {last['epoch']:.1f}"
    )


if __name__ == "__main__":
    main()
