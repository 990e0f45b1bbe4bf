"""The judge against arithmetic done by hand in float64, on a tiny model of transformers made here."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from bajka.checkpoint.model_folder import LoadedModel, load_model, write_model_folder
from bajka.errors import CorpusError, InputError, MissingExtraError, ModelError, SettingsError
from bajka.evaluation.judge import Judge, judge_model, judge_texts, opening, real_texts
from bajka.generation.sampling import Sampling
from tiny import byte_tokenizer, tiny_model

transformers = pytest.importorskip("transformers")

CONTEXT = 16
SHORT, LONG = "Đak i 雪", "Once upon a time a fox lived in a wood, and it was as old as the wood."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of transformers with a context of 16 bytes."""
    place = tmp_path_factory.mktemp("judge")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=257, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=2)
    model = transformers.GPT2LMHeadModel(config)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(place)
    byte_tokenizer().save(place, context_length=CONTEXT)
    return place


@pytest.fixture(scope="module")
def exact(folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A tiny model of ours that writes the texts to be judged."""
    place = tmp_path_factory.mktemp("writer")
    write_model_folder(place, tiny_model("modern"), byte_tokenizer())
    return load_model(str(place))


@torch.no_grad()
def nats_by_hand(model: Any, ids: list[int], *, first: int) -> float:
    """Each target alone, in float64, with the context that its window gives it: windows move by half a context."""
    nats, stride = 0.0, CONTEXT // 2
    for target in range(first, len(ids)):
        begin = max(0, math.ceil((target - CONTEXT) / stride)) * stride
        logits = model(torch.tensor([ids[begin:target]])).logits[0, -1]
        nats -= float(logits.log_softmax(-1)[ids[target]])
    return nats


@pytest.mark.parametrize("text", [SHORT, LONG, "a"])
def test_a_text_costs_what_arithmetic_by_hand_says(folder: Path, exact: Any, text: str) -> None:
    ids = [0, *byte_tokenizer().encode(text)]
    nats = nats_by_hand(exact, ids, first=1)
    loss = judge_texts([text], str(folder)).overall
    assert loss.tokens == len(ids) - 1
    assert loss.loss == pytest.approx(nats / loss.tokens, rel=1e-5)
    assert loss.perplexity == pytest.approx(math.exp(nats / loss.tokens), rel=1e-4)
    assert loss.bits_per_byte == pytest.approx(nats / math.log(2) / len(text.encode()), rel=1e-5)
    assert loss.bits_per_letter == pytest.approx(nats / math.log(2) / sum(map(str.isalpha, text)), rel=1e-5)


def test_all_texts_together_are_weighed_by_their_length(folder: Path) -> None:
    report = judge_texts([SHORT, LONG], str(folder))
    short, long = report.texts
    assert short is not None
    assert long is not None
    total = short.loss * short.tokens + long.loss * long.tokens
    assert report.overall.loss == pytest.approx(total / (short.tokens + long.tokens))


def test_a_judge_without_a_marker_does_not_score_the_first_token(folder: Path, exact: Any) -> None:
    judge = Judge.load(str(folder))
    judge.start = None
    ids = byte_tokenizer().encode(LONG)
    nats, tokens, text = judge.nats(LONG)
    assert nats == pytest.approx(nats_by_hand(exact, ids, first=1), rel=1e-5)
    assert (tokens, text) == (len(ids) - 1, LONG[1:])


def test_a_marker_written_in_a_text_is_judged_as_the_letters_it_is(folder: Path) -> None:
    text = "a<|endoftext|>b"
    assert judge_texts([text], str(folder)).overall.tokens == len(text)


def test_an_empty_text_has_no_numbers_and_does_not_spoil_those_of_others(folder: Path) -> None:
    report = judge_texts(["", LONG], str(folder))
    assert report.texts[0] is None
    assert report.overall == judge_texts([LONG], str(folder)).overall


def test_nothing_to_judge_is_a_sentence(folder: Path) -> None:
    with pytest.raises(CorpusError, match="no token"):
        judge_texts(["", ""], str(folder))


def test_half_a_letter_is_a_sentence(folder: Path) -> None:
    with pytest.raises(InputError, match="half a character"):
        judge_texts(["a\ud800"], str(folder))


def test_a_folder_that_is_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no run and no model"):
        judge_texts([LONG], str(tmp_path))


def test_a_model_that_transformers_cannot_open_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        judge_texts([LONG], str(tmp_path))


def test_an_unknown_name_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="The judge nobody/nothing cannot be loaded"):
        judge_texts([LONG], "nobody/nothing")


def test_without_transformers_the_pip_line_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bajka\[judge\]'"):
        judge_texts([LONG], str(folder))


def test_written_texts_are_judged_beside_real_ones_with_the_same_first_words(
    folder: Path, writer: LoadedModel, tmp_path: Path
) -> None:
    (tmp_path / "real.txt").write_text(f"{LONG}\n" * 20, encoding="utf-8")
    found = judge_model(
        writer, str(folder), n=5, texts=[str(tmp_path / "real.txt")], sampling=Sampling(max_new_tokens=30)
    )
    assert len(found.written_texts) == len(found.real_texts) == 5
    for written, real in zip(found.written_texts, found.real_texts, strict=True):
        assert written.startswith(opening(real))
        assert written != real
    assert found.real == judge_texts(found.real_texts, str(folder))
    assert found.as_dict()["written"]["perplexity"] == found.written.overall.perplexity


def test_real_texts_end_with_their_document(writer: LoadedModel, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text(f"Tale {number}.", encoding="utf-8")
    texts = real_texts(writer, n=4, tokens=500, texts=[str(tmp_path)])
    assert sorted(texts) == [f"Tale {number}." for number in range(4)]


def test_real_texts_are_no_longer_than_asked(writer: LoadedModel, tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text(LONG * 50, encoding="utf-8")
    texts = real_texts(writer, n=6, tokens=40, texts=[str(tmp_path / "novel.txt")])
    assert {len(text) for text in texts} == {40}
    assert len(set(texts)) > 1


@pytest.mark.parametrize(
    ("text", "begun"),
    [
        ("One two three four five", "One two three four"),
        ("  Two  words", "  Two  w"),
        ("昔々あるところにお爺さん", "昔々あるところに"),
    ],
)
def test_an_opening_is_a_few_words_or_letters(text: str, begun: str) -> None:
    assert opening(text) == begun


def test_a_model_that_is_no_run_needs_texts(folder: Path, writer: LoadedModel) -> None:
    with pytest.raises(ModelError, match="is no run"):
        judge_model(writer, str(folder), n=2)


def test_no_text_to_judge_is_a_sentence(folder: Path, writer: LoadedModel) -> None:
    with pytest.raises(SettingsError, match="n = 0"):
        judge_model(writer, str(folder), n=0)


def test_the_real_text_of_a_model_with_fields_is_the_text_alone(writer: LoadedModel, tmp_path: Path) -> None:
    template = "<|title|>{title}<|plot|>{plot}"
    tokenizer = byte_tokenizer().with_markers(["<|title|>", "<|plot|>"], template=template)
    write_model_folder(tmp_path / "model", tiny_model("modern", vocab_size=tokenizer.vocab_size), tokenizer)
    films = "".join(f'{{"title": "The Iron Fox {n}", "plot": "A fox was king in forest {n}."}}\n' for n in range(3))
    (tmp_path / "films.jsonl").write_text(films)
    loaded = load_model(str(tmp_path / "model"))
    found = real_texts(loaded, n=3, tokens=12, texts=[str(tmp_path / "films.jsonl")])
    assert found == ["A fox was ki"] * 3
