"""Datasets of the hub by name, on a hub that the test plays on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants
from loopback import noise

from bajka.datasets.hub import hub_files, is_hub_name
from bajka.errors import BajkaError, CorpusError, ResourceError

TALES = "ana/tales"


@dataclass
class Hub:
    """Datasets of a hub: revision -> path -> content; those that answer with a status; what was asked."""

    url: str
    datasets: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut: int = 0

    def convert(self, dataset: str, *paths: str) -> None:
        """Give `dataset` files in the revision that the hub makes."""
        files = {path: noise(20_000, seed=number) for number, path in enumerate(paths)}
        self.datasets.setdefault(dataset, {"main": {"README.md": b"tales"}})["refs/convert/parquet"] = files


def commit(revision: str) -> str:
    return ("1" if "parquet" in revision else "0") * 40


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The endpoints that listing and downloading a dataset need; `huggingface_hub` of this process speaks with them."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            place.asked.append(f"{self.command} {path}")
            if path == "/api/datasets":
                return self.answer([{"id": dataset} for dataset in place.datasets])
            dataset = "/".join(path.removeprefix("/api").split("/")[2:4])
            if dataset in place.refused:
                status, code = place.refused[dataset]
                return self.answer({"error": code}, status=status, headers={"X-Error-Code": code})
            if dataset not in place.datasets:
                return self.answer({}, status=404, headers={"X-Error-Code": "RepoNotFound"})
            revisions = {commit(name): name for name in place.datasets[dataset]}
            rest = path.partition(dataset)[2].lstrip("/")
            verb, _, rest = rest.partition("/")
            names = [*place.datasets[dataset], *revisions]
            revision = next((name for name in names if rest == name or rest.startswith(f"{name}/")), None)
            if revision is None:
                return self.answer({}, status=404, headers={"X-Error-Code": "RevisionNotFound"})
            file = rest.removeprefix(revision).lstrip("/")
            revision = revisions.get(revision, revision)
            files = place.datasets[dataset][revision]
            if verb == "revision":
                siblings = [{"rfilename": name, "size": len(content)} for name, content in files.items()]
                return self.answer({"id": dataset, "sha": commit(revision), "siblings": siblings})
            if verb == "tree":
                return self.answer([self.entry(name, content) for name, content in files.items()])
            if verb == "resolve" and file in files:
                return self.file(files[file], commit(revision))
            return self.answer({}, status=404, headers={"X-Error-Code": "EntryNotFound"})

        def entry(self, name: str, content: bytes) -> dict[str, object]:
            return {"type": "file", "path": name, "size": len(content), "oid": self.oid(content)}

        def oid(self, content: bytes) -> str:
            return f"{len(content):08x}{content[:8].hex()}"

        def file(self, content: bytes, sha: str) -> None:
            asked = self.headers.get("Range")
            start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("X-Repo-Commit", sha)
            self.send_header("ETag", f'"{self.oid(content)}"')
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if self.command == "GET":
                rest = content[start:]
                if place.cut:
                    place.cut -= 1
                    rest = rest[: len(rest) // 2]
                    self.close_connection = True
                self.wfile.write(rest)

        def answer(self, value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, header in (headers or {}).items():
                self.send_header(name, header)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    place = Hub(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", place.url)
    template = place.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield place
    server.shutdown()
    server.server_close()


def unplug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def test_the_training_split_is_downloaded_and_nothing_else(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet")
    files = hub_files(f"hf:{TALES}")
    wanted = hub.datasets[TALES]["refs/convert/parquet"]
    assert [file.read_bytes() for file in files] == [wanted[f"default/train/000{n}.parquet"] for n in (0, 1)]
    assert not any("test" in line for line in hub.asked)


def test_another_split_is_named_behind_the_dataset(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/validation/0000.parquet")
    assert [file.parent.name for file in hub_files(f"hf:{TALES}:validation")] == ["validation"]


def test_a_configuration_is_named_before_the_split(hub: Hub) -> None:
    hub.convert(TALES, "hr/train/0000.parquet", "sr/train/0000.parquet", "sr/test/0000.parquet")
    assert [file.parts[-3:-1] for file in hub_files(f"hf:{TALES}:sr:test")] == [("sr", "test")]
    assert [file.parts[-3:-1] for file in hub_files(f"hf:{TALES}:hr")] == [("hr", "train")]


def test_several_configurations_and_none_named_is_a_sentence_that_names_them(hub: Hub) -> None:
    hub.convert(TALES, "hr/train/0000.parquet", "sr/train/0000.parquet")
    with pytest.raises(CorpusError, match=r"2 configurations: hr, sr\. Name one, as hf:ana/tales:hr:train"):
        hub_files(f"hf:{TALES}")


@pytest.mark.parametrize(
    ("name", "said"), [("no", "no split no; it has train, test"), ("no:train", "configuration no")]
)
def test_a_split_or_configuration_that_is_not_there_is_answered_with_those_that_are(
    hub: Hub, name: str, said: str
) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/test/0000.parquet")
    hub.datasets[TALES]["refs/convert/parquet"] = dict(reversed(hub.datasets[TALES]["refs/convert/parquet"].items()))
    with pytest.raises(CorpusError) as caught:
        hub_files(f"hf:{TALES}:{name}")
    assert said.replace("train, test", "test, train") in str(caught.value)


def test_a_dataset_that_was_not_converted_is_read_from_its_own_files(hub: Hub) -> None:
    names = [f"data/train-0000{n}-of-00002-{n}abc.parquet" for n in (0, 1)] + ["data/test-00000-of-00001.parquet"]
    hub.datasets[TALES] = {"main": {name: noise(9_000, seed=len(name)) for name in names}}
    assert [file.name for file in hub_files(f"hf:{TALES}")] == [name.removeprefix("data/") for name in names[:2]]
    assert len(hub_files(f"hf:{TALES}:test")) == 1


@pytest.mark.parametrize("path", ["tales.parquet", "data/part.parquet", "train.parquet", "data/train/0.parquet"])
def test_files_that_name_no_split_are_for_training(hub: Hub, path: str) -> None:
    hub.datasets[TALES] = {"main": {path: b"PAR1"}}
    assert [file.read_bytes() for file in hub_files(f"hf:{TALES}")] == [b"PAR1"]


def test_a_part_of_a_huge_split_is_what_the_hub_converted(hub: Hub) -> None:
    hub.convert(TALES, "default/partial-train/0000.parquet")
    assert len(hub_files(f"hf:{TALES}")) == 1


def test_a_dataset_without_parquet_is_a_sentence(hub: Hub) -> None:
    hub.datasets[TALES] = {"main": {"tales.txt": b"a tale"}}
    with pytest.raises(CorpusError, match="no Parquet files"):
        hub_files(f"hf:{TALES}")


def test_the_second_time_nothing_is_loaded(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet")
    first = hub_files(f"hf:{TALES}")
    hub.asked.clear()
    assert hub_files(f"hf:{TALES}") == first
    assert not any("resolve" in line for line in hub.asked)


def test_without_a_network_the_files_of_the_last_time_are_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/test/0000.parquet")
    first = hub_files(f"hf:{TALES}")
    unplug(monkeypatch)
    assert hub_files(f"hf:{TALES}") == first
    with pytest.raises(ResourceError, match="not been downloaded whole before"):
        hub_files(f"hf:{TALES}:test")


def test_without_a_network_a_part_of_a_split_is_not_taken_for_the_whole(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/train/0001.parquet")
    hub_files(f"hf:{TALES}")[1].unlink()
    unplug(monkeypatch)
    with pytest.raises(ResourceError, match="not been downloaded whole"):
        hub_files(f"hf:{TALES}")


def test_without_a_network_a_new_dataset_is_a_sentence(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    unplug(monkeypatch)
    with pytest.raises(ResourceError, match="no connection to the Hugging Face hub, and ana/tales"):
        hub_files(f"hf:{TALES}")


def test_a_cut_connection_is_taken_up(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet")
    hub.cut = 1
    assert hub_files(f"hf:{TALES}")[0].read_bytes() == noise(20_000)


def test_progress_is_told_in_bytes_of_the_split(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet", "default/train/0001.parquet", "default/test/0000.parquet")
    told: list[tuple[str, int, int]] = []
    hub_files(f"hf:{TALES}", progress=lambda *what: told.append(what))
    assert told[-1] == (f"downloading {TALES}", 40_000, 40_000)
    assert {total for _, _, total in told} == {40_000}


def test_the_library_draws_no_bars_of_its_own(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    hub.convert(TALES, "default/train/0000.parquet")
    hub_files(f"hf:{TALES}")
    out, err = capfd.readouterr()
    assert out == ""
    assert "%" not in err


def test_a_dataset_that_does_not_exist_is_answered_with_a_close_name(hub: Hub) -> None:
    hub.convert(TALES, "default/train/0000.parquet")
    with pytest.raises(CorpusError, match=r"no dataset ana/tale .*did you mean ana/tales\?.*hf auth login"):
        hub_files("hf:ana/tale")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "is gated: accept its conditions"),
        (401, "RepoNotFound", "private"),
        (403, "", "hf auth login"),
    ],
)
def test_a_dataset_that_may_not_be_read_is_answered_with_the_log_in(
    hub: Hub, status: int, code: str, said: str
) -> None:
    hub.refused[TALES] = (status, code)
    with pytest.raises(CorpusError, match=said) as caught:
        hub_files(f"hf:{TALES}")
    assert "hf auth login" in str(caught.value)


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "/etc/passwd", "a/b/c", "", ":train", "a b", "a/b:", "a/b:c:d:e", "..", "C:\\x", "a\n/b"]
)
def test_a_hostile_name_is_a_sentence_and_nothing_is_asked(hub: Hub, name: str) -> None:
    with pytest.raises(CorpusError, match="Write hf:USER/NAME"):
        hub_files(f"hf:{name}")
    assert hub.asked == []


@pytest.mark.parametrize(
    "path", ["../../x.parquet", "/tmp/x.parquet", "a/../../x.parquet", "a\\..\\x.parquet", "C:x.parquet"]
)
def test_a_path_of_a_hostile_hub_is_never_asked_for(hub: Hub, path: str) -> None:
    hub.datasets[TALES] = {"main": {path: b"PAR1"}}
    with pytest.raises(BajkaError):
        hub_files(f"hf:{TALES}")
    assert not any("resolve" in line for line in hub.asked)


def test_only_names_with_the_prefix_are_of_the_hub() -> None:
    assert is_hub_name("hf:ana/tales")
    assert not any(map(is_hub_name, ["ana/tales", "tales.txt", "HF:x", "/hf:", ""]))


def test_the_endpoint_of_the_environment_is_where_it_asks(hub: Hub, tmp_path: Path) -> None:
    hub.convert(TALES, "default/train/0000.parquet")
    code = "from bajka.datasets import hub_files; print(hub_files('hf:ana/tales')[0].stat().st_size)"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "20000"), done.stderr
