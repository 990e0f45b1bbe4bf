"""SentencePiece, trained here or read from a `.model`: the ids of the library itself, whoever encodes; and every text."""

from __future__ import annotations

import io
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bajka.config import TokenizerSettings
from bajka.errors import BajkaError, DamagedFileError, MissingExtraError, TokenizerError
from bajka.tokenizer import Tokenizer, train_tokenizer
from bajka.tokenizer.sentencepiece import ModelType, train_sentencepiece
from bajka.tokenizer.sentencepiece_file import HARD_TEXTS, RUNS, convert

spm = pytest.importorskip("sentencepiece")
pytest.importorskip("google.protobuf")

KINDS: tuple[ModelType, ...] = ("bpe", "unigram")
LINES = [
    "Once upon a time there was a fox. The fox said: “I can't reach the grapes!”",
    "  And   the fox's heart was sore -------- ha hahahaha, 1895.",
    "Bila jednom jedna lisica. Lisica reče: »Grožđe je kiselo!«",
    "Жила-была лиса, 12 лет. 从前有一只狐狸。昔々、キツネがいました。",
] * 5


def quiet(line: str) -> None:
    """Say nothing."""


def train(kind: ModelType, texts: list[str], *, vocab_size: int = 400) -> Tokenizer:
    return train_tokenizer(TokenizerSettings(tokenizer=f"sentencepiece-{kind}"), texts, vocab_size=vocab_size)


def model_file(folder: Path, **options: Any) -> Path:
    """A `.model` as others train it."""
    written = io.BytesIO()
    options = {"vocab_size": 200, "model_type": "bpe", "hard_vocab_limit": False, "minloglevel": 3, **options}
    spm.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_writer=written, **options)
    (folder / "fox.model").write_bytes(written.getvalue())
    return folder / "fox.model"


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_sentencepiece_and_of_transformers(kind: ModelType, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    model = train_sentencepiece(LINES, kind, vocab_size=420, say=quiet)
    reference = spm.SentencePieceProcessor(model_proto=model)
    ours = train(kind, LINES, vocab_size=420)
    ours.save(tmp_path, context_length=4096)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [*LINES, *HARD_TEXTS, RUNS, " " * 30, "\n" * 9, "a\n b\n\n  c "]:
        ids = ours.encode(text)
        assert ids == reference.encode(text)
        assert ids == theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.decode(ids) == theirs.decode(ids) == text
        assert theirs(text)["input_ids"] == ours.encode_prompt(text) == [0, *ids]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alphabet", ["ab", " a", "ab ", "a-", "aé "])
def test_ties_in_repetitive_texts_are_decided_as_sentencepiece_does(kind: ModelType, alphabet: str) -> None:
    chance = random.Random(7)
    texts = ["".join(chance.choice(alphabet) * chance.randint(1, 9) for _ in range(30)) for _ in range(60)]
    model = train_sentencepiece(texts[:30], kind, vocab_size=300, say=quiet)
    reference, ours = spm.SentencePieceProcessor(model_proto=model), convert(model)
    assert [ours.encode(text).ids for text in texts] == reference.encode(texts)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\u2581", exclude_categories=["Cs"])))
@pytest.mark.parametrize("kind", KINDS)
def test_any_text_has_sentencepieces_ids(kind: ModelType, text: str) -> None:
    model = train_sentencepiece(LINES, kind, vocab_size=400, say=quiet)
    assert convert(model).encode(text).ids == spm.SentencePieceProcessor(model_proto=model).encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_written_out_markers_bytes_and_spaces_of_sentencepiece_stay_text(kind: ModelType) -> None:
    text = "<|endoftext|> <0x41><0xFF> <unk> ▁ ▁▁a <|endoftext|>"
    tokenizer = train(kind, [*LINES, text * 20])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.end_of_text not in tokenizer.encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_has_the_size_asked_for_or_what_the_text_gives(kind: ModelType) -> None:
    chance = random.Random(5)
    words = ["".join(chance.choices("abcdefghijkl", k=chance.randint(2, 5))) for _ in range(300)]
    assert train(kind, [" ".join(chance.choices(words, k=5000))], vocab_size=320).vocab_size == 320
    for text in ("a", " ", "the fox, the fox"):
        assert 258 <= train(kind, [text], vocab_size=64_000).vocab_size < 300


@pytest.mark.parametrize("kind", KINDS)
def test_letters_of_long_lines_are_learned_and_rare_ones_are_bytes(kind: ModelType) -> None:
    said: list[str] = []
    text = "x" * 10_000 + "ж" * 10_000 + " " + "".join(map(chr, range(0x4E00, 0x5000)))
    settings = TokenizerSettings(tokenizer=f"sentencepiece-{kind}")
    tokenizer = train_tokenizer(settings, [text], vocab_size=300, say=said.append)
    assert len(tokenizer.encode("ж")) == 1
    assert len(tokenizer.encode("\u4fff")) == 3
    assert "of 515 characters" in said[0]
    assert "are written as bytes" in said[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("texts", "vocab_size", "sentence"),
    [
        (["", ""], 300, "There is no text to make a tokenizer from"),
        (["\n\t\r\n"], 300, "The texts hold nothing that SentencePiece could learn from"),
        (["the fox"], 260, "vocab_size is 260, but a SentencePiece vocabulary needs 257 entries"),
    ],
)
def test_what_cannot_be_learned_is_a_sentence(
    kind: ModelType, texts: list[str], vocab_size: int, sentence: str
) -> None:
    with pytest.raises(TokenizerError, match=sentence):
        train(kind, texts, vocab_size=vocab_size)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_vocabulary(kind: ModelType) -> None:
    assert train(kind, LINES).fingerprint == train(kind, LINES).fingerprint


def test_without_the_library_the_pip_line_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bajka\[sentencepiece\]'"):
        train("bpe", LINES)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"model_type": "unigram", "unk_id": 2, "bos_id": -1, "eos_id": 1, "pad_id": 0},
        {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
        | {"vocab_size": 400, "split_digits": True, "allow_whitespace_only_pieces": True},
        {"model_type": "unigram", "byte_fallback": True, "control_symbols": ["<cls>", "[SEP]"], "vocab_size": 400},
        {"model_type": "unigram", "split_by_whitespace": False},
        {"model_type": "char"},
    ],
    ids=["default", "like T5", "like Llama", "with markers", "pieces of several words", "characters"],
)
def test_an_existing_model_keeps_its_ids(options: dict[str, Any], tmp_path: Path) -> None:
    path = model_file(tmp_path, **options)
    reference, ours = spm.SentencePieceProcessor(model_file=str(path)), Tokenizer.load(path)
    assert ours.end_of_text == reference.eos_id()
    for text in [*LINES, *HARD_TEXTS]:
        assert ours.encode(text) == reference.encode(text)
    for marker in ("<s>", "</s>", "[SEP]", "<unk>"):
        assert ours.end_of_text not in ours.encode(f"a {marker}")


