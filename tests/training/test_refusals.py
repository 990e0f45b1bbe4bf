"""What cannot be trained is refused with a sentence, and leaves nothing half-made behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import BajkaError, CorpusError, DamagedFileError, DiskError, ResourceError, RunError, SettingsError
from tiny_runs import Stopped, Watcher, go_on, stop_at, tales_file, train_tiny


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


REFUSED: dict[str, tuple[dict[str, Any], type[BajkaError], str]] = {
    "heads": ({"n_head": 3}, SettingsError, "n_head = 3 does not divide n_embd = 32"),
    "context": ({"context_length": 20_000}, CorpusError, "one window needs 20,001"),
    "tokenizer": ({"tokenizer": "no/such/file.json", "vocab_size": None}, BajkaError, "There is no tokenizer"),
    "memory": ({"n_layer": 200, "n_embd": 65_536, "n_head": 1024}, ResourceError, "Training this model needs about"),
    "device": ({"device": "cuda:99"}, SettingsError, "device = cuda"),
    "unknown": ({"block_size": 8}, SettingsError, "here it is called context_length"),
    "value": ({"temperature": -1}, SettingsError, "temperature = -1"),
    "two lengths": ({"minutes": 1}, SettingsError, "minutes and steps were both given"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_wish_is_a_sentence_and_leaves_no_run(texts: Path, tmp_path: Path, name: str) -> None:
    wishes, kind, sentence = REFUSED[name]
    with pytest.raises(kind, match=sentence):
        train_tiny(texts, out=str(tmp_path / "runs" / "x"), **{"steps": 1} | wishes)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no file or folder"),
        (b"", "it is empty"),
        (b" \n\t\n", "only white space"),
        (b"\x00\x01\xff" * 999, "binary"),
    ],
)
def test_texts_that_are_none_are_refused_and_leave_no_run(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "story.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match=sentence):
        train_tiny(path, out=str(tmp_path / "runs" / "x"), steps=1)
    assert not (tmp_path / "runs").exists()


def test_a_text_too_small_for_one_window_is_refused_with_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "story.txt").write_text("Once upon a time there was a fox.\n\nIt slept. It ate. It slept again.")
    with pytest.raises(
        CorpusError, match=r"text has \d+ tokens, but one window needs 33 \(context_length = 32\). Give more text"
    ):
        bajka.train(tmp_path / "story.txt", out=str(tmp_path / "x"), view=Watcher(), steps=1)
    assert not (tmp_path / "x").exists()


def test_without_texts_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There are no texts to learn from"):
        train_tiny(None, out=None, steps=1)


def test_a_place_where_nothing_can_be_written_is_a_sentence(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DiskError, match="something of another kind already has that name"):
        train_tiny(texts, out=str(tmp_path / "file" / "x"), steps=1)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_whose_plan_and_checkpoints_were_spoilt_is_refused_and_not_begun_again(
    texts: Path, tmp_path: Path
) -> None:
    run = train_tiny(texts, out=str(tmp_path / "x"), steps=1)
    run.folder.plan_file.write_text("{")
    for weights in run.folder.checkpoints.glob("*/model.safetensors"):
        weights.write_bytes(b"")
    with pytest.raises(DamagedFileError, match=r"No checkpoint of .* is good any more"):
        bajka.train(run.path, view=Watcher())
    assert run.folder.metrics()


def test_token_files_of_another_tokenizer_are_refused(texts: Path, tmp_path: Path) -> None:
    run = train_tiny(texts, out=str(tmp_path / "x"), steps=1)
    data = Path(run.plan["data"]["folder"])
    with pytest.raises(BajkaError, match="made by the tokenizer"):
        train_tiny(data, out=str(tmp_path / "y"), steps=1, tokenizer=str(other_tokenizer(tmp_path)), vocab_size=None)
    assert not (tmp_path / "y").exists()


def other_tokenizer(folder: Path) -> Path:
    from tiny import byte_tokenizer

    byte_tokenizer().save(folder / "bytes", context_length=16)
    return folder / "bytes" / "tokenizer.json"


UNFINISHED = {"steps": 8, "evaluate_every_steps": 4}
NEVER: dict[str, tuple[Any, Any]] = {
    "n_layer": (3, 2),
    "n_embd": (64, 32),
    "n_head": (4, 2),
    "n_kv_head": (1, 2),
    "n_inner": (128, 64),
    "context_length": (32, 16),
    "positions": ("learned", "rope"),
    "activation": ("gelu", "swiglu"),
    "tie_embeddings": (True, False),
    "dropout": (0.2, 0.0),
    "family": ("llama", "modern"),
    "vocab_size": (301, 300),
    "tokenizer": ("bytes", "bpe"),
    "seed": (1, 1337),
    "windows": ("documents", "packed"),
    "global_batch_size": (8, 4),
    "optimizer": ("adam", "muon"),
    "schedule": ("cosine", "wsd"),
    "from_model": ("runs/other", "not set"),
}
"""What is asked for, and what the run has."""


@pytest.fixture(scope="module")
def torn_once(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that crashed at step 6, whose prepared data is its own."""
    folder = tmp_path_factory.mktemp("torn")
    own = tales_file(folder / "texts")
    with pytest.raises(Stopped):
        train_tiny(own, stop_at(6), out=str(folder / "run"), **UNFINISHED)
    return folder


