"""The engine: transformers' greedy tokens, rows that do not know their neighbours, texts beyond the context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import transformers

from bajka.checkpoint.model_folder import write_model_folder
from bajka.generation.decode import decode, new_row
from bajka.generation.sampling import Sampling
from bajka.model.transformer import Transformer
from tiny import FAMILIES, VARIANTS, byte_tokenizer, some_ids, tiny_model

T = 32
LENGTHS = (5, 1, 9, 3, 14, 2, 7)


def prompts(lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    return [[0, *some_ids(1, length - 1, seed=length)[0].tolist()] for length in lengths]


def written(
    model: Transformer,
    texts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    numbers: Sequence[int] | None = None,
    rows_at_once: int = 32,
    end_of_text: int = 0,
) -> list[list[int]]:
    """The new ids of each text."""
    rows = [new_row(n, text, seed=sampling.seed) for n, text in zip(numbers or range(len(texts)), texts, strict=False)]
    for _ in decode(model, rows, sampling, end_of_text=end_of_text, rows_at_once=rows_at_once):
        pass
    return [row.new_ids for row in rows]


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_are_transformers(variant: str, tmp_path: Path) -> None:
    model = tiny_model(variant)
    write_model_folder(tmp_path, model, byte_tokenizer())
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    for prompt, ours in zip(
        prompts(), written(model, prompts(), Sampling(max_new_tokens=18, temperature=0)), strict=True
    ):
        ids = torch.tensor([prompt])
        found = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=18, do_sample=False)
        assert [i for i in found[0, len(prompt) :].tolist() if i != 0] == ours


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_tokens_with_a_repetition_penalty_are_transformers(family: str, tmp_path: Path) -> None:
    model, prompt = tiny_model(family, seed=3), prompts()[0]
    write_model_folder(tmp_path, model, byte_tokenizer())
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([prompt])
    options = {"max_new_tokens": 25, "do_sample": False, "repetition_penalty": 1.5}
    found = theirs.generate(ids, attention_mask=torch.ones_like(ids), **options)[0, len(prompt) :].tolist()
    ours = written(model, [prompt], Sampling(max_new_tokens=25, temperature=0, repetition_penalty=1.5))[0]
    assert [i for i in found if i != 0] == ours
    assert ours != written(model, [prompt], Sampling(max_new_tokens=25, temperature=0))[0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_text_does_not_depend_on_its_neighbours(family: str, temperature: float) -> None:
    model, sampling = tiny_model(family), Sampling(max_new_tokens=40, temperature=temperature, seed=5)
    together = written(model, prompts(), sampling)
    alone = [written(model, [prompt], sampling, numbers=[n])[0] for n, prompt in enumerate(prompts())]
    assert together == alone


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows_at_once", [1, 2, 3])
def test_refilled_rows_write_what_they_write_in_one_batch(family: str, rows_at_once: int) -> None:
    model, sampling = tiny_model(family), Sampling(max_new_tokens=40, temperature=1.0, seed=5)
    ends = (9, 2, 17, 1, 30, 5, 12)
    rows = [new_row(n, prompt, seed=5) for n, prompt in enumerate(prompts())]
    for event in decode(model, rows, sampling, end_of_text=-1, rows_at_once=rows_at_once):
        event.row.cancelled = len(event.row.new_ids) == ends[event.row.number]
    together = written(model, prompts(), sampling, end_of_text=-1)
    assert [row.new_ids for row in rows] == [ids[:end] for ids, end in zip(together, ends, strict=True)]


def naive(model: Transformer, prompt: list[int], count: int) -> list[int]:
    """Greedy, without a cache: when a text does not fit the context any more, its last half is encoded again."""
    ids, begin = list(prompt), 0
    for _ in range(count):
        if len(ids) - begin > T:
            begin = len(ids) - T // 2
        ids.append(int(model(torch.tensor([ids[begin:]]))[0, -1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [1, T - 1, T, T + 1, 3 * T])
def test_texts_go_on_past_the_context(family: str, length: int) -> None:
    model, prompt = tiny_model(family), prompts([length])[0]
    count = 2 * T + 3
    found = written(model, [prompt], Sampling(max_new_tokens=count, temperature=0), end_of_text=-1)[0]
    assert found == naive(model, prompt, count)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_pass_the_context_each_at_its_own_time(family: str) -> None:
    model, texts = tiny_model(family), prompts([T - 1, 3, T, 3 * T, 20, T + 1])
    sampling = Sampling(max_new_tokens=T + 5, temperature=0)
    found = written(model, texts, sampling, end_of_text=-1, rows_at_once=4)
    assert found == [naive(model, text, T + 5) for text in texts]


def test_the_same_seed_is_the_same_text_and_another_is_not() -> None:
    model = tiny_model("modern")
    one, same, other = (written(model, prompts(), Sampling(temperature=1.5, seed=seed)) for seed in (1, 1, 2))
    assert one == same
    assert all(a != b for a, b in zip(one, other, strict=True))


def test_equal_prompts_with_different_numbers_give_different_texts() -> None:
    found = written(tiny_model("modern"), [[0, 5]] * 8, Sampling(max_new_tokens=20, temperature=1.5))
    assert len({tuple(ids) for ids in found}) == 8


def test_ids_beyond_the_tokenizer_are_never_chosen() -> None:
    model = tiny_model("modern")
    for sampling in (Sampling(temperature=0), Sampling(temperature=50.0), Sampling(temperature=2.0, top_k=10)):
        rows = [new_row(n, [0], seed=0) for n in range(4)]
        for _ in decode(model, rows, sampling, end_of_text=0, vocab_size=40):
            pass
        assert {i for row in rows for i in row.ids} <= set(range(40))


def test_every_token_is_an_event_and_the_last_one_says_why() -> None:
    rows = [new_row(n, [0], seed=0) for n in range(3)]
    events = list(decode(tiny_model("gpt2"), rows, Sampling(max_new_tokens=5, temperature=1.0), end_of_text=-1))
    assert [[e.token for e in events if e.row is row] for row in rows] == [row.new_ids for row in rows]
    assert [[e.reason for e in events if e.row is row] for row in rows] == [[None] * 4 + ["length"]] * 3


def test_a_cancelled_row_ends_and_the_others_go_on() -> None:
    rows = [new_row(n, [0], seed=0) for n in range(3)]
    for event in decode(tiny_model("gpt2"), rows, Sampling(max_new_tokens=9), end_of_text=-1, rows_at_once=2):
        if event.row.number == 0 and len(event.row.new_ids) == 2:
            event.row.cancelled = True
    assert [len(row.new_ids) for row in rows] == [2, 9, 9]


def test_no_rows_are_no_events() -> None:
    assert list(decode(tiny_model("gpt2"), [], Sampling(), end_of_text=0)) == []
