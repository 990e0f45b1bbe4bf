"""The four families: their presets, and their `config.json` in Hugging Face's spelling, both ways.

| family   | stored as                                | what it is                                            |
|----------|------------------------------------------|-------------------------------------------------------|
| modern   | Qwen3ForCausalLM (the shape, no weights) | RMSNorm, RoPE, SwiGLU, query/key norm, grouped heads  |
| llama    | LlamaForCausalLM                         | the same without query/key norm                       |
| gpt2     | GPT2LMHeadModel                          | LayerNorm, table of positions, GELU                   |
| gpt1     | OpenAIGPTLMHeadModel                     | norm after the sum, no last norm, tied head           |
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from bajka.config import Family
from bajka.errors import ModelError
from bajka.model.config import ModelConfig

ARCHITECTURES: dict[Family, tuple[str, str]] = {
    "modern": ("Qwen3ForCausalLM", "qwen3"),
    "llama": ("LlamaForCausalLM", "llama"),
    "gpt2": ("GPT2LMHeadModel", "gpt2"),
    "gpt1": ("OpenAIGPTLMHeadModel", "openai-gpt"),
}
"""The architecture's name and model type in transformers."""

_GPT_ACTIVATIONS = {"gelu_tanh": "gelu_new", "gelu": "gelu", "relu": "relu"}
_GPT_ACTIVATIONS_BACK = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}


def preset(family: Family) -> dict[str, Any]:
    """What the family fixes or prefers: defaults of the fields that a person may leave out."""
    match family:
        case "modern" | "llama":
            return {"positions": "rope", "activation": "swiglu", "norm_epsilon": 1e-6, "bias": False}
        case "gpt2":
            return {"positions": "learned", "activation": "gelu_tanh", "norm_epsilon": 1e-5, "bias": True}
        case "gpt1":
            return {
                "positions": "learned",
                "activation": "gelu_tanh",
                "norm_epsilon": 1e-5,
                "bias": True,
                "tie_embeddings": True,
            }


def feed_forward_width(family: Family, n_embd: int) -> int:
    """The usual inner width: 4 x for the GPTs; 8/3 x, rounded to a multiple of 64, for SwiGLU's three matrices."""
    if family in ("gpt2", "gpt1"):
        return 4 * n_embd
    return max(64, round(n_embd * 8 / 3 / 64) * 64)


def to_hugging_face(c: ModelConfig, *, end_of_text: int | None) -> dict[str, Any]:
    """`config.json` of the stock architecture, written so that transformers 4 and 5 both read it right."""
    architecture, model_type = ARCHITECTURES[c.family]
    common = {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": c.vocab_size,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "tie_word_embeddings": c.tie_embeddings,
        "dtype": "float32",
        "torch_dtype": "float32",  # transformers 4's name
        "use_cache": True,
    }
    if c.is_gpt:
        return common | _gpt_config(c)
    return common | {
        "hidden_size": c.n_embd,
        "intermediate_size": c.n_inner,
        "num_hidden_layers": c.n_layer,
        "num_attention_heads": c.n_head,
        "num_key_value_heads": c.n_kv_head,
        "head_dim": c.head_dim,
        "max_position_embeddings": c.context_length,
        "rms_norm_eps": c.norm_epsilon,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": c.attention_dropout,
        "initializer_range": 0.02,
        "rope_theta": c.rope_theta,  # transformers 4 reads this one, 5 the next
        "rope_parameters": {"rope_theta": c.rope_theta, "rope_type": "default"},
        "rope_scaling": None,
        **({"mlp_bias": False} if c.family == "llama" else {"use_sliding_window": False}),
    }


def _gpt_config(c: ModelConfig) -> dict[str, Any]:
    shared = {
        "n_embd": c.n_embd,
        "n_layer": c.n_layer,
        "n_head": c.n_head,
        "n_positions": c.context_length,
        "layer_norm_epsilon": c.norm_epsilon,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.attention_dropout,
        "initializer_range": 0.02,
    }
    if c.family == "gpt1":
        return shared | {"afn": "relu" if c.activation == "relu" else "gelu"}
    inner = None if c.n_inner == 4 * c.n_embd else c.n_inner
    return shared | {
        "activation_function": _GPT_ACTIVATIONS[c.activation],
        "n_inner": inner,
        "n_ctx": c.context_length,  # llama.cpp's converter still reads it
    }


