"""The shape of a model whose weights were given: what they decided, and what the person may still choose."""

from __future__ import annotations

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.model import ModelConfig
from bajka.planning.shape import SMALLEST_CONTEXT, Choices, CorpusFacts, check_windows

_GIVEN = (
    *("family", "n_layer", "n_head", "n_kv_head", "n_embd", "n_inner"),
    *("positions", "rope_theta", "activation", "tie_embeddings", "bias"),
)
"""What weights have already decided."""


def imported_shape(settings: Settings, facts: CorpusFacts, imported: ModelConfig, c: Choices) -> ModelConfig:
    """The shape of the given weights; the person may only shorten the context of a model with rotary positions."""
    for name in _GIVEN:
        wish = getattr(settings.model, name) if name in settings.model.model_fields_set else None
        if wish is not None and wish != getattr(imported, name):
            raise SettingsError(
                f"{name} = {wish} was asked for, but the weights of --from have {getattr(imported, name)}: leave it out."
            )
    context = imported.context_length
    wish = settings.model.context_length
    if wish is not None and wish != context and imported.is_gpt:
        raise SettingsError(f"context_length = {wish}, but the model of --from has a table of {context} positions.")
    if wish is not None and wish > context:
        raise SettingsError(
            f"context_length = {wish} is more than the {context} that the model of --from was made for."
        )
    context = int(c.take("context_length", wish, context, "that of the weights it starts from"))
    check_windows(facts, min(context, SMALLEST_CONTEXT))
    return imported.model_copy(
        update={"context_length": context, "attention_dropout": settings.model.attention_dropout}
    )
