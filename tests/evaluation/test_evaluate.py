"""`evaluate MODEL [TEXTS]`: on texts that are named, or on the run's own validation text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bajka.checkpoint.checkpoint import make_manifest
from bajka.checkpoint.model_folder import LoadedModel, load_model, write_model_folder
from bajka.checkpoint.sealed import MANIFEST, write_sealed
from bajka.config import TokenizerSettings
from bajka.corpus import Document, Split
from bajka.errors import ModelError, TokenizerError
from bajka.evaluation.evaluate import evaluate_model
from bajka.evaluation.loss import strided_loss
from bajka.tokenizer import train_tokenizer
from bajka.tokens import TokenData
from bajka.tokens.prepare import prepare
from bajka.tokens.store import token_set
from tiny import byte_tokenizer, tiny_model

VALIDATION = "Bila jednom jedna lisica. " * 4


@pytest.fixture
def data(tmp_path: Path) -> TokenData:
    split = Split([Document("Once.", "a")], [Document(VALIDATION, "b")], how="as made", same_book=False, share=0.1)
    return prepare(split, byte_tokenizer(), parent=tmp_path / "data", name="tales")


def run_of(folder: Path, data: Path, *, model: str = "model") -> LoadedModel:
    """What is in a run, as far as evaluation looks."""
    (folder / model).mkdir(parents=True)
    (folder / "config.toml").write_text("")
    (folder / "plan.json").write_text(json.dumps({"data": {"folder": str(data)}}))
    write_model_folder(folder / model, tiny_model("modern"), byte_tokenizer())
    write_sealed(folder / model / MANIFEST, make_manifest(folder / model))
    return load_model(str(folder if model == "model" else folder / model))


@pytest.mark.parametrize("model", ["model", "checkpoints/step-000400"])
def test_a_run_is_judged_on_its_own_validation_text(model: str, tmp_path: Path, data: TokenData) -> None:
    loaded = run_of(tmp_path / "runs" / "tales", data.folder, model=model)
    found = evaluate_model(loaded)
    assert found == strided_loss(loaded.model, token_set([VALIDATION], loaded.tokenizer))


def test_named_texts_are_read_whole(tmp_path: Path, data: TokenData) -> None:
    loaded = run_of(tmp_path / "run", data.folder)
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("Жила-была лиса.", encoding="utf-8")
    (texts / "b.txt").write_text("The end.", encoding="utf-8")
    expected = strided_loss(loaded.model, token_set(["Жила-была лиса.", "The end."], loaded.tokenizer))
    assert evaluate_model(loaded, [str(texts)]) == expected


def test_named_texts_are_read_and_cleaned_as_those_of_the_run(tmp_path: Path, data: TokenData) -> None:
    loaded = run_of(tmp_path / "run", data.folder)
    page = '[corpus]\ntexts = ["gone"]\ncolumn = "plot"\nlimit = "5 kB"\n\n[cleaning]\nlowercase = true\n'
    (tmp_path / "run" / "config.toml").write_text(page)
    (tmp_path / "plots.csv").write_text("title,plot\nRain,It RAINS on the hill.\n", encoding="utf-8")
    expected = strided_loss(loaded.model, token_set(["it rains on the hill."], loaded.tokenizer))
    assert evaluate_model(loaded, [str(tmp_path / "plots.csv")]) == expected


def test_texts_that_the_run_learned_from_are_told(tmp_path: Path, data: TokenData) -> None:
    loaded = run_of(tmp_path / "run", data.folder)
    texts, said = tmp_path / "texts", list[str]()
    for folder in ("own", "other"):
        (texts / folder).mkdir(parents=True)
        (texts / folder / "a.txt").write_text("The fox sleeps.")
    facts = {"folder": str(data.folder), "texts": [str(texts / "own")]}
    (tmp_path / "run" / "plan.json").write_text(json.dumps({"data": facts}))
    for named in ("own", "own/a.txt", "."):
        evaluate_model(loaded, [str(texts / named)], say=said.append)
    assert sum("the result is that of texts that it knows" in line for line in said) == 3
    evaluate_model(loaded, [str(texts / "other")], say=said.append)
    assert sum("the result is that of texts that it knows" in line for line in said) == 3


def test_a_model_that_is_no_run_needs_texts(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    write_model_folder(folder, tiny_model("modern"), byte_tokenizer())
    (tmp_path / "config.toml").write_text("")  # of something else, further up
    with pytest.raises(ModelError, match="is no run, so it has no validation text of its own: bajka evaluate MODEL"):
        evaluate_model(load_model(str(folder)))


def test_a_run_whose_data_is_gone_needs_texts(tmp_path: Path) -> None:
    loaded = run_of(tmp_path / "run", tmp_path / "gone")
    with pytest.raises(ModelError, match=r"The prepared data .*gone of this run is gone. Name texts"):
        evaluate_model(loaded)


def test_data_of_another_tokenizer_is_refused(tmp_path: Path) -> None:
    other = train_tokenizer(TokenizerSettings(tokenizer="characters"), [VALIDATION], vocab_size=0)
    split = Split([Document("Once.", "a")], [Document(VALIDATION, "b")], how="as made", same_book=False, share=0.1)
    data = prepare(split, other, parent=tmp_path, name="tales")
    with pytest.raises(TokenizerError, match=f"made by the tokenizer {other.fingerprint}, not by this model's"):
        evaluate_model(run_of(tmp_path / "run", data.folder))
