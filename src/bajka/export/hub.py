"""`share`: an exported folder on the Hugging Face hub, or exactly what would go there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bajka.errors import InputError, ResourceError
from bajka.export.folder import CARD, FILES, export_folder


@dataclass(frozen=True)
class Shared:
    """What was, or would be, uploaded: bytes of every file, the card, and the address (None after a dry run)."""

    repo_id: str
    files: dict[str, int]
    card: str
    url: str | None


def share(
    name: str,
    repo_id: str,
    *,
    dry_run: bool,
    private: bool = True,
    license: str | None = None,
    language: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Shared:
    """Put the model `name` on the hub as `repo_id`, or with `dry_run` only say what would go there; never the texts.

    Raises `InputError` for an ill-formed `repo_id`, a missing or refused token, or a public repository when `private`;
    `ResourceError` when the hub cannot be reached; and what `export_folder` raises.
    """
    check_repo_id(repo_id)
    token = None if dry_run else _token()
    with tempfile.TemporaryDirectory(prefix="bajka-") as temporary:
        folder = export_folder(
            name, Path(temporary) / "model", repo_id=repo_id, license=license, language=language or ()
        )
        files = {file: (folder / file).stat().st_size for file in FILES}
        card = (folder / CARD).read_text(encoding="utf-8")
        visible = "private" if private else "public, for everybody to see"
        say(f"{'Would upload' if dry_run else 'Uploading'} to {repo_id} ({visible} if it is new), and nothing else:")
        for file, size in files.items():
            say(f"  {size:>13,} bytes  {file}")
        say("A model can repeat parts of its texts word for word: share it only if you may share them.")
        if dry_run:
            say(f"The card:\n\n{card}")
            say("Nothing was sent. Without --dry-run it will be.")
            return Shared(repo_id, files, card, None)
        url = _upload(folder, repo_id, private=private, token=token)
    say(f"Uploaded: {url}")
    return Shared(repo_id, files, card, url)


def check_repo_id(repo_id: str) -> None:
    """Raise `InputError` unless `repo_id` is a USER/NAME that the hub accepts."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
        good = repo_id.count("/") == 1
    except HFValidationError:
        good = False
    if not good:
        raise InputError(
            f"{repo_id!r} is no name on the hub: write USER/NAME with letters, digits, '-', '_' and '.', as ana/alice."
        )


def _token() -> str:
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise InputError("You are not logged in to the Hugging Face hub. Log in with `hf auth login`, then try again.")
    return token


def _upload(folder: Path, repo_id: str, *, private: bool, token: str | None) -> str:
    """Create the repository if it is new and upload the allowed files; gives its address."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    try:
        url = str(api.create_repo(repo_id, private=private, exist_ok=True))
        public = private and api.model_info(repo_id).private is False
        if not public:
            api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                allow_patterns=list(FILES),
                commit_message="A model trained with bajka",
            )
    except Exception as error:  # the hub library raises many kinds; what matters is whether the person was refused
        raise _trouble(error, repo_id, str(api.endpoint)) from error
    if public:
        raise InputError(f"{repo_id} exists and is public: everybody would see the model. Say --public if they may.")
    return url


def _trouble(error: Exception, repo_id: str, endpoint: str) -> InputError | ResourceError:
    """The sentence for what the hub answered."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return InputError(
            f"The hub does not let you write to {repo_id} ({reason}). Log in with `hf auth login` and a token that may "
            "write, and use your own user name."
        )
    return ResourceError(f"The upload of {repo_id} to {endpoint} failed ({reason}). Check the network and try again.")
