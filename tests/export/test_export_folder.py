"""Exported folders: six files, loadable anywhere, nothing of the person's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planted import PLANTED, SECRET

from bajka import open_run
from bajka.checkpoint.model_folder import write_model_folder
from bajka.errors import DiskError, InputError, ModelError
from bajka.export.folder import FILES, export_folder
from tiny import byte_tokenizer, tiny_model


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_an_export_holds_six_files_and_none_of_those_planted_in_the_run(run: Path, tmp_path: Path) -> None:
    output = export_folder(str(run), tmp_path / "out")
    assert names_in(output) == sorted(FILES)
    assert len(PLANTED) == 20


def test_nothing_of_the_person_is_in_any_file(run: Path, tmp_path: Path) -> None:
    output = export_folder(str(run), tmp_path / "out")
    for name in FILES:
        assert SECRET.encode() not in (output / name).read_bytes()


def test_nothing_but_the_export_is_left_beside_it(run: Path, tmp_path: Path) -> None:
    export_folder(str(run), tmp_path / "new" / "out")
    assert names_in(tmp_path / "new") == sorted(["out", *(f"out/{name}" for name in FILES)])


def test_transformers_writes_the_same_greedy_text(run: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    output = export_folder(str(run), tmp_path / "out")
    tokenizer = transformers.AutoTokenizer.from_pretrained(output)
    model = transformers.AutoModelForCausalLM.from_pretrained(output)
    ids = model.generate(**tokenizer("Once upon", return_tensors="pt"), max_new_tokens=12, do_sample=False)
    text = open_run(run).generate("Once upon", max_new_tokens=12, temperature=0)
    assert tokenizer.decode(ids[0], skip_special_tokens=True) == text


def test_the_runs_sampling_is_the_default_of_the_export(run: Path, tmp_path: Path) -> None:
    generation = json.loads((export_folder(str(run), tmp_path / "out") / "generation_config.json").read_text())
    assert (generation["do_sample"], generation["temperature"], generation["max_new_tokens"]) == (True, 0.8, 20)
    assert generation["top_k"] == 0  # transformers would take 50


def test_a_checkpoint_and_a_plain_folder_can_be_exported(run: Path, tmp_path: Path) -> None:
    checkpoint = next((run / "checkpoints").glob("step-*"))
    assert (export_folder(str(checkpoint), tmp_path / "one") / "model.safetensors").is_file()
    write_model_folder(tmp_path / "plain", tiny_model("gpt2"), byte_tokenizer())
    assert (export_folder(str(tmp_path / "plain"), tmp_path / "two") / "README.md").is_file()


def test_an_earlier_export_is_replaced(run: Path, tmp_path: Path) -> None:
    output = export_folder(str(run), tmp_path / "out")
    (output / "config.json").write_text("{}")
    export_folder(str(run), output)
    assert json.loads((output / "config.json").read_text())["model_type"] == "qwen3"
    assert names_in(output) == sorted(FILES)


def test_an_empty_folder_is_filled(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert names_in(export_folder(str(run), tmp_path / "out")) == sorted(FILES)


def test_a_folder_with_other_files_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "novel.txt").write_text("mine")
    with pytest.raises(InputError, match=r"already holds novel\.txt"):
        export_folder(str(run), tmp_path / "mine")
    assert names_in(tmp_path / "mine") == ["novel.txt"]


def test_the_models_of_a_run_are_never_exported_onto(trained: Path) -> None:
    before = (trained / "model" / "config.json").read_bytes()
    with pytest.raises(InputError, match="not exported there"):
        export_folder(str(trained), trained / "model")
    assert (trained / "model" / "config.json").read_bytes() == before


def test_a_file_as_output_is_a_sentence(run: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        export_folder(str(run), tmp_path / "out")


def test_an_output_below_a_file_is_a_sentence(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="Could not write"):
        export_folder(str(run), tmp_path / "file" / "out")


def test_what_is_no_model_is_a_sentence_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    with pytest.raises(ModelError, match="no run and no model"):
        export_folder(str(tmp_path / "texts"), tmp_path / "out")
    assert names_in(tmp_path) == ["texts"]
