"""Datasets of the Hugging Face hub by name, as Parquet files in the hub's own cache.

    hf:user/name                  its split "train"
    hf:user/name:split            another split
    hf:user/name:config:split     of a dataset with several configurations

The hub converts nearly every dataset to Parquet, under the revision `refs/convert/parquet` as CONFIG/SPLIT/0000.parquet
(a split beyond 5 GB only in part, as "partial-SPLIT"); where it has not, the Parquet files of the repository itself
count. Without a network, what was downloaded whole before is used.
"""

from __future__ import annotations

import difflib
import glob
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bajka.errors import CorpusError, ResourceError, disk_errors
from bajka.progress import Progress, silent

PREFIX = "hf:"
DEFAULT_SPLIT = "train"
_CONVERTED = "refs/convert/parquet"
_FORM = "Write hf:USER/NAME, hf:USER/NAME:SPLIT or hf:USER/NAME:CONFIG:SPLIT, as hf:roneneldan/TinyStories:validation."
_PART = re.compile(r"[^<>:/\\|?*\s.][^<>:/\\|?*\n]*")
_TIMEOUT = 20.0  # seconds
_SHARD = re.compile(r"(?P<split>[^/]+?)(-\d{5}-of-\d{5}.*)?\.parquet")
_FOLDERS = ("data", "train", "test", "validation")  # names of folders that are no configuration


@dataclass(frozen=True, slots=True)
class _Table:
    """One Parquet file of a dataset."""

    path: str
    size: int
    config: str
    split: str


def is_hub_name(text: str) -> bool:
    """Whether `text` names a dataset on the hub rather than a file."""
    return text.startswith(PREFIX)


def hub_files(name: str, *, progress: Progress = silent) -> list[Path]:
    """The Parquet files of the dataset `name` (see the module) in the hub's cache, sorted, downloaded where missing.

    `progress` is told bytes. Raises `CorpusError` for an ill-formed name, for a dataset, configuration or split that
    is not there or not readable, and when there is no Parquet; `ResourceError` without a connection; `DiskError`.
    """
    dataset, parts = _parsed(name)
    with disk_errors("write to", Path("the cache of the Hugging Face hub")), _hub_errors(dataset):
        revision, tables = _tables(dataset)
        chosen = _chosen(dataset, tables, parts)
        folder = _download(dataset, revision, chosen, progress=progress)
    return [folder / table.path for table in chosen]


