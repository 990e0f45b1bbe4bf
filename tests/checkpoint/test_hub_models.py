"""A hub name is a model like any other: downloaded from a hub that the test plays on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bajka.checkpoint.model_folder import write_model_folder
from tiny import byte_tokenizer, tiny_model

NAME, COMMIT = "openai-community/gpt2", "0" * 40


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """A small model in the layout of GPT-2's own repository: no prefix in the names, masks among the weights."""
    folder = tmp_path / "gpt2"
    write_model_folder(folder, tiny_model("gpt2"), byte_tokenizer())
    weights = {
        name.removeprefix("transformer."): value for name, value in load_file(folder / "model.safetensors").items()
    }
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 32, 32) for layer in range(2)}
    save_file(weights | masks, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "pytorch_model.bin").write_bytes(b"never to be asked for")
    return folder


@pytest.fixture
def hub(gpt2: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub with that one repository, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            asked.append(path)
            content: bytes | None = None
            if path == f"/api/models/{NAME}" or path.startswith(f"/api/models/{NAME}/revision/"):
                files = [{"rfilename": file.name} for file in gpt2.iterdir()]
                content = json.dumps({"id": NAME, "sha": COMMIT, "siblings": files}).encode()
            elif path.startswith(f"/api/models/{NAME}/tree/"):
                entries = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name} for f in gpt2.iterdir()
                ]
                content = json.dumps(entries).encode()
            elif path.startswith(f"/{NAME}/resolve/") and (gpt2 / path.rpartition("/")[2]).is_file():
                content = (gpt2 / path.rpartition("/")[2]).read_bytes()
            self.send_response(404 if content is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{path.rpartition("/")[2]}"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content or b"")))
            if content is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if content and self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def bajka(address: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, whose hub is `address`."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(folder / "hub"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "bajka", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


WRITE = ("The fox", "--seed", "3", "--max-new-tokens", "8", "--temperature", "0")


def test_gpt2_by_its_hub_name_writes_what_its_folder_writes(
    hub: tuple[str, list[str]], gpt2: Path, tmp_path: Path
) -> None:
    address, asked = hub
    result = bajka(address, tmp_path, "generate", NAME, *WRITE)
    assert result.returncode == 0, result.stderr
    assert result.stdout == bajka(address, tmp_path, "generate", str(gpt2), *WRITE).stdout
    assert not any("pytorch_model" in path for path in asked)


def test_gpt2_by_its_hub_name_is_fine_tuned_with_its_vocabulary(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    address, _ = hub
    (tmp_path / "tales.txt").write_text("\n\n".join(f"Tale {n}. A fox sang." for n in range(400)), encoding="utf-8")
    options = ["--from", NAME, "--steps", "2", "--global-batch-size", "4", "--compile", "off"]
    result = bajka(address, tmp_path, "train", "tales.txt", *options)
    assert result.returncode == 0, result.stdout + result.stderr
    plan = json.loads((tmp_path / "runs" / "tales" / "plan.json").read_text(encoding="utf-8"))["plan"]
    assert plan["recipe"]["optimizer"] == "adamw"
    assert plan["recipe"]["learning_rate"] == 1e-3  # this stand-in is narrow; at GPT-2's own width it is 1.7e-4
    assert plan["model"]["vocab_size"] == 257


def test_a_name_that_the_hub_does_not_have_is_a_sentence(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    result = bajka(hub[0], tmp_path, "generate", "ana/nothing", *WRITE)
    assert result.returncode == 2
    assert "ana/nothing" in result.stderr
    assert "Traceback" not in result.stderr
