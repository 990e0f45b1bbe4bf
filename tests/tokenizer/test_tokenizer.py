"""Text to ids and back: the identity, without markers; the same in pieces, after saving and in transformers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.errors import DamagedFileError, InputError, TokenizerError
from bajka.formats import Document
from bajka.tokenizer import Tokenizer
from bajka.tokenizer.kinds import pieces

AWKWARD = [
    "",
    " ",
    "\n",
    "  two  spaces \n\n new line \r\n\ttab 2024  ",
    "日本語のテキスト。\u3000全角\n",
    "Quoi ? Non ! e\u0301 é \u0130\u0131ſ ﬁ",
    "👩‍👩‍👧‍👦🏳️‍🌈 🇭🇷",
    "\x00\x01\x1c\x85\u2028\ufeff\ufffd\u0301",
    "<|endoftext|>",
    "a<|endoftext|>b<|endoftext|><|endo",
    "<0x41><0xFF> Ġ Ċ ▁ <unk> [CLS]",
    "a" * 1000,
]
any_text = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from([" ", "\n", "\r\n", "fox", "'s", "!", "12", *AWKWARD])), max_size=12
).map("".join)
quick = settings(max_examples=60, deadline=None)


@quick
@given(text=any_text)
def test_any_text_comes_back_and_holds_no_marker(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.end_of_text not in ids


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_texts_come_back(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_batch_gives_what_single_texts_give(tokenizer: Tokenizer) -> None:
    batch = tokenizer.encode_batch(iter(AWKWARD))
    assert [ids.tolist() for ids in batch] == [tokenizer.encode(text) for text in AWKWARD]
    assert {ids.dtype for ids in batch} == {np.dtype(np.uint32)}
    assert tokenizer.encode_batch([]) == []


def test_a_prompt_begins_with_exactly_one_end_of_text(tokenizer: Tokenizer) -> None:
    for text in ("", "The fox", "<|endoftext|>"):
        assert tokenizer.encode_prompt(text) == [tokenizer.end_of_text, *tokenizer.encode(text)]


def test_markers_are_not_decoded(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(np.array(tokenizer.encode_prompt("The fox"))) == "The fox"


def test_half_a_character_is_a_sentence(tokenizer: Tokenizer) -> None:
    for encode in (tokenizer.encode, tokenizer.encode_prompt):
        with pytest.raises(InputError, match=r"half a character, U\+D83D, at position 4"):
            encode("fox \ud83d")


@quick
@given(text=any_text, size=st.integers(1, 10))
def test_pieces_have_the_ids_of_the_whole(tokenizer: Tokenizer, gpt2_like: Path, text: str, size: int) -> None:
    for one in (tokenizer, Tokenizer.load(gpt2_like)):
        parts = list(pieces(text, one.kind, size=size))
        assert "".join(parts) == text
        assert [number for part in parts for number in one.encode(part)] == one.encode(text)


def test_a_long_text_is_encoded_in_pieces_with_the_ids_of_the_whole(tokenizer: Tokenizer, texts: list[str]) -> None:
    text = "".join(texts) * 400
    assert len(list(pieces(text, tokenizer.kind))) > 2
    assert tokenizer.encode(text) == tokenizer.backend.encode(text, add_special_tokens=False).ids


def test_a_line_of_a_million_spaces_comes_back(tokenizer: Tokenizer) -> None:
    text = " " * ((1 << 20) + 5)
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text


def test_a_text_of_an_unknown_kind_is_never_cut() -> None:
    assert list(pieces("a b " * 100, "other", size=1)) == ["a b " * 100]


def test_a_saved_folder_is_the_same_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "model", context_length=64)
    loaded = Tokenizer.load(tmp_path / "model")
    for name in ("kind", "vocab_size", "end_of_text", "fingerprint"):
        assert getattr(loaded, name) == getattr(tokenizer, name)
    assert [loaded.encode_prompt(text) for text in AWKWARD] == [tokenizer.encode_prompt(text) for text in AWKWARD]


def test_transformers_gives_the_same_ids_and_texts(tokenizer: Tokenizer, texts: list[str], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer.save(tmp_path, context_length=4096)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab_size
    assert theirs.model_max_length == 4096
    assert theirs.bos_token_id == theirs.eos_token_id == theirs.pad_token_id == tokenizer.end_of_text
    for text in [*AWKWARD, *texts]:
        ids = theirs(text)["input_ids"]
        assert ids == tokenizer.encode_prompt(text)
        assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
        assert theirs.decode(ids, skip_special_tokens=True) == text


def test_fingerprints_tell_tokenizers_apart_but_not_their_layout(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path, context_length=64)
    file = tmp_path / "tokenizer.json"
    description = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(description), encoding="utf-8")
    assert Tokenizer.load(file).fingerprint == tokenizer.fingerprint
    description["post_processor"] = None
    file.write_text(json.dumps(description), encoding="utf-8")
    assert Tokenizer.load(file).fingerprint != tokenizer.fingerprint


def test_an_imported_tokenizer_keeps_its_beginning_until_it_trains(gpt2_like: Path) -> None:
    imported = Tokenizer.load(gpt2_like)
    assert imported.kind == "gpt2"
    assert imported.end_of_text == imported.vocab_size - 1
    assert imported.encode_prompt("The fox") == imported.encode("The fox")
    assert imported.encode_prompt("") == [imported.end_of_text]
    started = imported.with_start()
    assert started.encode_prompt("The fox") == [imported.end_of_text, *imported.encode("The fox")]
    assert started.with_start() is started


def test_truncation_and_padding_of_an_imported_file_are_off(gpt2_like: Path, tmp_path: Path) -> None:
    text = "The fox said: <|endoftext|> I can't reach the grapes! " * 3
    imported = Tokenizer.load(gpt2_like).with_start()
    assert imported.decode(imported.encode(text)) == text
    transformers = pytest.importorskip("transformers")
    imported.save(tmp_path, context_length=64)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == imported.vocab_size
    assert theirs(text)["input_ids"] == imported.encode_prompt(text)


def test_a_vocabulary_with_holes_counts_to_its_largest_id(gpt2_like: Path, tmp_path: Path) -> None:
    description = json.loads((gpt2_like / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = description["model"]["vocab"]
    vocabulary["\u0000hole"] = 999
    (tmp_path / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    assert Tokenizer.load(tmp_path).vocab_size == 1000


def test_a_configuration_names_the_end_of_text(gpt2_like: Path, tmp_path: Path) -> None:
    text = (gpt2_like / "tokenizer.json").read_text(encoding="utf-8").replace("<|endoftext|>", "[FIN]")
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"no end-of-text marker .* Name it in its tokenizer_config\.json"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": {"content": "[FIN]"}}', encoding="utf-8")
    assert Tokenizer.load(tmp_path).backend.id_to_token(Tokenizer.load(tmp_path).end_of_text) == "[FIN]"


MARKERS = ("<|title|>", "<|plot|>")
TEMPLATE = "<|title|>{title}<|plot|>{plot}"
FILM = Document("The FoxA fox, <|plot|> too.", "films.csv", markers=((0, "<|title|>"), (7, "<|plot|>")))


@pytest.fixture(scope="session")
def marked(tokenizer: Tokenizer) -> Tokenizer:
    return tokenizer.with_markers(MARKERS, template=TEMPLATE)


def test_markers_take_the_ids_after_all_others(tokenizer: Tokenizer, marked: Tokenizer) -> None:
    size = tokenizer.vocab_size
    assert marked.markers == {"<|title|>": size, "<|plot|>": size + 1}
    assert (marked.vocab_size, tokenizer.vocab_size) == (size + 2, size)
    assert marked.control == (tokenizer.end_of_text, size, size + 1)
    assert marked.kind == tokenizer.kind
    assert [marked.encode_prompt(text) for text in AWKWARD] == [tokenizer.encode_prompt(text) for text in AWKWARD]


def test_a_document_has_its_markers_between_stretches_of_text(tokenizer: Tokenizer, marked: Tokenizer) -> None:
    title, plot = marked.markers.values()
    ids = marked.encode_document(FILM)
    assert ids == [title, *tokenizer.encode("The Fox"), plot, *tokenizer.encode("A fox, <|plot|> too.")]
    assert marked.decode(ids) == FILM.text


def test_two_markers_may_stand_at_one_place_and_at_the_end(marked: Tokenizer) -> None:
    title, plot = marked.markers.values()
    document = Document("fox", "a", markers=((3, "<|title|>"), (3, "<|plot|>")))
    assert marked.encode_document(document) == [*marked.encode("fox"), title, plot]
    assert marked.encode_document(Document("", "b", markers=((0, "<|plot|>"),))) == [plot]


def test_documents_in_a_batch_are_those_one_by_one(marked: Tokenizer) -> None:
    documents = [FILM, *(Document(text, "c") for text in AWKWARD), FILM]
    assert [ids.tolist() for ids in marked.encode_documents(documents)] == [
        marked.encode_document(d) for d in documents
    ]


def test_an_unknown_marker_is_a_sentence(tokenizer: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r'does not know the marker "<\|title\|>" of the template: .* none'):
        tokenizer.encode_document(FILM)


@pytest.mark.parametrize("name", ["<|endoftext|>", "a"])
def test_a_marker_must_not_be_in_the_vocabulary(tokenizer: Tokenizer, name: str) -> None:
    if tokenizer.backend.token_to_id(name) is not None:
        with pytest.raises(TokenizerError, match="The vocabulary already has an entry"):
            tokenizer.with_markers([name])


def test_markers_and_template_are_saved(marked: Tokenizer, tmp_path: Path) -> None:
    marked.save(tmp_path, context_length=64)
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.markers, loaded.template) == (marked.markers, TEMPLATE)
    assert loaded.fingerprint == marked.fingerprint
    assert loaded.encode_document(FILM) == marked.encode_document(FILM)
    assert loaded.with_start().markers == loaded.with_markers(MARKERS).markers == marked.markers


def test_transformers_knows_the_markers_by_the_same_ids(marked: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    marked.save(tmp_path, context_length=64)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == marked.vocab_size
    assert theirs.convert_tokens_to_ids(list(MARKERS)) == list(marked.markers.values())
    assert theirs(FILM.text)["input_ids"] == marked.encode_prompt(FILM.text)
    assert theirs.decode(marked.encode_document(FILM), skip_special_tokens=True) == FILM.text


def test_a_configuration_that_names_other_markers_is_a_sentence(marked: Tokenizer, tmp_path: Path) -> None:
    marked.save(tmp_path, context_length=64)
    for wrong in ({"markers": ["<|none|>"]}, {"markers": 5}, {"template": ["a"]}):
        file = tmp_path / "tokenizer_config.json"
        file.write_text(json.dumps({"eos_token": "<|endoftext|>", **wrong}), encoding="utf-8")
        with pytest.raises(DamagedFileError, match="does not hold"):
            Tokenizer.load(tmp_path)


def test_ten_thousand_tries_to_inject_a_control_token_fail(marked: Tokenizer) -> None:
    draw = random.Random(0)
    names = [
        "<|endoftext|>",
        *MARKERS,
        "</s>",
        "<0x00>",
        "<",
        "|",
        ">",
        "<|",
        "|>",
        "endoftext",
        "\u200b",
        " ",
        "\n",
        "fox",
    ]
    tries = ["".join(draw.choices(names, k=draw.randint(1, 6))) for _ in range(10_000)]
    control = np.array(marked.control)
    documents = marked.encode_documents([Document(text, "d", markers=((0, "<|plot|>"),)) for text in tries])
    for text, ids, inside in zip(tries, marked.encode_batch(tries), documents, strict=True):
        assert not np.isin(ids, control).any(), text
        assert np.isin(inside, control).sum() == 1, text
    for text in tries[:1000]:
        assert np.isin(marked.encode_prompt(text), control).sum() == 1, text


def test_all_scalar_values_come_back(tokenizer: Tokenizer) -> None:
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert len(text) == 1_112_064
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == text
