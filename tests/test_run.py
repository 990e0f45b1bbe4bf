"""`Run`: what a person does with a finished run from Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bajka
from bajka.errors import RunError, SettingsError
from bajka.hardware import torch_as_before
from bajka.watching.view import SilentView
from tiny_runs import TINY, tales_file, train_tiny

GIVEN = ("n_layer", "n_embd", "n_head", "vocab_size", "context_length")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    folder = tmp_path_factory.mktemp("run")
    return train_tiny(tales_file(folder), out=str(folder / "runs" / "tales"), steps=6)


def test_a_run_opens_by_its_folder(run: bajka.Run) -> None:
    again = bajka.open_run(str(run.path))
    assert repr(again) == f"Run({str(run.path)!r})"
    assert again.settings.schedule.steps == 6
    assert again.plan["finished"]["step"] == 6
    assert again.metrics[-1]["step"] == 6


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_no_run_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run|not a run"):
        bajka.open_run(tmp_path / name)


def test_the_prompt_is_continued_and_the_same_seed_gives_the_same_text(run: bajka.Run) -> None:
    texts = [run.generate("Once upon", max_new_tokens=12, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    assert all(text.startswith("Once upon") and len(text) > len("Once upon") for text in texts)
    assert texts[0] == texts[1] != texts[2]


def test_without_a_seed_each_call_draws_one_and_tells_it(run: bajka.Run) -> None:
    first, second = (run.write("Once", max_new_tokens=30, temperature=2.0)[0] for _ in range(2))
    assert first.text != second.text
    again = run.write(iter(["Once"]), max_new_tokens=np.int64(30), temperature=2.0, top_k=None, seed=first.seed)
    assert again[0].text == first.text


def test_a_way_of_writing_that_there_is_not_is_a_sentence(run: bajka.Run) -> None:
    with pytest.raises(SettingsError, match=r"no way of writing called max_tokens\. There are max_new_tokens, temp"):
        run.generate("Once", max_tokens=5)


def test_a_run_that_is_not_here_any_more_has_no_empty_numbers(
    run: bajka.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path.parent)
    here = bajka.open_run("tales")
    assert here.metrics == run.metrics
    assert here.samples
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="tales is not here"):
        _ = here.metrics


def test_paths_pages_and_settings_are_taken_as_they_come(tmp_path: Path) -> None:
    texts = tales_file(tmp_path)
    page = tmp_path / "page.toml"
    page.write_text(f"[corpus]\ntexts = ['{texts}']\n[schedule]\nsteps = 5\n[model]\nn_layer = 1\n")
    first = train_tiny(texts, steps=1, out=tmp_path / "a")
    second = train_tiny(texts, steps=1, out=tmp_path / "b", from_model=first.path, **dict.fromkeys(GIVEN))
    assert second.settings.train.from_model == str(first.path)
    page_and_more = bajka.Settings(schedule={"minutes": 5})
    assert train_tiny(texts, settings=page_and_more, steps=1, out=tmp_path / "a").path == first.path  # one length
    with pytest.raises(SettingsError, match="leave settings out"):
        bajka.train(first.path, add=texts, settings=page_and_more)
    with pytest.raises(SettingsError, match="or settings, not both"):
        bajka.train(page, settings=page_and_more)
    longer = bajka.train(second.path, settings=bajka.Settings(schedule={"steps": 3}), view=SilentView())
    assert longer.plan["finished"]["step"] > 1
    asked = {name: value for name, value in TINY.items() if name != "n_layer"}
    paged = bajka.train(page, out=tmp_path / "c", view=SilentView(), **asked)
    assert (paged.plan["finished"]["step"], paged.settings.model.n_layer) == (5, 1)
    assert bajka.load_settings(page).schedule.steps == 5


def test_a_training_leaves_torch_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    train_tiny(tales_file(tmp_path), steps=2, out=str(tmp_path / "x"), dropout=0.1, threads=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == before
    with torch_as_before():
        torch.use_deterministic_algorithms(True)  # as on a GPU with --deterministic
    assert not torch.are_deterministic_algorithms_enabled()
    with torch_as_before():
        torch.use_deterministic_algorithms(True, warn_only=True)
        with torch_as_before():
            torch.use_deterministic_algorithms(True)
        assert torch.is_deterministic_algorithms_warn_only_enabled()


def test_greedy_writing_needs_no_seed(run: bajka.Run) -> None:
    found = {run.generate("Once", max_new_tokens=8, temperature=0, seed=seed) for seed in (1, 2)}
    assert len(found) == 1


def test_several_texts_for_several_prompts_come_in_order(run: bajka.Run) -> None:
    texts = run.write(["A", "The fox"], n=2, max_new_tokens=3)
    assert [(text.prompt, text.number) for text in texts] == [("A", 0), ("A", 1), ("The fox", 2), ("The fox", 3)]
    assert all(text.reason in ("stop", "length") for text in texts)


def test_top_k_beyond_the_vocabulary_is_the_whole_vocabulary(run: bajka.Run) -> None:
    assert run.generate("A", top_k=10**6, max_new_tokens=2, seed=3) == run.generate("A", max_new_tokens=2, seed=3)


def test_a_wrong_temperature_is_refused(run: bajka.Run) -> None:
    with pytest.raises(SettingsError, match=r"temperature = -1 must be 0 \(greedy\) or more"):
        run.generate("A", temperature=-1)


def test_a_run_is_judged_on_its_own_validation_text_or_on_given_texts(run: bajka.Run, tmp_path: Path) -> None:
    own = run.evaluate()
    assert own.tokens == run.plan["data"]["validation_tokens"] - 1  # all but the end-of-text that begins the document
    assert 0 < own.bits_per_byte < own.bits_per_letter
    other = run.evaluate([str(tales_file(tmp_path, count=3))])
    assert other.tokens < own.tokens
    assert other.loss != own.loss


def test_a_string_is_one_prompt_and_a_path_one_text(run: bajka.Run, tmp_path: Path) -> None:
    assert [text.prompt for text in run.write("The king", max_new_tokens=2)] == ["The king"]
    text = tmp_path / "tales.txt"
    text.write_text("Once upon a time there was a fox.")
    assert run.evaluate(str(text)) == run.evaluate(text) == run.evaluate([str(text)])


@pytest.mark.parametrize(("wish", "sentence"), [({"n": 3}, "write"), ({"max_new_tokens": 2.5}, "whole number")])
def test_wishes_that_cannot_be_heard_are_refused(run: bajka.Run, wish: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        run.generate("A", **wish)


def test_a_part_that_is_none_is_refused(run: bajka.Run) -> None:
    with pytest.raises(SettingsError, match="part = 'tset'"):
        run.evaluate(part="tset")  # type: ignore[arg-type]


def test_a_run_writes_as_it_wrote_its_samples(tmp_path: Path) -> None:
    greedy = train_tiny(
        tales_file(tmp_path), out=str(tmp_path / "runs" / "t"), steps=3, temperature=0.0, max_new_tokens=5
    )
    assert len(greedy.write(["Once"])[0].ids) <= 5
    assert {greedy.generate("Once", seed=seed) for seed in (1, 2)} == {greedy.generate("Once", temperature=0)}


def test_a_run_without_compiling_never_loads_the_compiler(tmp_path: Path) -> None:
    """Loading it takes longer than preparing a novel."""
    code = "import sys, bajka\nfrom tiny_runs import tales_file, train_tiny\nfrom pathlib import Path\n"
    code += "train_tiny(tales_file(Path(sys.argv[1])), out=sys.argv[1] + '/run', steps=2, compile='off')\n"
    code += (
        "print(sorted(name for name in sys.modules if name in ('torch._inductor', 'torch._dynamo', 'transformers')))"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
