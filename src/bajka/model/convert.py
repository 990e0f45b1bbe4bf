"""Weights in Hugging Face's names and layouts, both ways: fused parts are split, GPT's Conv1D weights are transposed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from bajka.errors import DamagedFileError, ModelError
from bajka.model.config import ModelConfig
from bajka.model.transformer import Transformer, fused_rows


@dataclass(frozen=True)
class Place:
    """Where one of our parameters lives in a Hugging Face file: one tensor, or several stacked by rows."""

    ours: str
    theirs: tuple[str, ...]
    rows: tuple[int, ...] = ()
    transposed: bool = False


def places(c: ModelConfig) -> Iterator[Place]:
    """Every parameter of the family, once; a tied head is not stored."""
    yield from _gpt_places(c) if c.is_gpt else _llama_places(c)


def _llama_places(c: ModelConfig) -> Iterator[Place]:
    yield Place("embedding.weight", ("model.embed_tokens.weight",))
    for i in range(c.n_layer):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        qkv = tuple(f"{theirs}self_attn.{part}_proj.weight" for part in "qkv")
        yield Place(f"{ours}norm_1.weight", (f"{theirs}input_layernorm.weight",))
        yield Place(f"{ours}attention.qkv.weight", qkv, rows=fused_rows(c))
        if c.family == "modern":
            yield Place(f"{ours}attention.q_norm.weight", (f"{theirs}self_attn.q_norm.weight",))
            yield Place(f"{ours}attention.k_norm.weight", (f"{theirs}self_attn.k_norm.weight",))
        yield Place(f"{ours}attention.out.weight", (f"{theirs}self_attn.o_proj.weight",))
        yield Place(f"{ours}norm_2.weight", (f"{theirs}post_attention_layernorm.weight",))
        gate_up = (f"{theirs}mlp.gate_proj.weight", f"{theirs}mlp.up_proj.weight")
        yield Place(f"{ours}feed_forward.up.weight", gate_up, rows=(c.n_inner, c.n_inner))
        yield Place(f"{ours}feed_forward.down.weight", (f"{theirs}mlp.down_proj.weight",))
    yield Place("norm.weight", ("model.norm.weight",))
    if not c.tie_embeddings:
        yield Place("head.weight", ("lm_head.weight",))


def _gpt_places(c: ModelConfig) -> Iterator[Place]:
    words, positions = ("wte", "wpe") if c.family == "gpt2" else ("tokens_embed", "positions_embed")
    yield Place("embedding.weight", (f"transformer.{words}.weight",))
    yield Place("positions.weight", (f"transformer.{positions}.weight",))
    layers = {"attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj"}
    layers |= {"feed_forward.up": "mlp.c_fc", "feed_forward.down": "mlp.c_proj"}
    for i in range(c.n_layer):
        for ours, theirs in layers.items():
            name = f"transformer.h.{i}.{theirs}"
            yield Place(f"blocks.{i}.{ours}.weight", (f"{name}.weight",), transposed=True)
            yield Place(f"blocks.{i}.{ours}.bias", (f"{name}.bias",))
        for ours, theirs in {"norm_1": "ln_1", "norm_2": "ln_2"}.items():
            for part in ("weight", "bias"):
                yield Place(f"blocks.{i}.{ours}.{part}", (f"transformer.h.{i}.{theirs}.{part}",))
    if c.family == "gpt2":
        yield Place("norm.weight", ("transformer.ln_f.weight",))
        yield Place("norm.bias", ("transformer.ln_f.bias",))
    if not c.tie_embeddings:
        yield Place("head.weight", ("lm_head.weight",))


def to_hugging_face_weights(model: Transformer) -> dict[str, Tensor]:
    """The model's weights as the stock architecture's `model.safetensors` holds them: fp32, contiguous, on the CPU."""
    state = model.state_dict()
    found: dict[str, Tensor] = {}
    for place in places(model.config):
        value = state[place.ours].detach().to("cpu", torch.float32)
        parts = value.split(place.rows) if place.rows else (value,)
        for name, part in zip(place.theirs, parts, strict=True):
            found[name] = (part.T if place.transposed else part).contiguous()
    return found


def load_hugging_face_weights(model: Transformer, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Copy a stock file's tensors into `model`, after checking every name and shape; raises `DamagedFileError`."""
    weights = _with_full_names(weights, model.config)
    state = model.state_dict()
    missing = [name for place in places(model.config) for name in place.theirs if name not in weights]
    if missing:
        raise DamagedFileError(
            f"The weights of {source} lack {missing[0]} ({len(missing)} missing in all). The file is not whole, "
            "or not of the architecture that its config.json names."
        )
    with torch.no_grad():
        for place in places(model.config):
            whole = state[place.ours].T if place.transposed else state[place.ours]
            for name, part in zip(place.theirs, whole.split(place.rows) if place.rows else (whole,), strict=True):
                if weights[name].shape != part.shape:
                    raise DamagedFileError(
                        f"In {source}, {name} has the shape {tuple(weights[name].shape)}; its config.json asks for "
                        f"{tuple(part.shape)}."
                    )
                part.copy_(weights[name])


def _with_full_names(weights: Mapping[str, Tensor], c: ModelConfig) -> Mapping[str, Tensor]:
    """OpenAI's own GPT-2 files leave out "transformer." and "model." prefixes of the body are sometimes stripped."""
    prefix = "transformer." if c.is_gpt else "model."
    if any(name.startswith(prefix) for name in weights):
        return weights
    if not weights:
        raise ModelError("The file of weights is empty.")
    return {name if name == "lm_head.weight" else prefix + name: value for name, value in weights.items()}
