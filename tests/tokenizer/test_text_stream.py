"""Streaming: what was shown is never taken back, and all of it is the text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from bajka.tokenizer import TextStream, Tokenizer

quick = settings(max_examples=80, deadline=None)


def streamed(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.feed(number) for number in ids), stream.finish()]


@quick
@given(text=st.text())
def test_the_parts_of_a_text_are_the_text_and_never_half_a_letter(tokenizer: Tokenizer, text: str) -> None:
    parts = streamed(tokenizer, tokenizer.encode(text))
    assert "".join(parts) == text
    assert "\ufffd" in text or not any("\ufffd" in part for part in parts)


@quick
@given(data=st.data())
def test_any_ids_stream_to_what_they_decode_to(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)


def test_letters_appear_as_soon_as_they_are_whole(tokenizer: Tokenizer) -> None:
    stream = TextStream(tokenizer)
    shown = ""
    for number in tokenizer.encode("ab č"):
        shown += stream.feed(number)
    assert shown == "ab č"
    assert stream.finish() == ""


def test_a_text_cut_inside_a_letter_ends_in_a_replacement_sign(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("a日")[:-1]
    assert "".join(streamed(tokenizer, ids)) == tokenizer.decode(ids)
    assert streamed(tokenizer, ids)[-1].startswith("\ufffd")


def test_spaces_that_are_only_written_between_words_are_kept() -> None:
    backend = Backend(models.BPE(vocab={"</s>": 0, "▁a": 1, "b": 2}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    tokenizer = Tokenizer(backend, end_of_text="</s>")
    assert streamed(tokenizer, [1, 1, 0, 2, 1]) == ["a", " a", "", "b", " a", ""]
