"""What stands in the texts more than once: equal documents are left out, nearly equal ones are grouped for the split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bajka import durable
from bajka.config import CleaningSettings
from bajka.corpus.near import near_duplicate_groups
from bajka.corpus.store import DocumentStore
from bajka.progress import Progress

EQUAL = "equal to an earlier one"
"""The reason under which equal documents are counted."""
_KEPT, _GROUPS = "kept.bin", "groups.bin"


def find_duplicates(store: DocumentStore, cleaning: CleaningSettings, progress: Progress) -> dict[str, int]:
    """Write into the store's folder which documents are kept and how they are grouped; give what was left out, by reason.

    Of documents with the same `text_key` the first is kept.
    """
    everyone = np.arange(len(store), dtype=np.int64)
    kept = np.flatnonzero(first_alike(store.rows["key"]) == everyone) if cleaning.duplicates else everyone
    groups = everyone
    if cleaning.near_duplicates:
        similarity = cleaning.near_duplicate_similarity
        groups = near_duplicate_groups(store.sketches, store.text, similarity=similarity, progress=progress)
    durable.write_bytes(store.folder / _KEPT, kept.astype("<i8").tobytes())
    durable.write_bytes(store.folder / _GROUPS, _among(kept, groups).astype("<i8").tobytes())
    left_out = len(store) - len(kept)
    return {EQUAL: left_out} if left_out else {}


def open_kept(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the kept documents in the store, shape (kept,), and for each the first of its group among the kept."""
    return np.fromfile(folder / _KEPT, dtype="<i8"), np.fromfile(folder / _GROUPS, dtype="<i8")


def first_alike(keys: NDArray[np.void]) -> NDArray[np.int64]:
    """For each 16-byte key the number of the first that is equal, shape (keys,)."""
    halves = np.ascontiguousarray(keys).view("<u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal keys stay in their order
    new = np.ones(len(order), dtype=bool)
    new[1:] = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    return first


def _among(kept: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Group numbers of the kept documents, counted among the kept: the place of the group's first kept document."""
    _, first, which = np.unique(groups[kept], return_index=True, return_inverse=True)
    return np.asarray(first[which], dtype=np.int64)
