"""From cleaned text to token files and to a trained vocabulary: bajka against `tokenizers` and tiktoken, in one process.

    python benchmarks/tokenizing.py texts other-texts/*.jsonl --rounds 3 --vocab-size 8192

The texts are read and cleaned before the clock starts. All encode the same list of documents with the same vocabulary, one
after the other, in alternating rounds, and write one file of uint16 with one end-of-text before each document; the files
must be equal. The peers do just that, each with its own call for many texts on all cores. bajka does all of `prepare`: names
the data by their content, makes its way of encoding ready and proves it, counts letters and bytes, keeps a journal, puts
everything on the disk for certain and opens it again. tiktoken (pip install tiktoken) is left out where it is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from bajka.config import CorpusSettings, TokenizerSettings
from bajka.corpus import Split, read_corpus
from bajka.formats import Document
from bajka.tokenizer import END_OF_TEXT, QWEN2, Tokenizer, train_tokenizer
from bajka.tokenizer.fast import WordTable
from bajka.tokens.prepare import prepare

Work = Callable[[Path], Path]
"""Writes token ids somewhere under the folder and says where."""


def main() -> None:
    """Run the rounds and print a table of medians, with what each is times the slowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+", help="files and folders, as `bajka inspect` takes them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocab-size", type=int, default=8192)
    parser.add_argument("--only-encoding", action="store_true", help="train once, without a clock")
    options = parser.parse_args()
    texts = [document.text for document in read_corpus(CorpusSettings(texts=tuple(map(str, options.texts)))).documents]
    size = sum(len(text.encode()) for text in texts) / 1e6
    load = f"load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    print(
        f"{len(texts):,} documents, {size:.1f} MB, vocabulary of {options.vocab_size:,}, {os.cpu_count()} cores, {load}"
    )
    if options.only_encoding:
        tokenizer = train_tokenizer(TokenizerSettings(), texts, vocab_size=options.vocab_size)
    else:
        tokenizer = training(texts, options.vocab_size, options.rounds, size)
    works = encoders(texts, tokenizer)
    table("encoding to a file", rounds(works, options.rounds, same_ids), size)


def training(texts: list[str], vocab_size: int, count: int, size: float) -> Tokenizer:
    """Train ours and a plain one in turns; the merges must be the same. Gives ours."""
    made: dict[str, Any] = {}

    def ours(folder: Path) -> Path:
        made["bajka"] = train_tokenizer(TokenizerSettings(), texts, vocab_size=vocab_size)
        return save(made["bajka"].backend, folder)

    found = rounds(
        {"tokenizers": lambda folder: save(plain(texts, vocab_size), folder), "bajka": ours}, count, same_merges
    )
    table("training", found, size)
    return Tokenizer(made["bajka"].backend)


def plain(texts: list[str], vocab_size: int) -> tokenizers.Tokenizer:
    """Byte-level BPE as the documentation of `tokenizers` trains it."""
    backend = tokenizers.Tokenizer(models.BPE())
    split = pre_tokenizers.Split(tokenizers.Regex(QWEN2), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return backend


def save(backend: tokenizers.Tokenizer, folder: Path) -> Path:
    """The tokenizer.json of a trained tokenizer."""
    backend.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def encoders(texts: list[str], tokenizer: Tokenizer) -> dict[str, Work]:
    """Each peer as a function from a folder to the file of ids it wrote there."""
    backend, end = tokenizer.backend, tokenizer.end_of_text
    size = sum(len(text.encode()) for text in texts)
    works: dict[str, Work] = {
        "tokenizers encode_batch": lambda folder: write(
            (one.ids for one in backend.encode_batch(texts, add_special_tokens=False)), end, folder
        ),
        "tokenizers encode_batch_fast": lambda folder: write(
            (one.ids for one in backend.encode_batch_fast(texts, add_special_tokens=False)), end, folder
        ),
    }
    try:
        tiktoken = tiktoken_of(tokenizer)
        works["tiktoken encode_ordinary_batch"] = lambda folder: write(
            tiktoken.encode_ordinary_batch(texts, num_threads=os.cpu_count() or 1), end, folder
        )
    except ImportError:
        print("tiktoken is not installed: left out")
    works["bajka without gigatoken"] = lambda folder: prepared(texts, tokenizer, folder, size, words=True)
    works[f"bajka ({tokenizer.way})"] = lambda folder: prepared(texts, tokenizer, folder, size, words=False)
    return works


def tiktoken_of(tokenizer: Tokenizer) -> Any:
    """tiktoken with the ranks of our vocabulary: a merge's rank is its id."""
    import tiktoken

    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in visible)
    byte_of = {chr(byte): byte for byte in visible} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
    vocabulary = json.loads(tokenizer.backend.to_str())["model"]["vocab"]
    ranks = {bytes(map(byte_of.__getitem__, name)): rank for name, rank in vocabulary.items() if name != END_OF_TEXT}
    specials = {END_OF_TEXT: tokenizer.end_of_text}
    return tiktoken.Encoding("bajka", pat_str=QWEN2, mergeable_ranks=ranks, special_tokens=specials)


