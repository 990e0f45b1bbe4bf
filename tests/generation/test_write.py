"""Prompts in, texts out: whole letters, stop strings never shown, the pieces of a stream are the text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import TokenizerSettings
from bajka.errors import SettingsError
from bajka.generation.sampling import Sampling
from bajka.generation.write import _Pen, clamp, generate, measure_speed, stream
from bajka.model.transformer import Transformer
from bajka.tokenizer import Tokenizer, train_tokenizer
from tiny import FAMILIES, byte_tokenizer, tiny_model

Reciter = Callable[..., Transformer]
TALE = "Жила-была лиса 🦊🏳️‍🌈. The end. And more: конец."
GREEDY = Sampling(max_new_tokens=200, temperature=0)


def test_a_model_that_knows_one_text_writes_it_and_ends(reciting: Reciter, tokenizer: Tokenizer) -> None:
    text = generate(reciting(TALE), tokenizer, [""], sampling=GREEDY)[0]
    assert (text.text, text.whole, text.reason) == (TALE, TALE, "stop")
    assert list(text.ids) == tokenizer.encode(TALE)


def test_a_prompt_is_continued(reciting: Reciter, tokenizer: Tokenizer) -> None:
    text = generate(reciting(TALE), tokenizer, [TALE[:7]], sampling=GREEDY)[0]
    assert (text.prompt, text.text, text.whole) == (TALE[:7], TALE[7:], TALE)


def test_a_text_that_was_cut_says_so(reciting: Reciter, tokenizer: Tokenizer) -> None:
    text = generate(reciting("The end."), tokenizer, [""], sampling=Sampling(max_new_tokens=3, temperature=0))[0]
    assert (text.text, text.reason, len(text.ids)) == ("The", "length", 3)


def test_streaming_never_shows_half_a_letter(reciting: Reciter, tokenizer: Tokenizer) -> None:
    pieces = list(stream(reciting(TALE), tokenizer, "", sampling=GREEDY))
    assert "".join(pieces) == TALE
    assert not any("\ufffd" in piece for piece in pieces)
    assert len(pieces) == len(TALE)


def test_a_letter_cut_by_the_length_is_shown_as_one_mark_at_the_end(reciting: Reciter, tokenizer: Tokenizer) -> None:
    sampling = Sampling(max_new_tokens=3, temperature=0)  # "Жи" is four bytes
    pieces = list(stream(reciting(TALE), tokenizer, "", sampling=sampling))
    assert pieces == ["Ж", "\ufffd"]
    assert generate(reciting(TALE), tokenizer, [""], sampling=sampling)[0].text == "Ж\ufffd"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        (("The end.",), "Жила-была лиса 🦊🏳️‍🌈. "),
        (("🦊",), "Жила-была лиса "),
        (("konec", "лиса", "была"), "Жила-"),
        ((".",), "Жила-была лиса 🦊🏳️‍🌈"),
        (("Ж",), ""),
        (("never",), TALE),
        (("конец. ",), TALE),
    ],
)
def test_stop_strings_end_a_text_and_are_never_shown(
    stop: tuple[str, ...], expected: str, reciting: Reciter, tokenizer: Tokenizer
) -> None:
    sampling = Sampling(max_new_tokens=200, temperature=0, stop=stop)
    text = generate(reciting(TALE), tokenizer, [""], sampling=sampling)[0]
    pieces = list(stream(reciting(TALE), tokenizer, "", sampling=sampling))
    assert (text.text, text.reason) == (expected, "stop")
    assert "".join(pieces) == expected


def test_a_stop_string_whose_last_letter_comes_with_the_last_token_is_a_stop(
    reciting: Reciter, tokenizer: Tokenizer
) -> None:
    sampling = Sampling(max_new_tokens=len(b"The end."), temperature=0, stop=("end.",))
    text = generate(reciting("The end."), tokenizer, [""], sampling=sampling)[0]
    assert (text.text, text.reason) == ("The ", "stop")


def test_a_stop_string_that_only_the_end_makes_whole_is_a_stop(reciting: Reciter) -> None:
    """A letter this tokenizer has not seen is written in bytes, which wait for more of their kind."""
    tokenizer = train_tokenizer(TokenizerSettings(tokenizer="characters"), ["the end"], vocab_size=0)
    sampling = Sampling(max_new_tokens=5, temperature=0, stop=("ž",))
    text = generate(reciting("then ž", tokenizer), tokenizer, ["th"], sampling=sampling)[0]
    assert (text.text, text.reason) == ("en ", "stop")


@settings(deadline=None, max_examples=200)
@given(
    text=st.text("abж🦊", max_size=20), stop=st.lists(st.text("abж🦊", min_size=1, max_size=3), max_size=3).map(tuple)
)
def test_no_piece_ever_holds_what_a_stop_string_takes_back(text: str, stop: tuple[str, ...]) -> None:
    tokenizer = byte_tokenizer()
    pen, shown = _Pen(tokenizer, stop), ""
    for token in tokenizer.encode(text):
        shown += pen.feed(token)
        assert text.startswith(shown)
        assert not any(s in shown for s in stop)
    shown += pen.finish()
    assert shown == pen.text
    ends = [text.find(s) + len(s) for s in stop if s in text]  # the stop string that is complete first
    if not ends:
        assert (shown, pen.stopped) == (text, False)
    else:
        begin = min(text.find(s) for s in stop if s in text[: min(ends)])
        assert (shown, pen.stopped) == (text[:begin], True)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pieces_of_a_stream_are_the_text(family: str, tokenizer: Tokenizer) -> None:
    model, sampling = tiny_model(family), Sampling(max_new_tokens=60, temperature=1.2, seed=3)
    text = generate(model, tokenizer, ["Жила"], sampling=sampling)[0].text
    assert "".join(stream(model, tokenizer, "Жила", sampling=sampling)) == text
    assert len(text) > 10


def test_pieces_and_finished_texts_are_told_as_they_come(tokenizer: Tokenizer) -> None:
    pieces: dict[int, str] = dict.fromkeys(range(4), "")
    finished = []

    def on_piece(number: int, piece: str) -> None:
        assert number not in {text.number for text in finished}
        pieces[number] += piece

    texts = generate(
        tiny_model("modern"), tokenizer, ["a", "The fox"], n=2, sampling=Sampling(max_new_tokens=20, temperature=1.0),
        rows_at_once=3, on_piece=on_piece, on_done=finished.append,
    )  # fmt: skip
    assert [text.text for text in texts] == list(pieces.values())
    assert sorted(finished, key=lambda text: text.number) == texts


def test_n_texts_for_each_prompt_come_in_order_and_differ(tokenizer: Tokenizer) -> None:
    texts = generate(tiny_model("modern"), tokenizer, ["a", "b"], n=3, sampling=Sampling(temperature=1.2))
    assert [text.prompt for text in texts] == ["a"] * 3 + ["b"] * 3
    assert [text.number for text in texts] == list(range(6))
    assert len({text.text for text in texts}) == 6


def test_the_same_seed_gives_the_same_texts(tokenizer: Tokenizer) -> None:
    model = tiny_model("gpt2")
    one, same, other = (
        generate(model, tokenizer, ["a"], n=2, sampling=Sampling(temperature=1.2, seed=seed)) for seed in (4, 4, 5)
    )
    assert one == same
    assert [text.text for text in one] != [text.text for text in other]


def test_prompts_longer_than_the_context_are_continued(tokenizer: Tokenizer) -> None:
    prompt = "Once upon a time there was a fox. " * 10
    text = generate(tiny_model("gpt1"), tokenizer, [prompt], sampling=Sampling(max_new_tokens=50, temperature=1.0))[0]
    assert text.whole.startswith(prompt)
    assert len(text.ids) == 50 or text.reason == "stop"


def test_no_prompts_are_no_texts(tokenizer: Tokenizer) -> None:
    assert generate(tiny_model("gpt1"), tokenizer, []) == []


def test_less_than_one_text_is_a_sentence(tokenizer: Tokenizer) -> None:
    with pytest.raises(SettingsError, match="n = 0: ask for at least 1 text per prompt"):
        generate(tiny_model("gpt1"), tokenizer, ["a"], n=0)


def test_a_top_k_beyond_the_vocabulary_is_lowered_and_said() -> None:
    assert clamp(Sampling(top_k=257), vocab_size=257) == (Sampling(top_k=257), None)
    sampling, said = clamp(Sampling(top_k=999), vocab_size=257)
    assert sampling == Sampling(top_k=257)
    assert said == "top_k = 999 is more than the vocabulary has: using all 257 tokens."


def test_the_speed_is_measured_in_tokens_a_second(tokenizer: Tokenizer) -> None:
    assert measure_speed(tiny_model("gpt1"), tokenizer, tokens=4) > 0
