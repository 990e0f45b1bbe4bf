"""A file streams as text, as often as wanted, however long its lines are."""

from __future__ import annotations

import io

import pytest

from bajka.formats import Account, UnreadableError
from bajka.formats.decoding import Text, decode, decoded

STORY = "Žila jednom lisica. Nije mogla spavati, pa je brojila zvijezde."
LARGE = 3_000_000  # bytes: more than is decoded at once


def text_of(data: bytes, *, encoding: str | None = None) -> Text:
    return decoded(io.BytesIO(data), Account(), name="a.txt", encoding=encoding)


def test_all_newlines_become_one_kind_even_between_two_blocks() -> None:
    data = b"a\r\nb\rc\n" * (LARGE // 7)
    assert text_of(data).whole() == "a\nb\nc\n" * (LARGE // 7)


def test_marks_and_the_end_sign_of_dos_are_left_out() -> None:
    assert text_of(("\ufeff" + STORY + "\x1a\x1a").encode()).whole() == STORY
    assert text_of(("\ufeff" + STORY).encode("utf-16-be")).whole() == STORY


def test_chunks_end_at_line_ends_and_together_are_the_text() -> None:
    text = "".join(f"{number} {STORY}\n" for number in range(LARGE // 60))
    chunks = list(text_of(text.encode()).chunks())
    assert len(chunks) > 1
    assert "".join(chunks) == text
    assert all(chunk.endswith("\n") for chunk in chunks)


def test_one_enormous_line_comes_in_several_chunks_and_as_one_line() -> None:
    text = STORY * (LARGE // 40)
    stream = text_of(text.encode())
    assert max(map(len, stream.chunks())) <= 2**21
    assert list(stream.lines()) == [text]


def test_lines_are_those_of_split_without_the_empty_end() -> None:
    assert list(text_of(b"a\n\nb \nc\n").lines()) == ["a", "", "b ", "c"]
    assert list(text_of(b"a\n\nb").lines()) == ["a", "", "b"]
    assert list(text_of(b"").lines()) == []


def test_two_streams_of_one_file_do_not_disturb_each_other() -> None:
    text = text_of((STORY + "\n").encode() * (LARGE // 30))
    assert all(left == right for left, right in zip(text.chunks(), text.chunks(), strict=True))


def test_a_file_that_grows_while_it_is_read_is_read_as_it_was() -> None:
    file = io.BytesIO("Жили-были.".encode())
    text = decoded(file, Account(), name="a.txt")
    file.seek(0, io.SEEK_END)
    file.write("д".encode()[:1])
    assert text.whole() == "Жили-были."


def test_letters_between_two_blocks_are_whole() -> None:
    text = "ж" * (LARGE // 2)
    assert text_of(b"." + text.encode()).whole() == "." + text


def test_a_large_file_in_an_old_encoding_is_guessed_from_pieces() -> None:
    plain = "A line of plain words.\n" * 60_000
    text = plain + "Старик ловил неводом рыбу, а старуха пряла свою пряжу.\n" * 50 + plain
    account = Account()
    stream = decoded(io.BytesIO(text.encode("koi8-r")), account, name="a.txt")
    assert account.encoding.name == "koi8_r"
    assert stream.whole() == text


def test_a_large_file_that_is_not_all_in_its_encoding_is_refused_with_the_place() -> None:
    text = "Once upon a time, “he said”, there was a café.\n".encode("cp1252") * 40_000
    place = len(text) * 2 // 7
    with pytest.raises(UnreadableError, match=f"byte {place} \\(0x81\\) is not cp125"):
        text_of(text[:place] + b"\x81" + text[place:]).whole()


def test_damage_far_behind_is_named_by_its_place_in_the_file() -> None:
    data = (STORY + "\n").encode() * (LARGE // 60)
    with pytest.raises(UnreadableError, match=f"damaged bytes: 1, the first is byte {len(data)} \\(0xff, after "):
        text_of(data + b"\xff" + data)
    with pytest.raises(UnreadableError, match=f"byte {2 + 2 * 65} \\(0x00\\) is not|its end"):
        text_of("\ufeff".encode("utf-16-le") + ("x" * 65).encode("utf-16-le") + b"\0\xd8").whole()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_person_may_name_a_wide_encoding_without_its_mark(encoding: str) -> None:
    assert text_of(STORY.encode(f"{encoding}-le"), encoding=encoding).whole() == STORY
    assert text_of(STORY.encode(encoding), encoding=encoding).whole() == STORY


def test_what_no_tokenizer_could_give_back_is_refused() -> None:
    with pytest.raises(UnreadableError, match=r"a NUL character \(at 1\)"):
        decode("a\0b".encode("utf-16"), name="a.txt")
    with pytest.raises(UnreadableError, match=r"half a character \(a lone surrogate, at 1\)"):
        decode(rb"a\ud800", name="a.txt", encoding="unicode_escape")


def test_binary_files_are_refused() -> None:
    with pytest.raises(UnreadableError, match="it is binary \\(a byte of zero at position 6\\)"):
        decode(b"\x89PNG\r\n\0\0\0", name="a.txt")
    with pytest.raises(UnreadableError, match="control bytes\\), not text"):
        decode(bytes(range(1, 9)) * 9, name="a.txt")
