"""Model cards: the facts of the run, and nothing of the person's computer."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml
from planted import SECRET

from bajka.checkpoint.model_folder import load_model, write_model_folder
from bajka.checkpoint.run_folder import RunFolder
from bajka.errors import SettingsError
from bajka.export.card import PLACE, model_card
from bajka.export.folder import export_folder
from tiny import byte_tokenizer, tiny_model


def header_of(card: str) -> dict[str, Any]:
    return dict(yaml.safe_load(card.split("---")[1]))


def card_of(run: Path, **wishes: Any) -> str:
    return model_card(load_model(str(run)), **wishes)


def test_the_header_has_what_the_hub_needs_and_nothing_that_was_not_said(run: Path) -> None:
    header = header_of(card_of(run))
    assert header["library_name"] == "transformers"
    assert header["pipeline_tag"] == "text-generation"
    assert {"license", "language", "base_model"}.isdisjoint(header)


def test_license_and_language_are_those_of_the_person(run: Path) -> None:
    header = header_of(card_of(run, license="cc-by-4.0", language=["hr", "no"]))
    assert (header["license"], header["language"]) == ("cc-by-4.0", ["hr", "no"])


@pytest.mark.parametrize("wish", [{"license": "Do what you want\n"}, {"language": ["Croatian!"]}])
def test_an_ill_formed_header_is_a_sentence(run: Path, wish: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="is not"):
        card_of(run, **wish)


def test_the_numbers_are_those_of_the_best_step(run: Path) -> None:
    best = json.loads((run / "checkpoints" / "best.json").read_text())
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    measured = next(line for line in lines if line["step"] == best["step"] and "val_loss" in line)
    card = card_of(run)
    assert f"Measured at step {best['step']}" in card
    for name in ("val_bits_per_byte", "val_bits_per_letter", "val_loss"):
        assert f"{measured[name]:.4f}" in card


def test_the_numbers_of_averaged_weights_are_the_averages(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "averaged"
    shutil.copytree(run, copy)
    folder = RunFolder.open(copy)
    best = (folder.read_pointer("best") or {}) | {"weights": "average"}
    folder.write_pointer("best", **best)
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        if "val_loss" in line:
            line["average_val_loss"] = line["val_loss"] / 2
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    measured = next(line for line in lines if line["step"] == best["step"] and "val_loss" in line)
    card = card_of(copy)
    assert f"loss | {measured['average_val_loss']:.4f} nats" in card
    assert f"bits per byte | {measured['val_bits_per_byte'] / 2:.4f}" in card
    assert f"perplexity | {math.exp(measured['average_val_loss']):,.2f}" in card


def test_the_samples_are_those_of_the_best_step(run: Path) -> None:
    best = json.loads((run / "checkpoints" / "best.json").read_text())
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    for line in lines:
        shown = f"{line['prompt']}{line['text']}".strip() in card_of(run)
        assert shown == (line["step"] == best["step"])


def test_the_shape_and_the_training_are_told(run: Path) -> None:
    card = card_of(run)
    for fact in (
        "Qwen3ForCausalLM",
        "1 layer, 32 wide, 2 heads",
        "32 tokens",
        "300 entries",
        "6 steps",
        "from scratch",
    ):
        assert fact in card


def test_a_card_has_no_path_and_no_name_of_the_person(run: Path) -> None:
    card = card_of(run, repo_id="ana/tales")
    assert SECRET not in card
    assert not re.search(r"(^|[\s\"'`(])(/[\w.-]+){2,}|[A-Za-z]:\\", card)


def test_a_path_to_the_first_weights_stays_at_home(run: Path, tmp_path: Path) -> None:
    set_base(run, str(tmp_path / SECRET / "other"))
    card = card_of(run)
    assert "base_model" not in header_of(card)
    assert SECRET not in card
    assert "from scratch" not in card


def test_a_base_from_the_hub_is_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = tmp_path / "hub" / "models--ana--big"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    (cached / "snapshots" / "abc").mkdir(parents=True)
    (cached / "snapshots" / "abc" / "config.json").write_text("{}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    set_base(run, "ana/big")
    card = card_of(run)
    assert header_of(card)["base_model"] == "ana/big"
    assert "from scratch" not in card


def set_base(run: Path, name: str) -> None:
    file = run / "config.toml"
    file.write_text(file.read_text().replace("[train]", f"[train]\nfrom_model = {json.dumps(name)}"))


def test_the_code_of_the_card_runs(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    output = export_folder(str(run), tmp_path / "out")
    code = re.search(r"```python\n(.*?)```", (output / "README.md").read_text(), re.DOTALL)
    assert code is not None
    exec(code[1].replace(PLACE, str(output)), {})
    assert capsys.readouterr().out.startswith("Once upon a time")


def test_hostile_samples_stay_inside_their_block(run: Path) -> None:
    samples = run / "samples.jsonl"
    best = json.loads((run / "checkpoints" / "best.json").read_text())["step"]
    hostile = {"step": best, "prompt": "$(rm -rf ~)'\"", "text": "```\n# Not a heading\n````"}
    samples.write_text(json.dumps(hostile) + "\n")
    card = card_of(run)
    assert "`````text\n$(rm -rf ~)'\"```\n# Not a heading\n````\n`````" in card
    assert """bajka generate path/to/this/folder '$(rm -rf ~)'"'"'"' -n 3""" in card


def test_a_model_without_a_run_has_a_card_without_a_history(tmp_path: Path) -> None:
    write_model_folder(tmp_path / "gpt", tiny_model("gpt2"), byte_tokenizer())
    card = card_of(tmp_path / "gpt")
    assert "GPT2LMHeadModel" in card
    assert "How good it is" not in card
    assert "does not chat" in card


def test_a_run_with_a_broken_plan_still_has_a_card(run: Path) -> None:
    (run / "plan.json").write_text("{")
    assert "Measured at step" in card_of(run)
