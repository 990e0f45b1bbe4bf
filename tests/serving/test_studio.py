"""The studio, asked over HTTP with Gradio's own client, as a browser asks it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from bajka.checkpoint.model_folder import LoadedModel, load_model, write_model_folder
from bajka.config import SampleSettings
from bajka.errors import InputError, MissingExtraError, ResourceError, SettingsError
from bajka.generation.sampling import Sampling
from bajka.generation.write import generate
from bajka.serving.studio import build_studio, free_address, run_studio, start_studio
from bajka.serving.writing import LONGEST, MOST_TEXTS, read_wish, write_texts
from tiny import byte_tokenizer, tiny_model


@dataclass
class Studio:
    """A served page, a client of it, and the number of times its model was asked."""

    url: str
    client: Client
    loaded: LoadedModel
    asked: int = 0

    def write(self, prompt: str, **values: Any) -> tuple[str, ...]:
        return self.client.predict(prompt, **{"api_name": "/write", "max_new_tokens": 40, "seed": 5} | values)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A tiny random model, served on a free port of this computer."""
    folder = tmp_path_factory.mktemp("runs") / "tales" / "model"
    write_model_folder(folder, tiny_model("modern"), byte_tokenizer())
    loaded = load_model(str(folder))
    page = build_studio(loaded, title="tales", sample=SampleSettings(temperature=0.7), prompts=["Once upon a time"])
    host, port = free_address("127.0.0.1", 0)
    url = start_studio(page, host=host, port=port)
    served = Studio(url, Client(url, verbose=False, analytics_enabled=False), loaded)

    def count(*_: Any) -> None:
        served.asked += 1

    loaded.model.register_forward_pre_hook(count)
    yield served
    served.client.close()
    page.close(verbose=False)


def test_a_text_is_what_generate_gives_for_the_same_seed(studio: Studio) -> None:
    sampling = Sampling(max_new_tokens=40, temperature=0.7, seed=5)  # the page's own default temperature
    text = generate(studio.loaded.model, studio.loaded.tokenizer, ["Once"], sampling=sampling)[0]
    assert studio.write("Once")[0] == text.whole


def test_several_texts_come_side_by_side_and_unasked_places_stay_empty(studio: Studio) -> None:
    sampling = Sampling(max_new_tokens=40, temperature=1.2, top_k=20, top_p=0.9, seed=7)
    texts = generate(studio.loaded.model, studio.loaded.tokenizer, ["Čar"], n=3, sampling=sampling)
    shown = studio.write("Čar", n=3, temperature=1.2, top_k=20, top_p=0.9, seed=7)
    assert list(shown[:3]) == [text.whole for text in texts]
    assert list(shown[3:MOST_TEXTS]) == [""] * (MOST_TEXTS - 3)


def test_the_line_below_the_texts_names_the_seed(studio: Studio) -> None:
    assert "Seed 5" in studio.write("Once")[-1]
    assert studio.write("Once", seed=-1)[-1] != studio.write("Once", seed=-1)[-1]


def test_a_text_grows_while_it_is_written(studio: Studio) -> None:
    job = studio.client.submit("Once", max_new_tokens=800, seed=5, api_name="/write")
    job.result()
    pieces = [shown[0] for shown in job.outputs()]
    assert len(pieces) > 2
    assert all(longer.startswith(shorter) for shorter, longer in itertools.pairwise(pieces))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"temperature": -1}, "temperature = -1.0 must be 0 (greedy) or more"),
        ({"temperature": "warm"}, "The temperature must be a number"),
        ({"temperature": float("nan")}, "The temperature must be a number"),
        ({"n": 7}, "The number of texts is 7, but must be a whole number from 1 to 6"),
        ({"n": 1.5}, "The number of texts is 1.5"),
        ({"max_new_tokens": LONGEST + 1}, "The length is 2001"),
        ({"top_k": -2}, "Top-k is -2"),
        ({"top_p": 0}, "top_p = 0.0 must be above 0"),
        ({"seed": -3}, "The seed is -3"),
        ({"prompt": "x" * 20_001}, "at most 20,000 characters"),
        ({"prompt": 5}, "The beginning must be a text"),
    ],
)
def test_a_bad_value_is_a_sentence(values: dict[str, Any], sentence: str) -> None:
    good = {"prompt": "Once", "n": 1, "max_new_tokens": 4, "temperature": 1, "top_k": 0, "top_p": 1, "seed": 0}
    with pytest.raises(SettingsError) as caught:
        read_wish(**good | values, vocab_size=257)
    assert sentence in str(caught.value)


def test_a_bad_value_reaches_the_browser_as_its_sentence(studio: Studio) -> None:
    with pytest.raises(AppError, match=r"temperature = -1\.0 must be 0"):
        studio.write("Once", temperature=-1)


