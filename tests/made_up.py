"""A machine, its rates and texts that exist nowhere: what plans are made from in tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bajka.hardware import Machine
from bajka.model import ModelConfig
from bajka.planning.plan import Plan, make_plan
from bajka.planning.rates import Rates
from bajka.planning.shape import CorpusFacts
from bajka.settings import settings_with

MACHINE = Machine(
    device="cpu",
    name="a CPU",
    precision="bf16",
    threads=2,
    memory_bytes=8 << 30,
    can_compile=True,
    torch_version="2.13.0",
)
RATES = Rates(
    {"bf16": {64: 1e11, 512: 3e11}, "fp32": {64: 5e10, 512: 1e11}}, elementwise=1e9, dispatch=4e-6, seconds=0.3
)
TEXT = CorpusFacts(
    train_tokens=300_000,
    validation_tokens=30_000,
    documents=500,
    bytes=1_200_000,
    vocab_size=2048,
    bytes_per_token=3.5,
    ngrams=((75_000, (3.2, 2.6, 2.5)), (300_000, (3.2, 2.4, 2.2))),
)
MUCH = replace(TEXT, train_tokens=50_000_000, validation_tokens=5_000_000, bytes=200_000_000)


def plan_of(
    facts: CorpusFacts = TEXT, *, machine: Machine = MACHINE, imported: ModelConfig | None = None, **wishes: Any
) -> Plan:
    """The plan for such a text on such a machine, with a person's wishes."""
    return make_plan(settings_with(**wishes), facts, machine, rates=RATES, imported=imported)
