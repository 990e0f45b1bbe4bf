"""Ids on disk (`store`, made by `prepare` through `writing`; `foreign`: those of nanoGPT and llm.c), and batches as a pure
function of data, seed and position (`batches`; `mixture` of several corpora, `leaks` between them)."""

from bajka.tokens.batches import IGNORED, Batch, Batches
from bajka.tokens.mixture import Mixture
from bajka.tokens.store import TokenData, TokenSet, open_token_data

__all__ = ["IGNORED", "Batch", "Batches", "Mixture", "TokenData", "TokenSet", "open_token_data"]