def write(encoded: Iterable[list[int]], end_of_text: int, folder: Path) -> Path:
    """One file of uint16 ids, as nanoGPT's prepare.py makes it."""
    path = folder / "train.bin"
    with path.open("wb") as file:
        for ids in encoded:
            file.write(np.array([end_of_text, *ids], dtype=np.uint16).tobytes())
    return path


def prepared(texts: list[str], tokenizer: Tokenizer, folder: Path, size: int, *, words: bool) -> Path:
    """What `bajka prepare` does after cleaning, from a tokenizer that has encoded nothing yet."""
    fresh = Tokenizer(tokenizers.Tokenizer.from_str(tokenizer.backend.to_str()))
    if words:
        fresh.__dict__["_fast"] = ("words", WordTable(fresh._plain))
    documents = [Document(text, "") for text in texts]
    split = Split(documents, [], how="all", same_book=False, share=0.0, sizes=(size, 0, 0))
    return prepare(split, fresh, parent=folder, name="all").folder / "train.bin"


def rounds(works: dict[str, Work], count: int, same: Callable[[Path, Path], bool]) -> dict[str, list[float]]:
    """Seconds of every work in each of alternating rounds; all results must be the `same` as the first one's."""
    found: dict[str, list[float]] = {name: [] for name in works}
    with tempfile.TemporaryDirectory() as place:
        for number in range(count):
            first = None
            for name, work in works.items():
                folder = Path(place) / f"{number}-{len(found[name])}-{name.replace(' ', '-')}"
                folder.mkdir()
                began = time.perf_counter()
                path = work(folder)
                found[name].append(time.perf_counter() - began)
                print(f"round {number + 1}  {name:32}  {found[name][-1]:7.2f} s", flush=True)
                first = first or path
                if not same(first, path):
                    raise SystemExit(f"{name} gives another result than {next(iter(works))}")
    return found


def same_ids(one: Path, other: Path) -> bool:
    """Whether two files of ids are equal."""
    return one.read_bytes() == other.read_bytes()


def same_merges(one: Path, other: Path) -> bool:
    """Whether two tokenizers have the same merges in the same order."""
    first, second = (json.loads(path.read_text(encoding="utf-8"))["model"]["merges"] for path in (one, other))
    return bool(first == second)


def table(title: str, found: dict[str, list[float]], size: float) -> None:
    """Medians: seconds, megabytes a second, and how many times as long every other one takes as the last line."""
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    last = list(middle)[-1]
    print(f"\n{title:34}   seconds     MB/s   {last} is so many times as fast")
    for name, seconds in middle.items():
        print(f"{name:34}  {seconds:8.2f} {size / seconds:8.1f} {seconds / middle[last]:8.1f}")
    print()


if __name__ == "__main__":
    main()