def test_a_folder_with_a_model_is_found_and_saved_as_one_file(tmp_path: Path) -> None:
    path = model_file(tmp_path)
    path.rename(tmp_path / "tokenizer.model")
    tokenizer = Tokenizer.load(tmp_path)
    tokenizer.save(tmp_path / "saved", context_length=64)
    assert Tokenizer.load(tmp_path / "saved").encode(LINES[0]) == tokenizer.encode(LINES[0])
    assert tokenizer.decode(tokenizer.encode("The fox said")) == "The fox said"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model_type": "word"}, "it knows whole words only"),
        ({"treat_whitespace_as_suffix": True}, "it treats spaces in an unusual way"),
        ({"user_defined_symbols": ["<sep>"]}, "it gives other ids for 'a <sep> b'"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(options: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=f"cannot be used with the same ids: {reason}"):
        Tokenizer.load(model_file(tmp_path, **options))


@pytest.mark.parametrize("damage", ["empty", "cut", "random", "text", "huge piece"])
def test_a_damaged_model_is_one_sentence(damage: str, tmp_path: Path) -> None:
    whole = model_file(tmp_path).read_bytes()
    huge = b"\x0a\xc4\x9a\x0c\x0a\xc0\x9a\x0c" + b"a" * 200_000  # one more piece, as protobuf writes it
    content = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "random": random.Random(3).randbytes(5000),
        "text": b"the fox",
        "huge piece": whole + huge,
    }[damage]
    (tmp_path / "bad.model").write_bytes(content)
    with pytest.raises(BajkaError, match=r"bad\.model"):
        Tokenizer.load(tmp_path / "bad.model")


def test_a_model_that_is_no_tokenizer_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.model").write_bytes(b"\xff" * 100)
    with pytest.raises(DamagedFileError, match=r"is no SentencePiece model, or damaged\. Copy or download it again"):
        Tokenizer.load(tmp_path / "a.model")
