"""A machine, its rates and a text that exist nowhere: what plans are made from in tests."""

from __future__ import annotations

from bajka.hardware import Machine
from bajka.planning.rates import Rates
from bajka.planning.shape import CorpusFacts

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
