"""Checkpointed blocks and a chunked loss against the plain model: the same numbers from less memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bajka.hardware import can_compile
from bajka.model.loss import Taught, head_loss, slopes_of
from bajka.model.transformer import Transformer
from bajka.tokens import IGNORED
from tiny import FAMILIES, VARIANTS, some_ids, tiny_model

DROPS = {"dropout": 0.3, "attention_dropout": 0.2}


def loss_and_gradients(model: Transformer, *, dtype: torch.dtype | None = None) -> list[Tensor]:
    """The loss of one batch with ignored targets, and every weight's gradient; dropout keyed."""
    ids, targets = some_ids(3, 32), some_ids(3, 32, seed=2)
    targets[0, 9:], targets[2] = IGNORED, IGNORED
    model.zero_grad()
    torch.manual_seed(5)
    loss = model.loss(ids, targets, dtype=dtype)
    (loss / 41).backward()
    return [loss.detach(), *(p.grad for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("drops", [{}, DROPS], ids=["plain", "dropout"])
def test_checkpointed_blocks_give_the_same_bits(variant: str, drops: dict[str, float]) -> None:
    model = tiny_model(variant, **drops).train()
    plain = loss_and_gradients(model)
    model.gradient_checkpointing = True
    assert all(torch.equal(a, b) for a, b in zip(plain, loss_and_gradients(model), strict=True))


def test_dropout_is_drawn_once_and_the_next_draw_is_the_same() -> None:
    """What is computed again must not move the generator: later micro-batches would differ."""
    model, after = tiny_model("modern", **DROPS).train(), []
    for model.gradient_checkpointing in (False, True):
        loss_and_gradients(model)
        after.append(torch.rand(()))
    assert torch.equal(*after)


def test_checkpointed_blocks_give_the_same_bits_in_bf16() -> None:
    model = tiny_model("modern", **DROPS).train()
    plain = loss_and_gradients(model, dtype=torch.bfloat16)
    model.gradient_checkpointing = True
    again = loss_and_gradients(model, dtype=torch.bfloat16)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpointed_model_keeps_one_tensor_a_block(family: str) -> None:
    model, kept = tiny_model(family, n_layer=5).train(), {}
    parameters = {p.data_ptr() for p in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in parameters:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    model.gradient_checkpointing = True
    x, rotation = model.embed(some_ids(2, 32))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.hidden(x, rotation)
    assert sum(t.numel() for t in kept.values()) <= (5 + 3) * x.numel() + 8 * x.shape[1] * 2 * 2 + 64 * 2


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("chunk", [1, 7, 32, 96, 1000])
def test_the_chunked_loss_in_float64_is_the_plain_one(variant: str, chunk: int) -> None:
    model = tiny_model(variant, **DROPS).double().train()
    plain = loss_and_gradients(model)
    model.loss_chunk = chunk
    assert plain[0].dtype == torch.float64
    for a, b in zip(plain, loss_and_gradients(model), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_chunked_loss_is_within_rounding(dtype: torch.dtype) -> None:
    model = tiny_model("modern").train()
    exact = loss_and_gradients(tiny_model("modern").double())
    plain = loss_and_gradients(model, dtype=dtype)
    model.loss_chunk = 20
    for a, b, c in zip(exact, plain, loss_and_gradients(model, dtype=dtype), strict=True):
        assert (c.double() - a).norm() <= 1.3 * (b.double() - a).norm() + 1e-6 * a.norm()


def test_rows_of_zeros_below_the_head_change_neither_loss_nor_gradients() -> None:
    """What a GPU computes for a vocabulary that is no multiple of 8."""
    x, weight = torch.randn(12, 16, dtype=torch.float64), torch.randn(13, 16, dtype=torch.float64)
    targets, padded = torch.randint(0, 13, (12,)), torch.cat([weight, torch.zeros(3, 16, dtype=torch.float64)])
    plain, slopes = slopes_of(x, weight, targets, entries=13)
    loss, more = slopes_of(x, padded, targets, entries=13)
    assert torch.allclose(loss, plain, rtol=1e-12)
    assert torch.allclose(more[:, :13], slopes, rtol=0, atol=1e-12)
    assert not more[:, 13:].any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("chunk", [None, 5])
def test_a_gpu_with_an_odd_vocabulary_gives_the_loss_and_gradients_of_the_cpu(chunk: int | None) -> None:
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        x, weight = (torch.randn(n, 16).bfloat16().float().to(device).requires_grad_() for n in (12, 13))
        targets = torch.randint(0, 13, (12,)).to(device)
        head_loss(x.bfloat16(), weight, targets, chunk=chunk).backward()
        found.append([one.grad.cpu() for one in (x, weight) if one.grad is not None])
    assert all(torch.allclose(a, b, atol=0.02) for a, b in zip(*found, strict=True))


def test_the_chunked_loss_without_gradients_is_the_plain_one() -> None:
    model = tiny_model("gpt2")
    with torch.no_grad():
        plain = model.loss(some_ids(2, 32), some_ids(2, 32, seed=2))
        model.loss_chunk = 10
        torch.testing.assert_close(model.loss(some_ids(2, 32), some_ids(2, 32, seed=2)), plain)


def test_micro_batches_add_up_with_a_chunked_loss() -> None:
    model = tiny_model("gpt2").double().train()
    whole = loss_and_gradients(model)
    model.loss_chunk = 10
    once = loss_and_gradients(model)
    model.loss(some_ids(3, 32), torch.full((3, 32), IGNORED)).backward()  # adds zeros
    parts = [p.grad for p in model.parameters()]
    for a, b, c in zip(whole[1:], once[1:], parts, strict=True):
        torch.testing.assert_close(b, a)
        torch.testing.assert_close(c, a)


@pytest.mark.parametrize("chunk", [None, 5, 12])
def test_the_loss_beside_a_teacher_is_a_mean_of_two_cross_entropies(chunk: int | None) -> None:
    """Against torch's own: to the next tokens, and to the teacher's probabilities; ignored targets count in neither."""
    torch.manual_seed(0)
    x, weight = (torch.randn(n, 8, dtype=torch.float64).requires_grad_() for n in (12, 13))
    hidden, head = torch.randn(12, 6, dtype=torch.float64), torch.randn(13, 6, dtype=torch.float64)
    targets = torch.randint(0, 13, (12,))
    targets[3] = targets[9] = IGNORED
    loss = head_loss(x, weight, targets, chunk=chunk, taught=Taught(hidden, head, 0.7))
    loss.backward()
    found = [loss.detach(), x.grad, weight.grad]
    x.grad = weight.grad = None
    logits, counted = x @ weight.mT, targets != IGNORED
    hard = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
    expected = (hidden @ head.mT).softmax(-1)
    soft = torch.nn.functional.cross_entropy(logits[counted], expected[counted], reduction="sum")
    (reference := 0.3 * hard + 0.7 * soft).backward()
    for one, other in zip(found, [reference.detach(), x.grad, weight.grad], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_teacher_without_a_share_changes_no_loss() -> None:
    x, weight, targets = torch.randn(6, 4), torch.randn(9, 4), torch.arange(6)
    taught = Taught(torch.randn(6, 3), torch.randn(9, 3), 0.0)
    torch.testing.assert_close(
        head_loss(x, weight, targets, chunk=None, taught=taught), head_loss(x, weight, targets, chunk=None)
    )


def test_a_frozen_head_or_input_is_no_obstacle() -> None:
    x, weight, targets = torch.randn(6, 4), torch.randn(9, 4, requires_grad=True), torch.arange(6)
    head_loss(x, weight, targets, chunk=4).backward()
    found, weight.grad = weight.grad, None
    head_loss(x, weight, targets, chunk=None).backward()
    torch.testing.assert_close(found, weight.grad)


@pytest.mark.torture
@pytest.mark.skipif(not can_compile("cpu"), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_compiled_it_is_the_same_within_rounding(dtype: torch.dtype, *, checkpointing: bool) -> None:
    model = tiny_model("modern").train()
    exact = loss_and_gradients(tiny_model("modern").double())
    plain = loss_and_gradients(model, dtype=dtype)
    model.gradient_checkpointing, model.loss_chunk = checkpointing, 40
    model.loss_of = torch.compile(model.loss_of, dynamic=False)  # type: ignore[method-assign]
    for a, b, c in zip(exact, plain, loss_and_gradients(model, dtype=dtype), strict=True):
        assert (c.double() - a).norm() <= 1.5 * (b.double() - a).norm() + 1e-6 * a.norm()


@pytest.mark.torture
@pytest.mark.skipif(not can_compile("cpu"), reason="torch.compile needs a C++ compiler")
def test_compiled_dropout_is_the_same_when_computed_again() -> None:
    """The loss along a direction falls as its gradient says: a second mask in the backward would not agree."""
    model = tiny_model("gpt2", **DROPS).train()
    model.gradient_checkpointing, model.loss_chunk = True, 40
    model.loss_of = torch.compile(model.loss_of, dynamic=False)  # type: ignore[method-assign]
    gradients = loss_and_gradients(model)[1:]
    slope = sum(float(g.double().square().sum()) for g in gradients)
    losses = []
    for step in (1e-3, -2e-3):
        for parameter, gradient in zip(model.parameters(), [g.clone() for g in gradients], strict=True):
            parameter.data.add_(gradient, alpha=step)
        losses.append(float(loss_and_gradients(model)[0]) / 41)
    assert (losses[0] - losses[1]) / 2e-3 == pytest.approx(slope, rel=0.02)
