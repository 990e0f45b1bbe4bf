"""Token files of nanoGPT, llm.c and modded-nanogpt: read, written, and what does not fit is a sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bajka.errors import BajkaError, CorpusError, DamagedFileError, TokenizerError
from bajka.tokens import TokenData, TokenSet
from bajka.tokens.foreign import is_token_folder, open_foreign_bins, write_llm_c
from tiny import byte_tokenizer

IDS = [0, *byte_tokenizer().encode("Once upon a time."), 0, *byte_tokenizer().encode("Лиса.")]


def foreign(folder: Path, ids: list[int], dtype: type = np.uint16, vocab_size: int = 257) -> TokenData:
    """A folder as nanoGPT's prepare.py makes it: `ids` for both sets, nothing else."""
    for name in ("train", "val"):
        np.array(ids, dtype=dtype).tofile(folder / f"{name}.bin")
    return open_foreign(folder, vocab_size)


def open_foreign(folder: Path, vocab_size: int = 257) -> TokenData:
    return open_foreign_bins(
        folder, vocab_size=vocab_size, end_of_text=0, tokenizer_fingerprint="f", decode=byte_tokenizer().decode
    )


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_files_of_nanogpt_open(dtype: type, tmp_path: Path) -> None:
    ids = [*byte_tokenizer().encode("Once upon a time."), 0, *byte_tokenizer().encode("Лиса."), 0]
    data = foreign(tmp_path, ids, dtype)
    assert data.train.ids.tolist() == ids
    assert data.train.starts.tolist() == [0, 17, 27]
    assert (data.train.content, data.train.bytes, data.train.letters) == (26, 26, 17)
    assert open_foreign(tmp_path).fingerprint == data.fingerprint


def test_large_vocabularies_are_read_in_four_bytes(tmp_path: Path) -> None:
    ids = [99_999, 70_000, 5, 0, 65_536]
    for name in ("train", "val"):
        np.array(ids, dtype=np.uint32).tofile(tmp_path / f"{name}.bin")
    data = open_foreign_bins(
        tmp_path, vocab_size=100_000, end_of_text=0, tokenizer_fingerprint="f", decode=lambda ids: "text"
    )
    assert data.train.ids.tolist() == ids


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (b"\x01\x00\x02", DamagedFileError, r"train\.bin cannot be read as token ids: .* 3 bytes"),
        (b"", CorpusError, r"train\.bin is empty: there is nothing to learn from"),
        (b"\x01\x00\x01\x01", TokenizerError, "holds the id 257, but the tokenizer has only 257 entries"),
    ],
)
def test_foreign_files_that_do_not_fit_are_a_sentence(
    content: bytes, error: type[BajkaError], sentence: str, tmp_path: Path
) -> None:
    foreign(tmp_path, [1, 2])
    (tmp_path / "train.bin").write_bytes(content)
    with pytest.raises(error, match=sentence):
        open_foreign(tmp_path)


def test_a_missing_foreign_file_is_a_sentence(tmp_path: Path) -> None:
    foreign(tmp_path, [1, 2])
    (tmp_path / "val.bin").unlink()
    with pytest.raises(DamagedFileError, match=r"val\.bin cannot be read"):
        open_foreign(tmp_path)


def llm_c(ids: list[int], *, magic: int = 20240520, version: int = 1, count: int | None = None) -> bytes:
    """A file as llm.c's write_datafile makes it."""
    header = np.zeros(256, dtype=np.int32)
    header[:3] = magic, version, len(ids) if count is None else count
    return header.tobytes() + np.array(ids, dtype=np.uint16 if magic == 20240520 else np.uint32).tobytes()


@pytest.mark.parametrize(("magic", "version"), [(20240520, 1), (20240801, 7)])
@pytest.mark.parametrize("names", [("train.bin", "val.bin"), ("story_train_000001.bin", "story_val_000000.bin")])
def test_files_of_llm_c_open(magic: int, version: int, names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(llm_c(IDS, magic=magic, version=version))
    assert is_token_folder(tmp_path)
    data = open_foreign(tmp_path)
    assert data.train.ids.tolist() == data.validation.ids.tolist() == IDS
    assert (data.train.starts.tolist(), data.train.control) == ([0, 18], (0,))
    assert (data.train.content, data.train.bytes, data.train.letters) == (26, 26, 17)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (llm_c(IDS, count=5), r"its header says 5 ids, but 28 follow"),
        (llm_c(IDS)[:-2], r"its header says 28 ids, but 27 follow"),
        (llm_c(IDS)[:-1], r"not a multiple of 2"),
        (llm_c(IDS)[:1000], r"its header is cut"),
        (llm_c(IDS, version=2), r"a version other than 1"),
        (llm_c(IDS, magic=20240801, version=1), r"a version other than 7"),
    ],
)
def test_a_damaged_header_or_file_is_a_sentence(content: bytes, sentence: str, tmp_path: Path) -> None:
    foreign(tmp_path, IDS)
    (tmp_path / "val.bin").write_bytes(content)
    with pytest.raises(DamagedFileError, match=rf"val\.bin cannot be read as token ids: .*{sentence}"):
        open_foreign(tmp_path)


def test_a_file_of_llm_c_without_ids_is_empty(tmp_path: Path) -> None:
    foreign(tmp_path, IDS)
    (tmp_path / "train.bin").write_bytes(llm_c([]))
    with pytest.raises(CorpusError, match="there is nothing to learn from"):
        open_foreign(tmp_path)


def test_several_files_for_one_side_are_a_sentence(tmp_path: Path) -> None:
    for name in ("a_train_1.bin", "a_train_2.bin", "a_val.bin"):
        (tmp_path / name).write_bytes(llm_c(IDS))
    with pytest.raises(CorpusError, match=r"has 2 token files for train \(a_train_1\.bin, a_train_2\.bin\)"):
        open_foreign(tmp_path)


def test_a_folder_with_one_side_is_none(tmp_path: Path) -> None:
    (tmp_path / "a_train.bin").write_bytes(llm_c(IDS))
    assert not is_token_folder(tmp_path)
    assert not is_token_folder(tmp_path / "a_train.bin")
    assert not is_token_folder(tmp_path / "nothing")


@pytest.mark.parametrize(("vocab_size", "head", "dtype"), [(257, (20240520, 1), "<u2"), (70_000, (20240801, 7), "<u4")])
def test_llm_c_reads_what_we_write(vocab_size: int, head: tuple[int, int], dtype: str, tmp_path: Path) -> None:
    tokens = TokenSet(np.array(IDS, dtype=dtype), np.array([0, 18], dtype=np.uint64), 26, 26, 17, (0,))
    data = TokenData(Path("data/alice-3f9c"), "f", vocab_size, 0, "t", tokens, tokens, {})
    for path in write_llm_c(data, tmp_path / "out"):
        raw = path.read_bytes()
        header = np.frombuffer(raw[:1024], dtype="<i4")
        assert (*header[:3], header[3:].any()) == (*head, 28, False)
        assert np.frombuffer(raw[1024:], dtype=dtype).tolist() == IDS
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"alice-3f9c_train.bin", "alice-3f9c_val.bin"}
    assert open_foreign(tmp_path / "out", vocab_size).train.ids.tolist() == IDS
