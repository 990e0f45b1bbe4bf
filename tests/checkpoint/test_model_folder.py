"""A model folder: complete, stock, and refused with a sentence when it is damaged, foreign or none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bajka.checkpoint.locate import locate_model
from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.errors import DamagedFileError, DiskError, ModelError, TokenizerError
from tiny import FAMILIES, byte_tokenizer, tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "model", tiny_model("llama"), byte_tokenizer())
    return tmp_path / "model"


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")


def test_a_folder_has_all_that_others_look_for(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_settings_of_writing_are_kept_with_the_model(tmp_path: Path) -> None:
    write_model_folder(tmp_path, tiny_model("gpt2"), byte_tokenizer(), sampling={"temperature": 0.7})
    generation = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    assert generation == {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0, "temperature": 0.7}


def test_the_tokenizer_comes_with_the_model(folder: Path) -> None:
    loaded = load_model(str(folder))
    assert loaded.tokenizer.fingerprint == byte_tokenizer().fingerprint
    assert (loaded.folder, loaded.name) == (folder, str(folder))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_loaded_model_is_ready_to_write_or_to_train(family: str, tmp_path: Path) -> None:
    write_model_folder(tmp_path, tiny_model(family), byte_tokenizer())
    model = load_model(str(tmp_path), dropout=0.1).model
    assert not model.training
    assert model.config.dropout == 0.1
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())


def test_weights_are_fp32_whatever_the_model_computes_in(tmp_path: Path) -> None:
    write_model_folder(tmp_path, tiny_model("modern").bfloat16(), byte_tokenizer())
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {torch.float32}


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_cut_file_of_weights_is_damaged(size: int, folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(DamagedFileError, match=r"model\.safetensors is damaged") as caught:
        load_model(str(folder))
    assert caught.value.exit_code == 4


def test_a_missing_tensor_is_named(folder: Path) -> None:
    change_tensors(folder, lambda weights: weights.pop("model.norm.weight"))
    with pytest.raises(DamagedFileError, match=r"lack model\.norm\.weight \(1 missing in all\)"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("lm_head.weight", (256, 32), r"\(256, 32\); its config.json asks for \(257, 32\)"),
        ("model.layers.0.self_attn.k_proj.weight", (32, 31), r"\(32, 31\); its config.json asks for \(32, 32\)"),
        ("model.layers.1.mlp.gate_proj.weight", (65, 32), r"\(65, 32\); its config.json asks for \(64, 32\)"),
        ("model.layers.1.mlp.up_proj.weight", (32,), r"\(32,\); its config.json asks for \(64, 32\)"),
        ("model.norm.weight", (1,), r"\(1,\); its config.json asks for \(32,\)"),
    ],
)
def test_a_tensor_of_the_wrong_shape_is_named(name: str, shape: tuple[int, ...], wanted: str, folder: Path) -> None:
    change_tensors(folder, lambda weights: weights.update({name: torch.zeros(shape)}))
    with pytest.raises(DamagedFileError, match=f"{name} has the shape {wanted}"):
        load_model(str(folder))


def test_transposed_weights_are_checked_as_they_are_stored(tmp_path: Path) -> None:
    write_model_folder(tmp_path, tiny_model("gpt2"), byte_tokenizer())
    name = "transformer.h.0.mlp.c_fc.weight"
    change_tensors(tmp_path, lambda weights: weights.update({name: torch.zeros(128, 32)}))
    with pytest.raises(DamagedFileError, match=rf"{name} has the shape \(128, 32\); .* asks for \(32, 128\)"):
        load_model(str(tmp_path))


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no model\.safetensors. bajka reads weights from \.safetensors files"):
        load_model(str(folder))


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff\xfe\x00", b"[" * 100_000], ids=["cut", "a list", "binary", "deep"]
)
def test_a_config_that_cannot_be_read_is_damaged(content: bytes, folder: Path) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"The config\.json of .* (cannot be read|is not a JSON object)"):
        load_model(str(folder))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": ["a"]}'])
def test_a_damaged_index_of_parts_is_a_sentence(content: str, folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(DamagedFileError, match=r"index\.json is damaged"):
        load_model(str(folder))


def test_an_index_cannot_lead_out_of_its_folder(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    index = {"weight_map": {"lm_head.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"has no outside\.safetensors"):
        load_model(str(folder))


def test_a_foreign_architecture_is_refused(folder: Path) -> None:
    change_config(folder, model_type="bert")
    with pytest.raises(ModelError, match=r"is a 'bert' model\. bajka reads these four"):
        load_model(str(folder))


def test_a_tokenizer_with_more_entries_than_the_model_is_refused(folder: Path) -> None:
    change_config(folder, vocab_size=200)
    change_tensors(folder, lambda weights: weights.update({k: v[:200].contiguous() for k, v in weights.items()}))
    with pytest.raises(ModelError, match="has 257 entries, its model only 200: they do not belong together"):
        load_model(str(folder))


def test_a_model_without_its_tokenizer_is_a_sentence(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TokenizerError, match=r"holds no tokenizer\.json"):
        load_model(str(folder))


def test_a_disk_that_cannot_hold_the_weights_leaves_the_old_ones(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    before = (folder / "model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskError, match=r"Could not write .*model\.safetensors: the disk holds no file so large"):
            write_model_folder(folder, tiny_model("llama", seed=1), byte_tokenizer())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (folder / "model.safetensors").read_bytes() == before
    assert len(list(folder.iterdir())) == 5


@pytest.mark.parametrize("way", ["", "/", "/config.json", "/model.safetensors"])
def test_a_model_is_found_by_its_folder_or_a_file_of_it(way: str, folder: Path) -> None:
    assert locate_model(f"{folder}{way}") == folder


def test_a_run_means_its_best_model(folder: Path) -> None:
    assert locate_model(str(folder.parent)) == folder


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.mkdir(), "is no run and no model: it has neither config.toml nor config.json"),
        (lambda path: (path.mkdir(), (path / "config.toml").write_text("")), "has no model yet: it was stopped before"),
        (lambda path: path.write_text(""), "is a file. Give the folder of a run or a model"),
        (lambda path: None, "There is no run or model"),
    ],
    ids=["empty", "young run", "file", "nothing"],
)
def test_what_is_no_model_is_a_sentence(make: Callable[[Path], Any], sentence: str, tmp_path: Path) -> None:
    make(tmp_path / "x")
    with pytest.raises(ModelError, match=sentence):
        locate_model(str(tmp_path / "x"))


@pytest.mark.parametrize("name", ["Once upon a time " * 40, "~nobody-of-that-name/run", "a\0b"])
def test_what_can_be_no_path_is_a_sentence(name: str) -> None:
    with pytest.raises(ModelError, match="There is no run or model"):
        locate_model(name)


def test_runs_nearby_are_named(tmp_path: Path) -> None:
    for name in ("alice", "grimm"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text("")
    with pytest.raises(ModelError, match=r"There is no run or model .*alise\. Runs here: .*/alice, .*/grimm\."):
        locate_model(str(tmp_path / "alise"))


@pytest.mark.parametrize("name", ["no-such-model", "nobody/no-such-model"])
def test_without_a_network_a_hub_name_is_a_sentence(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"There is no folder {name} here, and the model {name} could not be had"):
        locate_model(name)
    assert list(tmp_path.iterdir()) == []
