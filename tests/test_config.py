"""The settings page: what is understood, and what is answered to what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.settings import OTHER_NAMES, SECTION_OF, load_settings, settings_from, settings_with, wishes

PAGE = """
[corpus]
texts = ["alice.txt", "књиге"]
validation_share = 0.1
[model]
family = "gpt2"
n_layer = 6
[optimizer]
learning_rate = 3e-4
[schedule]
minutes = 5
[sample]
prompts = ["Alice was", "The \\"Queen\\"\\n"]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "page.toml").write_text(text, encoding="utf-8")
    return folder / "page.toml"


def test_a_page_is_read_into_sections(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, PAGE))
    assert settings.corpus.texts == ("alice.txt", "књиге")
    assert settings.model.family == "gpt2"
    assert settings.schedule.minutes == 5.0
    assert settings.model.n_head is None


def test_a_rate_written_as_3e_4_is_a_number(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, PAGE)).optimizer.learning_rate == 0.0003


def test_a_page_comes_back_from_what_was_asked(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, PAGE))
    again = load_settings(write(tmp_path, tomli_w.dumps(wishes(settings))))
    assert again == settings
    assert wishes(again) == wishes(settings)


def test_only_what_was_asked_is_written() -> None:
    assert wishes(settings_with(n_layer=4, dropout=None)) == {"model": {"n_layer": 4}}
    assert wishes(Settings()) == {}


def test_every_section_can_be_written_and_read(tmp_path: Path) -> None:
    settings = settings_from(json.loads(Settings().model_dump_json(exclude_none=True)))
    assert load_settings(write(tmp_path, tomli_w.dumps(wishes(settings)))) == Settings()


def test_windows_notepad_s_mark_at_the_beginning_is_no_problem(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "\ufeff[model]\nn_layer = 6\n")).model.n_layer == 6


def test_flat_names_find_their_sections_and_win() -> None:
    base = settings_with(n_layer=4, seed=1)
    changed = settings_with(base, n_layer=8, device="cpu")
    assert (changed.model.n_layer, changed.train.seed, changed.hardware.device) == (8, 1, "cpu")
    assert base.model.n_layer == 4


def test_a_new_length_replaces_the_old_one() -> None:
    base = settings_with(minutes=5, warmup_steps=10)
    schedule = settings_with(base, steps=100).schedule
    assert (schedule.minutes, schedule.steps, schedule.warmup_steps) == (None, 100, 10)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().model.n_layer = 4  # type: ignore[misc]


def test_field_names_are_unique_across_sections() -> None:
    fields = [name for info in Settings.model_fields.values() for name in info.annotation.model_fields]
    assert sorted(fields) == sorted(SECTION_OF)


def test_every_setting_says_what_it_is() -> None:
    for section in Settings.model_fields.values():
        for name, field in section.annotation.model_fields.items():
            assert field.description, name


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"model": {"n_layers": 4}}, r"there is no setting n_layers \(did you mean n_layer\?\)"),
        ({"model": {"zzz": 4}}, r"there is no setting zzz$"),
        ({"train": {"block_size": 4}}, r"there is no setting block_size \(here it is called context_length\)"),
        ({"train": {"from": "a"}}, r"there is no setting from \(here it is called from_model\)"),
        ({"modle": {"n_layer": 4}}, r"there is no section modle \(did you mean model\?\)"),
        ({"n_layer": 4}, r"n_layer stands outside its section: put it under \[model\]"),
        ({"model": {"learning_rate": 1}}, r"learning_rate stands outside its section: put it under \[optimizer\]"),
        ({"schedule": "cosine"}, r"schedule stands outside its section: put it under \[schedule\]"),
        ({"model": 5}, r"model = 5: this is a section, write \[model\] and its settings below"),
        ({"model": {"n_layer": "eight"}}, r"n_layer = 'eight': input should be a valid integer"),
        ({"model": {"n_layer": 0}}, r"n_layer = 0: input should be greater than or equal to 1"),
        ({"model": {"dropout": float("nan")}}, r"dropout = nan: input should be a finite number"),
        ({"model": {"family": "bert"}}, r"family = 'bert': input should be 'modern', 'llama', 'gpt2' or 'gpt1'"),
        ({"corpus": {"texts": "alice.txt"}}, r"texts = 'alice.txt': write a list, as \['alice.txt'\]"),
        ({"corpus": {"texts": ["a", 5]}}, r"texts = 5: input should be a valid string"),
        ({"sample": {"temperature": -1}}, r"temperature = -1: input should be greater than or equal to 0"),
        ({"schedule": {"most_epochs": 5, "steps": 3}}, r"most_epochs is for a run in minutes, but steps was given"),
        ({"schedule": {"minutes": 5, "steps": 3}}, r"minutes and steps were both given, but a run has one length"),
    ],
)
def test_a_problem_is_a_sentence_with_name_value_and_advice(sections: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        settings_from(sections)
    assert str(caught.value).startswith("There is a problem in the settings:\n  - ")
    assert caught.value.exit_code == 2


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    page = write(tmp_path, "n_layer = 4\n[model]\nn_head = 0\nlayers = 2\n[schedule]\nsteps = 'ten'\n")
    with pytest.raises(SettingsError, match=r"There are 4 problems in .*page\.toml") as caught:
        load_settings(page)
    assert len(str(caught.value).splitlines()) == 5


def test_unknown_flat_names_are_all_answered() -> None:
    with pytest.raises(SettingsError, match=r"no setting max_iters \(here it is called steps\); .* no setting n_laier"):
        settings_with(max_iters=5, n_laier=3)


@pytest.mark.parametrize("ours", sorted(set(OTHER_NAMES.values())))
def test_what_other_names_are_answered_with_exists(ours: str) -> None:
    assert ours in SECTION_OF


def test_a_missing_page_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no settings file .*none\.toml"):
        load_settings(tmp_path / "none.toml")


def test_a_folder_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path)


def test_broken_toml_is_a_sentence_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"is not valid TOML: .*line 2"):
        load_settings(write(tmp_path, "[model]\nn_layer = = 4\n"))


def test_a_page_that_is_not_utf_8_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "page.toml").write_bytes("[corpus]\ntexts = ['Šuma']\n".encode("cp1250"))
    with pytest.raises(SettingsError, match=r"cannot be read: .*utf-8"):
        load_settings(tmp_path / "page.toml")
