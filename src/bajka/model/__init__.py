"""The network: one `Transformer`, its `ModelConfig`, and the four stock architectures it can be.

`config` and `estimate` need no torch; `transformer` and `convert` do.
"""

from bajka.model.config import ModelConfig

__all__ = ["ModelConfig"]
