"""Loss against a reference in float64 that looks at one token after the other."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bajka.config import TokenizerSettings
from bajka.errors import CorpusError
from bajka.evaluation.loss import make_loss, strided_loss, windows_loss
from bajka.model.positions import rotary_table
from bajka.model.transformer import Transformer
from bajka.tokenizer import train_tokenizer
from bajka.tokens import TokenSet
from bajka.tokens.store import token_set
from tiny import FAMILIES, byte_tokenizer, tiny_model

END = 0
T = 32
TEXTS = ("Once upon a time there was a fox who could not reach the grapes, and left.", "Лиса.", "", "The end. " * 9)
LN2 = math.log(2)


def exact(model: Transformer) -> Transformer:
    """The same model in float64."""
    found = copy.deepcopy(model).double()
    if found.rotations is not None:
        found.rotations = rotary_table(model.config)
    return found


@torch.no_grad()
def nats(model: Transformer, before: Sequence[int], target: int) -> float:
    """Minus the log of the probability of `target` after the tokens `before`."""
    return -float(model(torch.tensor([list(before)]))[0, -1].log_softmax(-1)[target])


def naive_windows(model: Transformer, tokens: TokenSet, begins: Sequence[int]) -> list[float]:
    ids = tokens.ids.tolist()
    places = [(b, p) for b in begins for p in range(b + 1, min(b + T, len(ids) - 1) + 1) if ids[p] != END]
    return [nats(model, ids[begin:place], ids[place]) for begin, place in places]


def naive_strided(model: Transformer, tokens: TokenSet) -> list[float]:
    """The first window of a document is whole, each later one adds half a context of targets."""
    found, ends = [], [*tokens.starts[1:].tolist(), len(tokens)]
    for start, end in zip(tokens.starts.tolist(), ends, strict=True):
        document = tokens.ids[start:end].tolist()
        for place in range(1, len(document)):
            begin = 0 if place <= T else -(-(place - T) // (T // 2)) * (T // 2)
            found.append(nats(model, document[begin:place], document[place]))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_windows_equal_a_plain_loop(family: str) -> None:
    model, tokens = tiny_model(family), token_set(TEXTS, byte_tokenizer())
    expected = naive_windows(exact(model), tokens, range(0, len(tokens) - 1, T))
    found = windows_loss(model, tokens, end_of_text=END, rows=2)
    assert found.tokens == len(expected) == tokens.content
    assert found.loss == pytest.approx(np.mean(expected), rel=1e-5)


def test_some_windows_are_spread_over_the_text() -> None:
    model, tokens = tiny_model("modern"), token_set(TEXTS, byte_tokenizer())
    assert len(tokens) // T == 5
    expected = naive_windows(exact(model), tokens, [0, 2 * T, 5 * T])
    found = windows_loss(model, tokens, end_of_text=END, most_windows=3)
    assert (found.tokens, found.loss) == (len(expected), pytest.approx(np.mean(expected), rel=1e-5))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", [1, 3, 16])
def test_strides_equal_a_plain_loop(family: str, rows: int) -> None:
    model, tokens = tiny_model(family), token_set(TEXTS, byte_tokenizer())
    expected = naive_strided(exact(model), tokens)
    found = strided_loss(model, tokens, rows=rows)
    assert found.tokens == len(expected) == tokens.content
    assert found.loss == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 49, 100])
def test_documents_of_every_length_count_each_token_once(length: int) -> None:
    tokens = token_set(["x" * length], byte_tokenizer())
    assert strided_loss(tiny_model("gpt2"), tokens).tokens == length


def test_a_document_that_fits_one_window_has_the_same_loss_both_ways() -> None:
    model, tokens = tiny_model("llama"), token_set(["Once upon a time."], byte_tokenizer())
    assert strided_loss(model, tokens).loss == pytest.approx(windows_loss(model, tokens, end_of_text=END).loss)


def test_documents_are_read_from_their_beginning_whatever_stands_before() -> None:
    model, tokenizer = tiny_model("modern"), byte_tokenizer()
    one, other = (strided_loss(model, token_set([text], tokenizer)) for text in TEXTS[:2])
    both = strided_loss(model, token_set(TEXTS[:2], tokenizer))
    together = (one.loss * one.tokens + other.loss * other.tokens) / (one.tokens + other.tokens)
    assert both.loss == pytest.approx(together, rel=1e-6)


def test_bits_come_from_nats_by_hand() -> None:
    found = make_loss(500.0, 100, bytes_per_token=2.5, letters_per_token=2.0)
    assert found.loss == 5.0
    assert found.perplexity == pytest.approx(math.e**5)
    assert found.bits_per_byte == pytest.approx(500 / LN2 / 250)
    assert found.bits_per_letter == pytest.approx(500 / LN2 / 200)


def test_bits_per_byte_are_all_nats_over_all_bytes() -> None:
    text = "Лиса и 12."
    tokenizer = train_tokenizer(TokenizerSettings(tokenizer="characters"), [text], vocab_size=0)
    found = strided_loss(tiny_model("gpt2", vocab_size=tokenizer.vocab_size), token_set([text], tokenizer))
    assert found.tokens == 10
    assert found.bits_per_byte == pytest.approx(found.loss * 10 / LN2 / 15)
    assert found.bits_per_letter == pytest.approx(found.loss * 10 / LN2 / 5)


def test_a_text_without_letters_has_no_bits_per_letter() -> None:
    assert math.isnan(strided_loss(tiny_model("gpt2"), token_set(["12."], byte_tokenizer())).bits_per_letter)


@pytest.mark.parametrize("family", ["modern", "llama", "gpt2"])
def test_a_model_that_knows_nothing_has_the_loss_of_a_dice(family: str) -> None:
    model, tokens = tiny_model(family, tie_embeddings=False), token_set(TEXTS, byte_tokenizer())
    model.head.weight.data.zero_()
    for found in (strided_loss(model, tokens), windows_loss(model, tokens, end_of_text=END)):
        assert found.loss == pytest.approx(math.log(257), rel=1e-6)
        assert found.perplexity == pytest.approx(257, rel=1e-5)
        assert found.bits_per_byte == pytest.approx(math.log2(257), rel=1e-6)


def test_a_hopeless_model_has_a_perplexity_that_is_a_number() -> None:
    assert math.isfinite(make_loss(1e9, 1, bytes_per_token=1.0, letters_per_token=1.0).perplexity)


def test_dropout_is_off() -> None:
    model, tokens = tiny_model("gpt2", dropout=0.5), token_set(TEXTS, byte_tokenizer())
    model.train()
    assert strided_loss(model, tokens) == strided_loss(model, tokens)


def test_progress_rises_to_all() -> None:
    shares: list[float] = []
    strided_loss(tiny_model("gpt2"), token_set(["x" * 500], byte_tokenizer()), rows=2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("texts", [[], [""], ["", ""]], ids=["none", "empty", "two empty"])
def test_nothing_to_evaluate_is_a_sentence(texts: list[str]) -> None:
    tokens = token_set(texts, byte_tokenizer())
    with pytest.raises(CorpusError, match="There is no token to evaluate on"):
        strided_loss(tiny_model("gpt2"), tokens)
    with pytest.raises(CorpusError, match="There is no token to evaluate on"):
        windows_loss(tiny_model("gpt2"), tokens, end_of_text=END)


def test_short_texts_do_not_cost_whole_windows() -> None:
    model = tiny_model("modern", context_length=1024)
    with FlopCounterMode(display=False) as counter:
        strided_loss(model, token_set(["The end."], byte_tokenizer()), rows=16)
    short = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        strided_loss(model, token_set(["The end. " * 200], byte_tokenizer()), rows=16)
    assert short < counter.get_total_flops() / 100
