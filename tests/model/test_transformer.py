"""The network against itself: cached and uncached, alone and in company, fast and plain, trained and frozen."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from bajka.model.cache import Cache
from bajka.model.transformer import Linear, Transformer, attend
from bajka.tokens import IGNORED
from tiny import FAMILIES, VARIANTS, some_ids, tiny_config, tiny_model

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_a_token_sees_nothing_behind_it(variant: str) -> None:
    model, ids = tiny_model(variant), some_ids(2, 20)
    changed = ids.clone()
    changed[:, 12:] = 5
    torch.testing.assert_close(model(changed)[:, :12], model(ids)[:, :12], **CLOSE)
    assert not torch.allclose(model(changed)[:, 12:], model(ids)[:, 12:])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("steps", [[1] * 32, [20] + [1] * 12, [5, 11, 1, 15]], ids=["ones", "prefill", "pieces"])
@torch.no_grad()
def test_cached_decoding_equals_uncached(variant: str, steps: list[int]) -> None:
    model, ids = tiny_model(variant), some_ids(3, 32)
    cache = Cache(model.config, 3, dtype=torch.float32)
    cached = torch.cat([model(part, cache=cache) for part in ids.split(steps, dim=1)], dim=1)
    torch.testing.assert_close(cached, model(ids), **CLOSE)
    assert cache.filled == [32, 32, 32]


@pytest.mark.parametrize("variant", VARIANTS)
@torch.no_grad()
def test_ragged_rows_in_one_batch_equal_each_alone(variant: str) -> None:
    model, ids, lengths = tiny_model(variant), some_ids(4, 12), [12, 3, 7, 1]
    cache = Cache(model.config, 4, dtype=torch.float32)
    first = model(ids, cache=cache)  # right padding: what stands beyond a row's length is another row's business
    cache.set_lengths(lengths)
    tail = some_ids(4, 5, seed=2)
    later = torch.cat([model(tail[:, i : i + 1], cache=cache) for i in range(5)], dim=1)
    for row, length in enumerate(lengths):
        alone = model(torch.cat((ids[row, :length], tail[row]))[None])[0]
        torch.testing.assert_close(first[row, :length], alone[:length], **CLOSE)
        torch.testing.assert_close(later[row], alone[length:], **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_rows_are_adopted_and_kept_with_their_texts(family: str) -> None:
    model, ids = tiny_model(family), some_ids(3, 9)
    cache, part = Cache(model.config, 3, dtype=torch.float32), Cache(model.config, 2, dtype=torch.float32, slots=8)
    model(ids[:, :8], cache=cache)
    other = some_ids(2, 8, seed=3)
    model(other, cache=part)
    cache.adopt([2, 0], part, [8, 4])
    cache.keep([0, 2])
    assert cache.filled == [4, 8]
    later = model(ids[:2, 8:], cache=cache)
    shorter = model(torch.cat((other[1, :4], ids[0, 8:]))[None])
    longer = model(torch.cat((other[0], ids[1, 8:]))[None])
    torch.testing.assert_close(later[:, 0], torch.stack((shorter[0, -1], longer[0, -1])), **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_the_summed_cross_entropy_of_the_targets_that_count(family: str) -> None:
    model, ids, targets = tiny_model(family), some_ids(2, 16), some_ids(2, 16, seed=2)
    targets[0, 5:] = IGNORED
    found = -model(ids).log_softmax(-1).gather(-1, targets.clamp_min(0)[..., None])[..., 0]
    torch.testing.assert_close(model.loss(ids, targets), found[targets != IGNORED].sum())


@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_activations_stay_near_fp32_and_the_loss_is_fp32(family: str) -> None:
    model, ids = tiny_model(family), some_ids(2, 16)
    assert model(ids, dtype=torch.bfloat16).dtype == torch.bfloat16
    rough, exact = model.loss(ids, ids, dtype=torch.bfloat16), model.loss(ids, ids)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.0)


@pytest.mark.parametrize("T", [1, 7, 64])
def test_plain_attention_in_bf16_is_torch_s(T: int) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, 2, T, 16, generator=generator).bfloat16() for _ in range(3))
    plain = attend(q, k, v, mask=None, causal=T > 1, dropout=0.0)
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=T > 1)
    torch.testing.assert_close(plain.double(), exact, atol=0.03, rtol=0.03)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_seed_draws_the_same_weights(variant: str) -> None:
    one, same, other = (Transformer(tiny_config(variant)) for _ in range(3))
    one.reset(7), same.reset(7), other.reset(8)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_new_model_knows_nothing(variant: str) -> None:
    model, ids = Transformer(tiny_config(variant)), some_ids(8, 32)
    model.reset(0)
    assert model.loss(ids, some_ids(8, 32, seed=9)).item() / ids.numel() == pytest.approx(math.log(257), abs=0.1)


@pytest.mark.parametrize(
    ("family", "name", "deviation"),
    [
        ("gpt2", "embedding.weight", 0.02),
        ("gpt2", "blocks.0.attention.qkv.weight", 0.02),
        ("gpt2", "blocks.0.attention.out.weight", 0.02 / math.sqrt(2 * 2)),
        ("gpt1", "blocks.1.feed_forward.down.weight", 0.02 / math.sqrt(2 * 2)),
        ("modern", "head.weight", 0.02),
        ("modern", "blocks.0.attention.qkv.weight", 0.5 / math.sqrt(32)),
        ("llama", "blocks.1.feed_forward.down.weight", 0.5 / math.sqrt(64) / math.sqrt(2 * 2)),
    ],
)
def test_new_weights_have_the_deviation_of_their_place(family: str, name: str, deviation: float) -> None:
    model = Transformer(tiny_config(family))
    model.reset(0)
    assert model.state_dict()[name].std().item() == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_trained_weight_gets_a_gradient(variant: str) -> None:
    model, ids = tiny_model(variant), some_ids(2, 32)
    model.loss(ids, ids.roll(-1, dims=1)).backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trained.items() if p.grad is None or not p.grad.any()] == []


def test_sinusoidal_positions_are_the_paper_s_and_never_trained() -> None:
    model = tiny_model("gpt2-sinusoidal")
    table = model.positions.weight
    assert not table.requires_grad
    scale = 0.02 * math.sqrt(2)
    assert table[5, 6].item() == pytest.approx(scale * math.sin(5 / 10_000 ** (6 / 32)), abs=1e-7)
    assert table[5, 7].item() == pytest.approx(scale * math.cos(5 / 10_000 ** (6 / 32)), abs=1e-7)


def test_a_gpt_without_biases_has_them_frozen_at_zero() -> None:
    biases = {n: p for n, p in tiny_model("gpt2-without-bias").named_parameters() if n.endswith("bias")}
    assert biases
    assert all(not p.requires_grad and not p.any() for p in biases.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_for_training_only(family: str) -> None:
    model, ids = tiny_model(family, dropout=0.5, attention_dropout=0.5), some_ids(2, 16)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))


def test_a_fused_weight_says_where_its_matrices_end() -> None:
    model = tiny_model("modern")
    sections = {name: module.sections for name, module in model.blocks[0].named_modules() if isinstance(module, Linear)}
    assert sections == {
        "attention.qkv": (16,) * 8,  # 4 heads of queries, 2 of keys, 2 of values
        "attention.out": (32,),
        "feed_forward.up": (64, 64),
        "feed_forward.down": (32,),
    }


def test_the_table_of_rotations_is_fp32_like_the_weights() -> None:
    """Some devices have no float64 at all."""
    assert {b.dtype for b in tiny_model("modern").buffers()} == {torch.float32}
