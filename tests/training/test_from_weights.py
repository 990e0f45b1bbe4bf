"""A run from given weights: another run of ours, or a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

import pytest

import bajka
from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.errors import ModelError, SettingsError
from tiny import byte_tokenizer, tiny_model
from tiny_runs import tales_file, train_tiny


def test_a_run_from_another_one_starts_where_that_ended_gently_and_with_its_vocabulary(
    texts: Path, finished: bajka.Run, tmp_path: Path
) -> None:
    other = tales_file(tmp_path / "other", count=30)
    wishes = {"n_layer": None, "n_embd": None, "n_head": None, "vocab_size": None, "context_length": None}
    run = train_tiny(other, out=str(tmp_path / "tuned"), from_model=str(finished.path), steps=2, **wishes)
    recipe = run.plan["plan"]["recipe"]
    assert (recipe["optimizer"], recipe["learning_rate"]) == ("adamw", 1e-3)
    assert run.loaded.tokenizer.fingerprint == finished.loaded.tokenizer.fingerprint
    first, last = (line["val_loss"] for line in run.metrics if "val_loss" in line)
    assert first == pytest.approx(finished.evaluate([str(other)]).loss, abs=0.3)
    assert last < first < 5.6  # nats of a fresh model: ln 300 = 5.7


def test_a_run_from_a_hugging_face_folder_keeps_its_shape_and_its_vocabulary(texts: Path, tmp_path: Path) -> None:
    model = tiny_model("gpt2")
    (tmp_path / "gpt2").mkdir()
    write_model_folder(tmp_path / "gpt2", model, byte_tokenizer())
    wishes = {"n_layer": None, "n_embd": None, "n_head": None, "vocab_size": None, "context_length": None}
    run = train_tiny(texts, out=str(tmp_path / "run"), from_model=str(tmp_path / "gpt2"), steps=1, **wishes)
    trained = load_model(str(run.path)).model
    assert trained.config == model.config.model_copy(update={"dropout": 0.0})
    assert trained.config.vocab_size == run.loaded.tokenizer.vocab_size == 257
    difference = max(
        float((p - q).detach().abs().max()) for p, q in zip(trained.parameters(), model.parameters(), strict=True)
    )
    assert 0 < difference < 1.1 * run.plan["plan"]["recipe"]["learning_rate"]  # AdamW's first step, and the decay


def test_given_weights_that_are_not_there_leave_nothing_behind(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no run or model"):
        train_tiny(texts, out=str(tmp_path / "runs" / "run"), from_model=str(tmp_path / "nowhere"), steps=1)
    assert not list(tmp_path.iterdir())


def test_a_shape_beside_given_weights_is_refused(texts: Path, finished: bajka.Run, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="n_layer = 5 was asked for, but the weights of --from have 2"):
        train_tiny(texts, out=str(tmp_path / "x"), from_model=str(finished.path), steps=1, n_layer=5)
    assert not (tmp_path / "x").exists()
