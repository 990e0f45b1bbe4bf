"""A real model that was built, not trained, to recite one text: what it writes is known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bajka.model.transformer import Transformer
from bajka.tokenizer import Tokenizer
from tiny import byte_tokenizer, tiny_config

Reciter = Callable[..., Transformer]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return byte_tokenizer()


@pytest.fixture(scope="session")
def reciting(tokenizer: Tokenizer) -> Reciter:
    """Give a model that after end-of-text writes one text (below 128 tokens) and ends."""

    def build(text: str, tokenizer: Tokenizer = tokenizer) -> Transformer:
        width = {"n_embd": 128, "n_head": 1, "n_kv_head": 1, "head_dim": 128, "context_length": 128}
        config = tiny_config("gpt2-untied", vocab_size=tokenizer.vocab_size, n_layer=1, **width)
        model = Transformer(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()  # attention and feed-forward add nothing
            model.norm.weight.fill_(1.0)
            model.positions.weight.copy_(torch.eye(128))  # a place is its own direction,
            for place, token in enumerate([*tokenizer.encode(text), tokenizer.end_of_text]):
                model.head.weight[token, place] = 10.0  # and each direction means one token
        return model.eval()

    return build
