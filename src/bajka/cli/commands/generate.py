"""`bajka generate`: texts from a run, a folder or a hub name, to the terminal or a file."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from bajka.cli.common import console
from bajka.errors import DiskError, InputError

if TYPE_CHECKING:
    from bajka.generation.sampling import Sampling


def generate(
    model: Annotated[str, tyro.conf.Positional],
    prompts: Annotated[tuple[str, ...], tyro.conf.Positional] = (),
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1,
    field: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUE"), tyro.conf.UseAppendAction] = (),
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float | None = None,
    stop: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TEXT"), tyro.conf.UseAppendAction] = (),
    seed: int | None = None,
    prompts_file: Path | None = None,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    device: str = "auto",
) -> None:
    """Write texts with MODEL: a run, a checkpoint, a Hugging Face folder or a hub name.

    Args:
        model: runs/NAME, a folder, or a name on the hub.
        prompts: Beginnings of texts; none begins a new text.
        n: Texts for each prompt.
        field: What the text is to be like, for a model trained with a template: --field title="The Iron Fox".
        max_new_tokens: Longest text, in tokens (default: the run's, else 120).
        temperature: Randomness; 0 always takes the likeliest token (default: the run's, else 0.8).
        top_k: Choose among this many likeliest tokens.
        top_p: Choose among the likeliest tokens with this total share.
        min_p: Drop tokens below this share of the likeliest one.
        repetition_penalty: Above 1, tokens already used become less likely.
        stop: A string that ends a text; for several, the flag several times.
        seed: The same seed gives the same texts (default: drawn, and shown).
        prompts_file: A file with one prompt a line.
        output: Write to a .txt, .jsonl or .csv with seed and settings.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    wanted = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
    }
    beginnings = [*prompts, *_lines(prompts_file)] or [""]
    _write(model, beginnings, n, field, {k: v for k, v in wanted.items() if v is not None}, stop, seed, output, device)


def _write(
    name: str,
    prompts: list[str],
    n: int,
    field: tuple[str, ...],
    wanted: dict[str, Any],
    stop: tuple[str, ...],
    seed: int | None,
    output: Path | None,
    device: str,
) -> None:
    """Check what can be checked, load the model, write, show or save."""
    from bajka.generation.output import check_output, save_texts
    from bajka.generation.prompt import parse_fields, prompt_ids
    from bajka.generation.write import clamp, generate

    if output is not None:
        check_output(output)
    fields = parse_fields(field)
    sampling = _sampling(name, wanted, stop, seed)
    if n < 1:
        raise InputError(f"-n {n}: ask for at least 1 text per prompt.")
    from bajka.checkpoint.model_folder import open_model

    loaded = open_model(name, device=device)
    sampling, said = clamp(sampling, vocab_size=loaded.tokenizer.vocab_size)
    notes = console(stderr=True)
    if said:
        notes.print(said, markup=False)
    one = len(prompts) * n == 1
    if one:
        prompt_ids(loaded.tokenizer, prompts[0], fields)  # refuses fields before anything is shown
        sys.stdout.write(prompts[0])
        sys.stdout.flush()
    texts = generate(
        loaded.model,
        loaded.tokenizer,
        prompts,
        n=n,
        fields=fields,
        sampling=sampling,
        on_piece=(lambda _, piece: _show(piece)) if one else None,
        on_done=None
        if one or output is None
        else lambda text: notes.print(f"text {text.number + 1} done", markup=False),
    )
    if one:
        print()
    elif output is None:
        print("\n\n---\n\n".join(text.whole.strip("\n") for text in texts))
    if output is not None:
        try:
            save_texts(output, texts, sampling, model=name, fields=fields)
        except DiskError:
            if not one:  # nobody has seen them yet
                print("\n\n---\n\n".join(text.whole.strip("\n") for text in texts))
            raise
        notes.print(f"Wrote {len(texts)} texts to {output}.", markup=False)
    notes.print(f"(seed {sampling.seed}, temperature {sampling.temperature:g})", markup=False, style="dim")


def _show(piece: str) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()


def _sampling(name: str, wanted: dict[str, Any], stop: tuple[str, ...], seed: int | None) -> Sampling:
    """The run's own sampling settings where it is a run, ours otherwise, with what was typed on top."""
    from bajka.checkpoint.run_folder import RunFolder
    from bajka.generation.sampling import Sampling
    from bajka.paths import holds, typed

    base: dict[str, Any] = {}
    if holds(typed(name), "config.toml"):
        base = RunFolder.open(name).settings.sample.sampling
    drawn = random.SystemRandom().randrange(2**31) if seed is None else seed
    return Sampling(**(base | wanted), stop=stop, seed=drawn)


def _lines(path: Path | None) -> list[str]:
    """The prompts of a file, one a line."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--prompts-file {path} cannot be read as UTF-8 text: {error}.") from error
    found = [line for line in lines if line.strip()]
    if not found:
        raise InputError(f"--prompts-file {path} has no prompt: write one a line.")
    return found