@pytest.mark.parametrize("name", NEVER)
def test_what_may_not_change_is_refused_with_both_values(torn_once: Path, name: str) -> None:
    wanted, had = NEVER[name]
    with pytest.raises(RunError, match=f"^{name} = {wanted} cannot change in .* \\(it was {had}\\)"):
        go_on(torn_once / "run", **{name: wanted})


@pytest.fixture
def torn_run(torn_once: Path, tmp_path: Path) -> RunFolder:
    """A copy of that run and its texts, with data prepared elsewhere and gone."""
    shutil.copytree(torn_once, tmp_path / "torn")
    run = RunFolder(tmp_path / "torn" / "run")
    facts = run.plan["data"] | {"folder": str(tmp_path / "gone"), "texts": [str(tmp_path / "torn/texts/tales.txt")]}
    run.write_plan(run.plan | {"data": facts})
    shutil.rmtree(tmp_path / "torn" / "data")
    return run


def change_a_byte(text: str) -> str:
    return text.replace("e", "a", 1)


CHANGES: dict[str, Callable[[str], str]] = {
    "one byte": change_a_byte,
    "one tale less": lambda text: text.rpartition("\n\n")[0],
    "another order": lambda text: "\n\n".join(reversed(text.split("\n\n"))),
    "another corpus": lambda text: "\n\n".join(f"The owl number {n} slept in tree {n}." for n in range(900)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_texts_under_a_checkpoint_are_refused_with_both_fingerprints(torn_run: RunFolder, change: str) -> None:
    texts = Path(torn_run.plan["data"]["texts"][0])
    texts.write_text(CHANGES[change](texts.read_text(encoding="utf-8")), encoding="utf-8")
    was = torn_run.plan["data"]["fingerprint"]
    with pytest.raises(RunError, match=rf"data [0-9a-f]{{16}}, was {was}; .*--from"):
        go_on(torn_run.path)


def test_another_tokenizer_of_the_same_size_under_a_checkpoint_is_refused(torn_run: RunFolder) -> None:
    facts = torn_run.plan["data"]
    torn_run.write_plan(torn_run.plan | {"data": facts | {"tokenizer": "0123456789abcdef"}})
    with pytest.raises(RunError, match=rf"tokenizer {facts['tokenizer']}, was 0123456789abcdef"):
        go_on(torn_run.path)


def test_nanogpts_token_files_train_and_go_on(texts: Path, tmp_path: Path) -> None:
    prepared = Path(train_tiny(texts, out=str(tmp_path / "x"), steps=1).plan["data"]["folder"])
    foreign = tmp_path / "shakespeare"
    foreign.mkdir()
    for name in ("train.bin", "val.bin"):
        (foreign / name).write_bytes((prepared / name).read_bytes())
    wishes = {"tokenizer": str(prepared / "tokenizer.json"), "vocab_size": None, "out": str(tmp_path / "y")}
    run = train_tiny(foreign, steps=2, **wishes)
    watcher = Watcher()
    bajka.train(run.path, view=watcher, steps=1)
    assert "is gone" not in watcher.text
    assert [report.step for report in watcher.reports] == [2]