def _parsed(name: str) -> tuple[str, list[str]]:
    """The dataset's identifier and what follows it."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    dataset, *parts = name.removeprefix(PREFIX).split(":")
    try:
        validate_repo_id(dataset)
    except HFValidationError as error:
        raise CorpusError(f"{name!r} is no name of a dataset on the hub. {_FORM}") from error
    if len(parts) > 2 or not all(map(_PART.fullmatch, parts)):
        raise CorpusError(f"{name!r} has a part too many, an empty or an impossible one. {_FORM}")
    return dataset, parts


def _tables(dataset: str) -> tuple[str, list[_Table]]:
    """The Parquet files of a dataset, and the revision where they stand."""
    for revision in (_CONVERTED, "main"):
        tables = [
            _table(path, size, converted=revision == _CONVERTED)
            for path, size in sorted(_listing(dataset, revision).items())
            if path.endswith(".parquet") and _is_safe(path)
        ]
        if tables:
            return revision, tables
    raise CorpusError(
        f"The dataset {dataset} has no Parquet files that bajka could read. Download its files yourself "
        f"(hf download {dataset} --repo-type dataset --local-dir texts) and name their folder."
    )


def _listing(dataset: str, revision: str) -> dict[str, int]:
    """Bytes by path of all files of a revision; empty when there is no such revision. Offline: as it was last seen."""
    import httpx2
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, OfflineModeIsEnabled, RevisionNotFoundError

    try:
        info = HfApi().dataset_info(dataset, revision=revision, files_metadata=True, timeout=_TIMEOUT)
    except RevisionNotFoundError:
        return {}
    except (httpx2.TransportError, OfflineModeIsEnabled):
        try:
            cached = get_cached_repo_tree(dataset, repo_type="dataset", revision=revision)
        except CachedRepoTreeNotFoundError:
            if revision == _CONVERTED:
                return {}
            raise
        return {entry.path: entry.size for entry in cached}
    return {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()}


def _is_safe(path: str) -> bool:
    """Whether a path that the hub names stays inside the folder of its dataset, on every system."""
    return not ({"..", "."} & set(path.split("/")) or path.startswith("/") or set(path) & set('\\:*?"<>|\0'))


def _table(path: str, size: int, *, converted: bool) -> _Table:
    """What a path says of configuration and split."""
    folders = PurePosixPath(path).parts[:-1]
    if converted and len(folders) == 2:
        return _Table(path, size, folders[0], folders[1].removeprefix("partial-"))
    shard = _SHARD.fullmatch(PurePosixPath(path).name)
    split = shard["split"] if shard is not None and shard[2] else DEFAULT_SPLIT
    named = [folder for folder in folders if folder in _FOLDERS[1:]]
    whole_name = PurePosixPath(path).stem
    split = named[-1] if named else whole_name if whole_name in _FOLDERS[1:] else split
    configs = [folder for folder in folders if folder not in _FOLDERS]
    return _Table(path, size, configs[0] if configs else "default", split)


def _chosen(dataset: str, tables: list[_Table], parts: list[str]) -> list[_Table]:
    """The files of the configuration and split that were asked for."""
    configs = list(dict.fromkeys(table.config for table in tables))
    splits = {table.split for table in tables}
    match parts:
        case [config, split]:
            pass
        case [word] if word in splits or word not in configs:
            config, split = "", word
        case [word]:
            config, split = word, DEFAULT_SPLIT
        case _:
            config, split = "", DEFAULT_SPLIT
    if not config and len(configs) > 1:
        raise CorpusError(
            f"The dataset {dataset} has {len(configs)} configurations: {_some(configs)}. Name one, as "
            f"hf:{dataset}:{configs[0]}:{split}."
        )
    config = config or configs[0]
    if config not in configs:
        raise CorpusError(f"The dataset {dataset} has no configuration {config}; it has {_some(configs)}.")
    chosen = [table for table in tables if (table.config, table.split) == (config, split)]
    if not chosen:
        there = list(dict.fromkeys(table.split for table in tables if table.config == config))
        raise CorpusError(f"The dataset {dataset} has no split {split}; it has {_some(there)}.")
    return chosen


def _download(dataset: str, revision: str, tables: list[_Table], *, progress: Progress) -> Path:
    """The folder in the hub's cache that holds all of `tables`; it resumes what was cut before."""
    from huggingface_hub import snapshot_download

    total = sum(table.size for table in tables)
    folder = snapshot_download(
        dataset,
        repo_type="dataset",
        revision=revision,
        allow_patterns=[glob.escape(table.path) for table in tables],
        tqdm_class=_bar(progress, f"downloading {dataset}", total),
    )
    if missing := [table.path for table in tables if not (Path(folder) / table.path).is_file()]:
        raise ResourceError(f"{dataset} changed on the hub while it was read ({missing[0]} is gone). Try again.")
    progress(f"downloading {dataset}", total, total)
    return Path(folder)


def _bar(progress: Progress, what: str, total: int) -> type[Any]:
    """What the hub's library takes for a bar, telling `progress` instead of drawing."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Told(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            if self.unit == "B":
                progress(what, min(int(self.n), total), total)

    return Told


@contextmanager
def _hub_errors(dataset: str) -> Iterator[None]:
    """Turn what the hub's library raises into a sentence."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise CorpusError(
            f"The dataset {dataset} is gated: accept its conditions on its page, log in with `hf auth login`, try again."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CorpusError(
            f"There is no dataset {dataset} on the hub, or it is private: check the name"
            f"{_close(dataset)}, or log in with `hf auth login`."
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise CorpusError(
                f"The hub does not let you read {dataset} (it answered {status}). Log in with `hf auth login`."
            ) from error
        raise ResourceError(f"The hub could not give {dataset} (it answered {status}). Try again later.") from error
    except (httpx2.TransportError, errors.OfflineModeIsEnabled, errors.CachedRepoTreeNotFoundError) as error:
        raise ResourceError(_unreachable(dataset)) from error
    except (errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError) as error:
        raise ResourceError(_unreachable(dataset)) from error


def _unreachable(dataset: str) -> str:
    return (
        f"There is no connection to the Hugging Face hub, and {dataset} has not been downloaded whole before. Check the "
        "network (and HF_HUB_OFFLINE) and try again: what came so far is kept."
    )


def _close(dataset: str) -> str:
    """A name on the hub that is nearly this one, as part of a sentence."""
    from huggingface_hub import HfApi

    try:
        found = [info.id for info in HfApi().list_datasets(search=dataset.rpartition("/")[2], limit=20)]
    except Exception:  # a hint is not worth an error of its own, whatever the hub's library raises
        return ""
    close = difflib.get_close_matches(dataset, found, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _some(names: list[str]) -> str:
    """At most eight names."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
