"""Mixing, replay and several validation sets, from texts to losses, in tiny runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import bajka
from bajka import durable
from bajka.checkpoint.model_folder import write_model_folder
from bajka.errors import BajkaError, CorpusError, RunError, SettingsError, TokenizerError
from bajka.watching.plots import draw_plots
from tiny import byte_tokenizer, tiny_model
from tiny_runs import Stopped, Watcher, bits, go_on, stop_at, tales_file, train_tiny

GIVEN: dict[str, Any] = dict.fromkeys(("n_layer", "n_embd", "n_head", "vocab_size", "context_length"))
"""What weights that training starts from bring along."""


def words(folder: Path, letters: str, *, count: int = 40) -> Path:
    """A folder of documents whose words are of these letters alone, no two alike."""
    folder.mkdir(parents=True)
    for number in range(count):
        text = " ".join("".join(letters[(number * 7 + i * i + j) % len(letters)] for j in range(4)) for i in range(60))
        (folder / f"{number}.txt").write_text(f"{text} {number:b}")
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return words(tmp_path_factory.mktemp("further") / "strange", "bdgkz")


LEARN: dict[str, Any] = {"steps": 24, "learning_rate": 0.02, "evaluate_every_steps": 12}


@pytest.fixture(scope="module")
def alone(texts: Path, strange: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    out = tmp_path_factory.mktemp("alone") / "tales"
    return train_tiny(texts, out=str(out), validate_on=(f"strange={strange}",), **LEARN)


@pytest.fixture(scope="module")
def base(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> bajka.Run:
    return train_tiny(texts, out=str(tmp_path_factory.mktemp("base") / "tales"), steps=40, learning_rate=0.02)


def named(run: bajka.Run, name: str) -> list[float]:
    return [line[f"val_loss/{name}"] for line in run.metrics if f"val_loss/{name}" in line]


# -- mixing ------------------------------------------------------------------------------------------------------


def test_what_is_mixed_in_is_learned(texts: Path, strange: Path, alone: bajka.Run, tmp_path: Path) -> None:
    mixed = train_tiny(texts, out=str(tmp_path / "b"), mix=(f"{strange}=0.4",), **LEARN)
    assert named(mixed, "strange")[-1] < named(alone, "strange")[-1] - 0.5
    assert len(named(mixed, "strange")) == sum("val_loss" in line for line in mixed.metrics)


def test_the_steps_of_a_mixture_read_every_corpus_in_its_share(texts: Path, strange: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    run = train_tiny(texts, watcher, out=str(tmp_path / "x"), mix=(f"{strange}=0.25",), epochs=0.05)
    assert "Of the windows come 75 % from the texts themselves, 25 % from strange (read" in watcher.text
    assert "An epoch is one reading of the texts themselves." in watcher.text
    assert watcher.reports[-1].epoch == pytest.approx(0.05, abs=0.01)
    assert "strange: Read 40 documents" in watcher.text
    assert [one["name"] for one in run.plan["data"]["further"]] == ["strange"]


def test_a_mixture_killed_and_continued_gives_the_same_bits(texts: Path, strange: Path, tmp_path: Path) -> None:
    wishes = {"steps": 12, "mix": (f"{strange}=0.3",)}
    straight = train_tiny(texts, out=str(tmp_path / "a"), **wishes)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(7), out=str(tmp_path / "b"), **wishes)
    assert bits(go_on(tmp_path / "b")) == bits(straight)


@pytest.mark.torture
def test_prepared_data_that_is_gone_is_made_again_and_gives_the_same_bits(
    texts: Path, strange: Path, tmp_path: Path
) -> None:
    wishes = {"steps": 8, "mix": (f"{strange}=0.3",), "validate_on": (f"same={strange / '3.txt'}",)}
    straight = train_tiny(texts, out=str(tmp_path / "a"), **wishes)
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "b"), **wishes)
    shutil.rmtree(tmp_path / "data")
    watcher = Watcher()
    assert bits(go_on(tmp_path / "b", watcher)) == bits(straight)
    assert "is gone; preparing it again" in watcher.text


@pytest.mark.torture
def test_mixed_in_texts_that_changed_are_refused_when_their_data_is_gone(texts: Path, tmp_path: Path) -> None:
    further = words(tmp_path / "further", "bdg")
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "x"), steps=8, mix=(f"{further}=0.3",))
    shutil.rmtree(tmp_path / "data")
    (further / "1.txt").write_text("something else entirely, and not short")
    with pytest.raises(RunError, match=r"not those of .*further \w{16}, was \w{16}"):
        go_on(tmp_path / "x")


@pytest.mark.torture
def test_a_validation_set_whose_data_is_gone_does_not_stop_a_run(texts: Path, strange: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train_tiny(texts, stop_at(6), out=str(tmp_path / "x"), steps=8, validate_on=(f"odd={strange}",))
    for folder in (tmp_path / "data").glob("odd-*"):
        shutil.rmtree(folder)
    watcher = Watcher()
    go_on(tmp_path / "x", watcher)
    assert "odd is not validated on any more" in watcher.text


def test_nothing_is_learned_that_another_corpus_holds_out(texts: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    further = words(tmp_path / "further", "bdg", count=30)
    seen = words(tmp_path / "seen", "bdg", count=10)
    train_tiny(texts, watcher, out=str(tmp_path / "x"), steps=1, mix=(f"{further}=0.3",), validate_on=(f"seen={seen}",))
    said = next(line for line in watcher.lines if "not trained on" in line)
    assert said.startswith("further: not trained on ")
    assert 1 <= int(said.split()[4]) <= 10


def test_held_out_text_inside_a_larger_file_of_another_corpus_is_told(texts: Path, tmp_path: Path) -> None:
    seen = words(tmp_path / "seen", "bdgkz", count=6)
    volume = tmp_path / "volumes" / "volume.txt"
    volume.parent.mkdir()
    end = words(tmp_path / "end", "mnprs", count=80)  # what the volume holds out itself
    volume.write_text("\n\n".join(one.read_text() for one in [*sorted(seen.iterdir()), texts, *sorted(end.iterdir())]))
    watcher = Watcher()
    watched = (f"seen={seen}",)
    train_tiny(texts, watcher, out=str(tmp_path / "x"), steps=1, mix=(f"{volume.parent}=0.3",), validate_on=watched)
    said = [line for line in watcher.lines if "stands word for word in training too (volumes/volume.txt alone" in line]
    assert len(said) == 2  # of the tales and of `seen`
    assert sum(line.startswith("seen: 100 % of the held-out text") for line in said) == 1


def test_a_run_without_further_texts_is_what_it_was(base: bajka.Run) -> None:
    assert "further" not in base.plan["data"]
    assert not [key for line in base.metrics for key in line if "/" in key]


def test_an_encoding_is_for_the_corpus_whose_files_it_fits(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for number in range(3):
        (tmp_path / "old" / f"{number}.txt").write_bytes(("жила-была лиса " * 40 + str(number)).encode("koi8-r"))
    watcher, wishes = Watcher(), {"out": str(tmp_path / "x"), "steps": 1, "mix": (f"{tmp_path / 'old'}=0.3",)}
    train_tiny(texts, watcher, encoding=("old/*=koi8-r",), **wishes)
    letters = 3 * 40 * len("жилабылалиса")
    assert any(line.startswith("old: Read 3 documents") and f"{letters:,} letters" in line for line in watcher.lines)
    with pytest.raises(SettingsError, match='pattern "new/\\*" fits none of the 1 files'):
        train_tiny(texts, encoding=("new/*=koi8-r",), **wishes)


@pytest.mark.torture
def test_the_same_name_twice_gets_a_number_and_data_of_its_own(texts: Path, tmp_path: Path) -> None:
    one, other = words(tmp_path / "a" / "tales", "bd"), words(tmp_path / "b" / "tales", "gk")
    run = train_tiny(texts, out=str(tmp_path / "x"), steps=1, mix=(f"{one}=0.1",), validate_on=(str(other),))
    assert [one["name"] for one in run.plan["data"]["further"]] == ["tales-2", "tales-3"]
    assert len(list((tmp_path / "data").glob("tales*-texts-????????"))) == 3


def test_token_files_can_be_mixed_in(texts: Path, base: bajka.Run, strange: Path, tmp_path: Path) -> None:
    prepared = Path(base.plan["data"]["folder"])
    tokenizer = {"tokenizer": str(prepared / "tokenizer.json"), "vocab_size": None}
    run = train_tiny(strange, out=str(tmp_path / "x"), steps=2, mix=(f"{prepared}=0.3",), **tokenizer)
    assert len(named(run, run.plan["data"]["further"][0]["name"])) == 2


# -- what is refused ---------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], type[BajkaError], str]] = {
    "no number": ({"mix": ("poems=much",)}, SettingsError, "'much' is not a number; write a share like 0.3"),
    "no share": ({"mix": ("poems",)}, SettingsError, "write the texts and their share"),
    "nothing": ({"mix": ("poems=0",)}, SettingsError, "a share is from 0.0001 to below 1"),
    "everything": ({"mix": ("poems=1",)}, SettingsError, "a share is from 0.0001 to below 1"),
    "too much": ({"mix": ("a=0.6", "b=0.4")}, SettingsError, r"0.6 \+ 0.4 = 1, which leaves nothing for the texts"),
    "no texts": ({"mix": ("no/such/poems=0.3",)}, CorpusError, "--mix no/such/poems: .*no file or folder"),
    "bad name": ({"validate_on": ("my poems=x",)}, SettingsError, "'my poems' is no name"),
    "taken name": ({"validate_on": ("loss=x",)}, SettingsError, "the name loss has a meaning of its own"),
    "name twice": ({"validate_on": ("a=x", "a=y")}, SettingsError, "validate_on has the name a twice"),
    "no texts to validate": (
        {"validate_on": ("a=no/such",)},
        CorpusError,
        "--validate-on no/such: .*no file or folder",
    ),
    "replay alone": ({"replay": 0.2}, SettingsError, "name its run with --from. Other texts are mixed in with --mix"),
    "replay of all": ({"replay": 1.0}, SettingsError, "replay = 1.0: input should be less than 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mixture_that_cannot_be_is_a_sentence_and_leaves_no_run(texts: Path, tmp_path: Path, case: str) -> None:
    wishes, kind, sentence = REFUSED[case]
    with pytest.raises(kind, match=sentence):
        train_tiny(texts, out=str(tmp_path / "runs" / "x"), steps=1, **wishes)
    assert not (tmp_path / "runs").exists()


def test_the_same_texts_twice_are_refused_however_they_are_written(texts: Path, tmp_path: Path) -> None:
    again = texts.parent / "." / ".." / texts.parent.name / texts.name
    with pytest.raises(SettingsError, match=r"names the same texts as the run itself, .*: name them once"):
        train_tiny(texts, out=str(tmp_path / "x"), steps=1, mix=(f"{again}=0.3",))
    with pytest.raises(SettingsError, match="names the same texts as --mix"):
        train_tiny(texts, out=str(tmp_path / "x"), steps=1, mix=(f"{tmp_path}=0.3", f"{tmp_path}/=0.1"))


def test_a_corpus_of_which_another_one_holds_out_everything_is_refused(
    strange: Path, texts: Path, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="Every document that strange would give to training stands in the held-out"):
        train_tiny(
            texts, out=str(tmp_path / "x"), steps=1, mix=(f"{strange}=0.3",), validate_on=(f"again={strange}",)
        )  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_token_files_of_another_tokenizer_cannot_be_mixed_in(base: bajka.Run, strange: Path, tmp_path: Path) -> None:
    prepared = base.plan["data"]["folder"]
    with pytest.raises(
        TokenizerError, match=r"ids were made by another tokenizer .* Give its texts instead, or take its"
    ):
        train_tiny(strange, out=str(tmp_path / "x"), steps=1, mix=(f"{prepared}=0.3",))


# -- forgetting and replay ---------------------------------------------------------------------------------------


def tune(base: bajka.Run, strange: Path, out: Path, view: Watcher | None = None, **wishes: Any) -> bajka.Run:
    asked = GIVEN | {"steps": 24, "learning_rate": 0.01, "evaluate_every_steps": 12} | wishes
    return train_tiny(strange, view, out=str(out), from_model=str(base.path), **asked)


def test_replay_keeps_what_was_learned_before(base: bajka.Run, strange: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    without, replayed = tune(base, strange, tmp_path / "a", watcher), tune(base, strange, tmp_path / "b", replay=0.3)
    forgotten = named(without, "tales")
    assert forgotten[0] == pytest.approx(named(replayed, "tales")[0])
    assert named(replayed, "tales")[-1] < forgotten[-1] - 0.1
    assert forgotten[-1] > forgotten[0]
    last = next(line for line in reversed(watcher.lines) if "learned before" in line)
    assert last.startswith("  on what it learned before (tales): ")
    assert last.endswith("at the start")


@pytest.mark.torture
def test_replay_goes_on_after_a_kill_to_the_same_bits(base: bajka.Run, strange: Path, tmp_path: Path) -> None:
    straight = tune(base, strange, tmp_path / "a", replay=0.3, steps=8)
    with pytest.raises(Stopped):
        tune(base, strange, tmp_path / "b", stop_at(6), replay=0.3, steps=8)
    assert bits(go_on(tmp_path / "b")) == bits(straight)


@pytest.mark.torture
def test_texts_of_an_earlier_run_are_prepared_again_when_its_data_is_gone(
    texts: Path, strange: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copy(texts, tmp_path / "tales.txt"))
    first = train_tiny(moved, out=str(tmp_path / "old" / "first"), steps=1)
    shutil.rmtree(tmp_path / "old" / "data")
    watcher = Watcher()
    tune(first, strange, tmp_path / "b", watcher, replay=0.3, steps=1)
    assert "is gone; preparing it again" in watcher.text
    shutil.rmtree(tmp_path / "old" / "data")
    moved.unlink()
    with pytest.raises(RunError, match=r"What .*first learned from is gone: neither its data .* nor its texts"):
        tune(first, strange, tmp_path / "c", replay=0.3, steps=1)
    tune(first, strange, tmp_path / "d", watcher, steps=1)
    assert "How much is forgotten cannot be measured: What" in watcher.text


def test_a_run_goes_on_though_the_run_it_came_from_is_gone(texts: Path, strange: Path, tmp_path: Path) -> None:
    first = train_tiny(texts, out=str(tmp_path / "runs" / "first"), steps=1)
    out = tmp_path / "runs" / "second"
    tune(first, strange, out, steps=1)
    shutil.rmtree(first.path)
    shutil.rmtree(tmp_path / "data")
    watcher = Watcher()
    run = go_on(out, watcher, steps=2)
    assert run.plan["finished"]["step"] == 3
    assert "tales is not validated on any more" in watcher.text or "first is not validated on any more" in watcher.text


def test_only_a_run_can_be_replayed(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "gpt2").mkdir()
    write_model_folder(tmp_path / "gpt2", tiny_model("gpt2"), byte_tokenizer())
    with pytest.raises(RunError, match=r"is no run of bajka, so they are not known. Mix in texts of that kind"):
        train_tiny(texts, out=str(tmp_path / "x"), from_model=str(tmp_path / "gpt2"), replay=0.2, steps=1, **GIVEN)


def test_a_run_on_the_texts_of_its_base_measures_no_forgetting(base: bajka.Run, texts: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    run = tune(base, texts, tmp_path / "x", watcher, steps=1, replay=0.2)
    assert "learned from these very texts: there is nothing else to replay" in watcher.text
    assert "further" not in run.plan["data"]


def test_another_tokenizer_than_that_of_the_weights_is_refused(base: bajka.Run, strange: Path, tmp_path: Path) -> None:
    byte_tokenizer().save(tmp_path / "bytes", context_length=16)
    for other in (str(tmp_path / "bytes" / "tokenizer.json"), "bytes", "sentencepiece-bpe", "gpt2"):
        with pytest.raises(TokenizerError, match=r"its weights mean nothing with another one. Leave --tokenizer out"):
            tune(base, strange, tmp_path / "x", steps=1, tokenizer=other)
    tune(base, strange, tmp_path / "same", steps=1, tokenizer=str(base.folder.model))


# -- what is written down ----------------------------------------------------------------------------------------


def test_named_losses_are_in_the_metrics_and_drawn(alone: bajka.Run, strange: Path) -> None:
    found = [line for line in alone.metrics if "val_loss" in line]
    assert all({"val_loss/strange", "val_bits_per_byte/strange"} <= line.keys() for line in found)
    expected = alone.evaluate([str(strange)])
    assert found[-1]["val_bits_per_byte/strange"] == pytest.approx(expected.bits_per_byte, abs=0.3)
    drawn = {path.name: durable.sha256_of(path) for path in draw_plots(alone.folder)}
    lines = [{key: value for key, value in line.items() if "/" not in key} for line in alone.metrics]
    alone.folder.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert not {path.name: durable.sha256_of(path) for path in draw_plots(alone.folder)}.items() & drawn.items()
