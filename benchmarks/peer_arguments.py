"""The command line of the peers that are written here: what to train, on what, how."""

from __future__ import annotations

import argparse
from pathlib import Path


def peer_parser(description: str | None, *, rate: float, dropout: float, seed: int) -> argparse.ArgumentParser:
    """Arguments of a peer with its own usual rate, dropout and seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokens", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--dropout", type=float, default=dropout)
    parser.add_argument("--seed", type=int, default=seed)
    return parser