def test_half_a_letter_in_the_beginning_is_a_sentence(studio: Studio) -> None:
    wish = read_wish("a\ud800", 1, 4, 1.0, 0, 1.0, 0, vocab_size=257)
    with pytest.raises(InputError, match="half a character"):
        next(write_texts(studio.loaded, wish))


def test_a_top_k_beyond_the_vocabulary_means_all_of_it() -> None:
    wish = read_wish("", 1, 4, 1.0, 5_000, 1.0, 0, vocab_size=257)
    assert wish.sampling.top_k == 257


def test_closing_the_texts_stops_the_work(studio: Studio) -> None:
    texts = write_texts(studio.loaded, read_wish("Once", 6, LONGEST, 1.0, 0, 1.0, 1, vocab_size=257))
    next(texts)
    before = studio.asked
    texts.close()
    assert studio.asked == before


def test_a_reader_who_leaves_stops_the_work(studio: Studio) -> None:
    studio.asked = 0
    host = studio.url.removeprefix("http://").strip("/")
    ask = http.client.HTTPConnection(host)
    function = next(d["id"] for d in studio.client.config["dependencies"] if d["api_name"] == "write")
    values = {"data": ["Once", 6, LONGEST, 0, 0, 1.0, 1], "fn_index": function, "session_hash": "leaver"}
    ask.request("POST", "/gradio_api/queue/join", json.dumps(values), {"Content-Type": "application/json"})
    assert ask.getresponse().status == 200
    listen = http.client.HTTPConnection(host)
    listen.request("GET", "/gradio_api/queue/data?session_hash=leaver")
    response = listen.getresponse()
    while b"process_generating" not in response.readline():
        pass
    response.close()
    listen.close()
    before = -1
    while before != studio.asked:
        before = studio.asked
        time.sleep(0.3)
    assert studio.asked < LONGEST  # whole texts (greedy, without an end) ask the model at least so often


def test_the_page_says_that_it_stopped_only_after_the_last_piece_of_text(studio: Studio) -> None:
    functions = studio.client.config["dependencies"]
    write = next(one for one in functions if one["api_name"] == "write")
    (cancel,) = [one for one in functions if one["cancels"] == [write["id"]]]
    pressed = [one for one in functions if one["targets"] == cancel["targets"]]
    told = [one for one in functions if one["trigger_after"] in [one["id"] for one in pressed]]
    assert [one["outputs"] for one in pressed] == [[]] * len(pressed)  # what they wrote, a last piece would overwrite
    assert [one["outputs"] for one in told] == [write["outputs"][-1:]]


def test_the_page_keeps_to_itself(studio: Studio) -> None:
    config = studio.client.config
    assert config["analytics_enabled"] is False
    assert config["run_history"] is False
    assert "default-src 'self'" in config["head"]
    assert [d["api_name"] for d in config["dependencies"] if d["api_visibility"] == "public"] == ["write"]


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
def test_the_page_serves_no_files(studio: Studio, path: str) -> None:
    connection = http.client.HTTPConnection(studio.url.removeprefix("http://").strip("/"))
    connection.request("GET", f"/gradio_api/file={studio.loaded.folder / path}")
    assert connection.getresponse().status in (403, 404)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_a_run_is_served_with_its_own_habits_until_ctrl_c(tmp_path: Path) -> None:
    run = tmp_path / "foxes"
    write_model_folder(run / "model", tiny_model("gpt2"), byte_tokenizer())
    (run / "config.toml").write_text("[sample]\ntemperature = 0.3\ntop_k = 250\nmax_new_tokens = 7\n")
    (run / "samples.jsonl").write_text('{"step": 0, "prompt": "A fox", "text": "."}\n' * 2)
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from bajka.cli.main import main; main()"
    )
    command = [sys.executable, "-c", code, "studio", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(word for word in server.stdout.readline().split() if word.startswith("http://"))
            client = Client(url, verbose=False, analytics_enabled=False)
            props = [component["props"] for component in client.config["components"]]
            values = {one["label"]: one.get("value") for one in props if one.get("label")}
            examples = [one["samples"] for one in props if "samples" in one]
            written = client.predict("A fox", seed=1, api_name="/write")
            client.close()
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
    assert client.config["title"] == "foxes"
    assert (values["Temperature"], values["Top-k"], values["Length in tokens"]) == (0.3, 250, 7)
    assert examples == [[["A fox"]]]
    assert written[0].startswith("A fox")


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ResourceError, match=f"Port {port} of 127.0.0.1 cannot be used"):
            run_studio(str(tmp_path), port=port)


@pytest.mark.parametrize(("host", "port"), [("no such host", 7860), ("127.0.0.1", 70_000)])
def test_an_impossible_address_is_a_sentence(host: str, port: int) -> None:
    with pytest.raises(SettingsError, match=r"(host|port) = "):
        free_address(host, port)


def test_without_gradio_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bajka\[web\]'"):
        run_studio(str(tmp_path))
