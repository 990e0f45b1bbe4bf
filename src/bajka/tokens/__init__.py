"""Ids on disk (`store`, made by `prepare` through `writing`; `foreign`: those of nanoGPT and llm.c), and batches as a pure
function of data, seed and position (`batches`)."""

from bajka.tokens.batches import IGNORED, Batch, Batches
from bajka.tokens.store import TokenData, TokenSet, open_token_data

__all__ = ["IGNORED", "Batch", "Batches", "TokenData", "TokenSet", "open_token_data"]