def from_hugging_face(config: dict[str, Any], *, source: str) -> ModelConfig:
    """Our shape of a `config.json`; raises `ModelError` for architectures and variants that are not one of the four."""
    types = {model_type: family for family, (_, model_type) in ARCHITECTURES.items()}
    family = types.get(str(config.get("model_type")))
    if family is None:
        raise ModelError(
            f"{source} is a {config.get('model_type')!r} model. bajka reads these four: {', '.join(types)}."
        )
    try:
        fields = (
            _gpt_fields(config, family, source) if family in ("gpt2", "gpt1") else _llama_fields(config, family, source)
        )
        return ModelConfig(family=family, vocab_size=config["vocab_size"], **fields)
    except KeyError as error:
        raise ModelError(f"The config.json of {source} has no {error}. Is the file complete?") from None
    except ValidationError as error:
        wrong = ", ".join(f"{one['loc'][0]} = {one['input']!r}" for one in error.errors())
        raise ModelError(f"The config.json of {source} describes no model: {wrong}. Is the file right?") from None
    except (AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"The config.json of {source} describes no model ({error}). Is the file right?") from error


def _refuse(variants: dict[str, Any], *, family: Family, source: str) -> None:
    """Raise `ModelError` for the first variant of a stock architecture that is present."""
    for variant, present in variants.items():
        if present:
            raise ModelError(f"{source} has {variant}, which bajka's {family} does not have.")


def _gpt_fields(config: dict[str, Any], family: Family, source: str) -> dict[str, Any]:
    named = config.get("activation_function", "gelu_new") if family == "gpt2" else config.get("afn", "gelu")
    known = _GPT_ACTIVATIONS_BACK if family == "gpt2" else {"gelu": "gelu_tanh", "relu": "relu"}
    variants = {
        f"activation {named}": named not in known,
        "attention scores that are not scaled": not config.get("scale_attn_weights", True),
        "attention scores scaled by layer": config.get("scale_attn_by_inverse_layer_idx"),
        "cross attention": config.get("add_cross_attention"),
    }
    _refuse(variants, family=family, source=source)
    heads, width = config["n_head"], config["n_embd"]
    return {
        "context_length": config.get("n_positions", config.get("n_ctx", 1024)),
        "n_layer": config["n_layer"],
        "n_head": heads,
        "n_kv_head": heads,
        "n_embd": width,
        "n_inner": config.get("n_inner") or 4 * width,
        "head_dim": width // heads,
        "positions": "learned",
        "activation": known[named],
        "norm_epsilon": config.get("layer_norm_epsilon", 1e-5),
        "tie_embeddings": config.get("tie_word_embeddings", True),
        "bias": True,
        "dropout": 0.0,
    }


def _llama_fields(config: dict[str, Any], family: Family, source: str) -> dict[str, Any]:
    rope = config.get("rope_parameters") or {}
    scaling = (config.get("rope_scaling") or {}) | rope
    variants = {
        "rope scaling": scaling.get("rope_type", scaling.get("type", "default")) != "default",
        "attention biases": config.get("attention_bias"),
        "feed-forward biases": config.get("mlp_bias"),
        "sliding windows": config.get("use_sliding_window") or "sliding_attention" in (config.get("layer_types") or ()),
        f"activation {config.get('hidden_act')}": config.get("hidden_act", "silu") != "silu",
    }
    _refuse(variants, family=family, source=source)
    heads, width = config["num_attention_heads"], config["hidden_size"]
    return {
        "context_length": config["max_position_embeddings"],
        "n_layer": config["num_hidden_layers"],
        "n_head": heads,
        "n_kv_head": config.get("num_key_value_heads") or heads,
        "n_embd": width,
        "n_inner": config["intermediate_size"],
        "head_dim": config.get("head_dim") or width // heads,
        "positions": "rope",
        "rope_theta": float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
        "activation": "swiglu",
        "norm_epsilon": config.get("rms_norm_eps", 1e-6),
        "tie_embeddings": bool(config.get("tie_word_embeddings", False)),
    }
