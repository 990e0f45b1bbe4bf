"""The optimizer of a whole model: which weights go where, what decays, and that its state comes back."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from bajka.errors import DamagedFileError
from bajka.model.transformer import Transformer
from bajka.planning.recipe import Recipe
from bajka.training.optimizer import Optimizer, _block_matrices
from tiny import some_ids, tiny_model

Name = Literal["muon", "adamw", "adam"]


def recipe(optimizer: Name, **changes: Any) -> Recipe:
    numbers = {"learning_rate": 0.01, "adamw_learning_rate": 0.004, "weight_decay": 0.1, "momentum": 0.95}
    numbers |= {"beta1": 0.9, "beta2": 0.95, "gradient_clip": 1.0}
    return Recipe(optimizer=optimizer, **numbers | changes)


def optimizer_of(model: Transformer, name: Name, **changes: Any) -> Optimizer:
    return Optimizer(model, recipe(name, **changes), muon_dtype=torch.float32)


def backward(model: Transformer, seed: int) -> None:
    model.zero_grad()
    ids = some_ids(2, 17, seed=seed)
    model.loss(ids[:, :-1], ids[:, 1:]).backward()


def zero_gradients(model: Transformer) -> None:
    for p in model.parameters():
        p.grad = torch.zeros_like(p) if p.requires_grad else None


def copies(model: Transformer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize(("name", "theirs"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam)])
def test_fused_adam_and_adamw_equal_torchs_plain_form(name: Name, theirs: Any) -> None:
    mine, oracle_model = tiny_model("gpt2"), tiny_model("gpt2")
    optimizer = optimizer_of(mine, name)
    wide = [p for p in oracle_model.parameters() if p.dim() >= 2]
    thin = [p for p in oracle_model.parameters() if p.dim() < 2]
    groups = [{"params": wide, "weight_decay": 0.1}, {"params": thin, "weight_decay": 0.0}]
    oracle = theirs(groups, lr=0.005, betas=(0.9, 0.95), eps=1e-8, fused=False, foreach=False)
    for step in range(3):
        backward(mine, seed=step)
        for p, q in zip(mine.parameters(), oracle_model.parameters(), strict=True):
            q.grad = p.grad
        optimizer.step(0.5)
        oracle.step()
    for (label, p), q in zip(mine.named_parameters(), oracle_model.parameters(), strict=True):
        assert torch.allclose(p, q, rtol=0, atol=1e-6), label


def by_hand(name: Name, w: Tensor, gradients: list[Tensor]) -> Tensor:
    """Adam (arXiv 1412.6980, its decay in the gradient) or AdamW (arXiv 1711.05101, decay apart) as the papers write it."""
    m, v, decay = torch.zeros_like(w), torch.zeros_like(w), 0.1 if w.dim() >= 2 else 0.0
    for t, g in enumerate(gradients, start=1):
        if name == "adam":
            g = g + decay * w
        else:
            w = w - 0.005 * decay * w
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
        w = w - 0.005 * (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
    return w


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_adam_and_adamw_equal_their_papers_in_float64(name: Name) -> None:
    model = tiny_model("gpt2")
    before, optimizer = copies(model), optimizer_of(model, name)
    gradients: dict[str, list[Tensor]] = {label: [] for label in before}
    for step in range(3):
        backward(model, seed=step)
        for label, p in model.named_parameters():
            assert p.grad is not None
            gradients[label].append(p.grad.double())
        optimizer.step(0.5)
    for label, p in model.named_parameters():
        expected = by_hand(name, before[label].double(), gradients[label])
        # Where a gradient is all rounding, its sign is what Adam steps by; 1e-3 of the three steps is allowed.
        assert torch.allclose(p.double(), expected, rtol=0, atol=1.5e-5), label


def test_muon_steps_the_matrices_of_a_model_as_torchs_own_steps_each_alone() -> None:
    model = tiny_model("modern")
    before, optimizer = copies(model), Optimizer(model, recipe("muon"), muon_dtype=torch.bfloat16)
    backward(model, seed=1)
    optimizer.step(0.5)
    for label, sections in _block_matrices(model).items():
        weight, after = model.get_parameter(label), []
        assert weight.grad is not None
        for part, gradient in zip(before[label].split(sections), weight.grad.split(sections), strict=True):
            alone = torch.nn.Parameter(part.clone())
            alone.grad = gradient
            torch.optim.Muon([alone], lr=0.005, weight_decay=0.1, momentum=0.95, adjust_lr_fn="original").step()
            after.append(alone.detach())
        moved = torch.cat(after) - before[label]
        assert (weight - before[label] - moved).norm() < 0.02 * moved.norm(), label


def test_what_muon_leaves_is_stepped_by_adamw_at_its_own_rate_and_without_decay() -> None:
    mine, oracle_model = tiny_model("modern"), tiny_model("modern")
    optimizer = optimizer_of(mine, "muon")
    rest = {n: p for n, p in oracle_model.named_parameters() if not n.startswith("blocks.") or p.dim() < 2}
    oracle = torch.optim.AdamW(rest.values(), lr=0.002, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    for model in (mine, oracle_model):
        backward(model, seed=1)
    optimizer.step(0.5)
    oracle.step()
    after = dict(mine.named_parameters())
    assert all(torch.allclose(after[name], p, rtol=0, atol=1e-6) for name, p in rest.items())


@pytest.mark.parametrize("variant", ["modern", "gpt2"])
def test_muon_takes_the_matrices_inside_blocks_and_nothing_else(variant: str) -> None:
    model = tiny_model(variant)
    taken = {id(p) for shape in optimizer_of(model, "muon").muon.shapes for p, _ in shape.views}
    inside = {id(p) for n, p in model.named_parameters() if n.startswith("blocks.") and p.dim() == 2}
    assert taken == inside


def test_the_queries_keys_and_values_of_each_head_and_gate_and_up_are_matrices_of_their_own() -> None:
    model = tiny_model("modern")  # 2 layers, 32 wide; 4 heads of 16 over 2 key/value heads; 64 inside
    shapes = {tuple(s.momentum.shape) for s in optimizer_of(model, "muon").muon.shapes}
    assert shapes == {(2 * (4 + 2 + 2), 16, 32), (4, 64, 32), (4, 32, 64)}  # q, k, v; gate, up; out, down


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_only_matrices_and_tables_decay(name: Name) -> None:
    model = tiny_model("gpt2-untied")
    before = copies(model)
    zero_gradients(model)
    optimizer_of(model, name).step(1.0)
    for label, p in model.named_parameters():
        inside = label.startswith("blocks.") and p.dim() == 2
        decays = inside if name == "muon" else p.dim() >= 2
        expected = before[label] * (1 - 0.01 * 0.1) if decays else before[label]
        assert torch.allclose(p, expected, rtol=1e-6), label


@pytest.mark.parametrize("name", ["muon", "adamw", "adam"])
@pytest.mark.parametrize(
    ("variant", "fixed"), [("gpt2-without-bias", ".bias"), ("gpt1-sinusoidal", "positions.weight")]
)
def test_frozen_biases_and_sinusoidal_positions_never_move(name: Name, variant: str, fixed: str) -> None:
    model = tiny_model(variant)
    before, optimizer = copies(model), optimizer_of(model, name)
    for step in range(2):
        backward(model, seed=step)
        optimizer.step(1.0)
    moved = {label for label, p in model.named_parameters() if not torch.equal(p, before[label])}
    assert moved == {label for label in before if not label.endswith(fixed)}


@pytest.mark.parametrize("name", ["muon", "adamw", "adam"])
def test_a_loaded_state_steps_to_the_same_bits(name: Name) -> None:
    one, other = tiny_model("modern"), tiny_model("modern", seed=5)
    first, second = optimizer_of(one, name), optimizer_of(other, name)
    backward(one, seed=1)
    first.step(1.0)
    other.load_state_dict(one.state_dict())
    second.load({label: value.clone() for label, value in first.state().items()}, source="here")
    for model, optimizer in ((one, first), (other, second)):
        backward(model, seed=2)
        optimizer.step(0.7)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("harm", ["missing", "shape"])
def test_a_state_that_does_not_fit_is_refused_by_name(harm: str) -> None:
    optimizer = optimizer_of(tiny_model("modern"), "adamw")
    state = dict(optimizer.state())
    name = "adam.exp_avg.embedding.weight"
    if harm == "missing":
        del state[name]
    else:
        state[name] = torch.zeros(3, 3)
    with pytest.raises(DamagedFileError, match=f"optimizer state in runs/x does not fit this model: {name}"):
        optimizer.load(state, source="runs/x")
