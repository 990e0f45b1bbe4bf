"""What lies at a path is opened, unpacked in memory or a temporary file, and never trusted."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bajka.formats import Skipped, UnreadableError, open_path

zstandard = pytest.importorskip("zstandard", reason="zstandard is in the extra data")

STORY = b"Once upon a time there was a small fox who could not sleep.\n" * 3
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def tar_of(*members: tuple[str | tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def opened(folder: Path, name: str, data: bytes, *, named: bool = True) -> dict[str, bytes | str]:
    """The contents, or the reasons, by name."""
    (folder / name).write_bytes(data)
    found = open_path(folder / name, name, named=named)
    return {one.name: one.reason if isinstance(one, Skipped) else one.file.read() for one in found}


def refusal(folder: Path, name: str, data: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        opened(folder, name, data)
    assert sorted(path.name for path in folder.iterdir()) == [name]
    return caught.value.reason


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def test_an_ordinary_file_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(STORY)
    (one,) = open_path(tmp_path / "a.txt", "tales/a.txt", named=False)
    assert not isinstance(one, Skipped)
    assert (one.name, one.path, one.size, one.kind, one.named) == (
        *("tales/a.txt", tmp_path / "a.txt", len(STORY), "text", False),
    )


@pytest.mark.parametrize("last", PACKERS)
@pytest.mark.parametrize("name", ["a.txt", "a", "a.txt.renamed"])
def test_compression_is_told_by_the_bytes(tmp_path: Path, last: str, name: str) -> None:
    data = PACKERS[last](STORY)
    assert opened(tmp_path, name + last, data) == {name + last: STORY}
    assert opened(tmp_path, "b.txt", data) == {"b.txt": STORY}


@pytest.mark.parametrize("last", PACKERS)
def test_two_compressed_streams_in_a_row_are_one_text(tmp_path: Path, last: str) -> None:
    assert opened(tmp_path, "a.txt" + last, PACKERS[last](STORY) * 2) == {"a.txt" + last: STORY * 2}


@pytest.mark.parametrize("last", ["", *PACKERS])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_members_of_a_tar_come_in_its_order(tmp_path: Path, last: str, form: int) -> None:
    long = "b" * 90 + "/" + "ž" * 40 + ".txt"
    data = tar_of(("./t/b.txt", b"B " + STORY), (long, b"A " + STORY), ("t/.hidden.txt", STORY), form=form)
    data = PACKERS[last](data) if last else data
    found = opened(tmp_path, "tales.bin", data)
    assert list(found.items()) == [("tales.bin/t/b.txt", b"B " + STORY), (f"tales.bin/{long}", b"A " + STORY)]


def test_the_members_of_a_zip_come_in_its_order(tmp_path: Path) -> None:
    data = zip_of(("b.txt", STORY), ("t/ž.txt", STORY), ("__MACOSX/._b.txt", STORY), ("t/", b""), ("c.png", b"\x89"))
    found = opened(tmp_path, "tales.zip", data)
    assert list(found) == ["tales.zip/b.txt", "tales.zip/t/ž.txt", "tales.zip/c.png"]
    assert str(found["tales.zip/c.png"]).startswith("its ending (.png) is not one of")


def test_a_name_in_utf8_that_the_zip_does_not_announce(tmp_path: Path) -> None:
    data = zip_of(("xx.txt", STORY)).replace(b"xx.txt", "ž.txt".encode())
    assert list(opened(tmp_path, "a.zip", data)) == ["a.zip/ž.txt"]


def test_what_unpacks_to_much_lies_in_a_temporary_file(tmp_path: Path) -> None:
    text = b"".join(b"%d foxes and %d stars.\n" % (n, n * n) for n in range(1_500_000))
    assert opened(tmp_path, "a.txt.gz", gzip.compress(text, 1))["a.txt.gz"] == text


def test_an_archive_in_an_archive_is_opened_and_a_third_is_not(tmp_path: Path) -> None:
    inner = zip_of(("a.txt", STORY))
    middle = tar_of(("inner.zip", inner), ("b.txt.gz", gzip.compress(STORY)))
    assert list(opened(tmp_path, "m.tar.gz", gzip.compress(middle))) == [
        "m.tar.gz/inner.zip/a.txt",
        "m.tar.gz/b.txt.gz",
    ]
    outer = opened(tmp_path, "o.zip", zip_of(("m.tar", middle)))
    assert set(outer.values()) == {"it is packed more than twice over: unpack it first"}


def test_a_wrong_member_does_not_stop_the_others(tmp_path: Path) -> None:
    found = opened(tmp_path, "a.zip", zip_of(("a.pdf", b"%PDF-1.4"), ("e.txt", b""), ("b.txt", STORY)))
    assert found["a.zip/e.txt"] == "it is empty"
    assert "pdftotext" in str(found["a.zip/a.pdf"])
    assert found["a.zip/b.txt"] == STORY


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "t/../../a.txt", "C:/a.txt", "..\\a.txt", "\\\\host\\a.txt"])
def test_names_that_lead_out_are_left_out(tmp_path: Path, name: str) -> None:
    for archive in (zip_of((name, STORY)), tar_of((name, STORY))):
        assert list(opened(tmp_path, "a.zip", archive).values()) == ["its name leads out of the archive"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_nul_in_a_name_is_seen(tmp_path: Path) -> None:
    data = zip_of(("abcde.txt", STORY)).replace(b"abcde.txt", b"a.txt\0bcd")
    assert list(opened(tmp_path, "a.zip", data).values()) == ["its name leads out of the archive"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_left_out(tmp_path: Path, kind: bytes) -> None:
    data = tar_of((special("a.txt", kind, "/etc/passwd"), b""), ("b.txt", STORY))
    found = opened(tmp_path, "a.tar", data)
    assert found == {"a.tar/a.txt": "it is no regular file (a link or a device)", "a.tar/b.txt": STORY}


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    found = opened(tmp_path, "a.zip", zip_of((linked("a.txt"), b"/etc/passwd")))
    assert found == {"a.zip/a.txt": "it is no regular file (a link or a device)"}


@pytest.mark.parametrize("last", PACKERS)
def test_a_bomb_is_refused(tmp_path: Path, last: str) -> None:
    data = PACKERS[last](bytes(80 << 20))
    if len(data) * 200 < 80 << 20:
        assert "unpacks to more than 200 times its size" in refusal(tmp_path, "a.txt" + last, data)


def test_a_bomb_in_an_archive_is_refused(tmp_path: Path) -> None:
    zeros = bytes(17 << 20)
    for data in (zip_of(*((f"{n}.txt", zeros) for n in range(4))), gzip.compress(tar_of(("a.txt", zeros * 4)))):
        assert "unpacks to more than 200 times its size" in refusal(tmp_path, "a.zip", data)


@pytest.mark.parametrize("last", PACKERS)
def test_a_cut_or_altered_file_is_refused(tmp_path: Path, last: str) -> None:
    data = PACKERS[last](random.Random(1).randbytes(5_000))
    assert "data is damaged or cut off" in refusal(tmp_path, "a.txt" + last, data[:-20])
    middle = len(data) // 2
    altered = data[:middle] + bytes(255 - byte for byte in data[middle : middle + 9]) + data[middle + 9 :]
    if last != ".zst":  # its checksum is an option
        assert "data is damaged or cut off" in refusal(tmp_path, "a.txt" + last, altered)


def test_damaged_archives_are_refused_after_their_first_members(tmp_path: Path) -> None:
    noise = random.Random(2).randbytes(3_000)
    tar = tar_of(("a.txt", STORY), ("b.txt", noise), form=tarfile.USTAR_FORMAT)
    assert "a tar archive that is damaged or cut off" in refusal(tmp_path, "a.tar", tar[:2_500])
    header = bytearray(tar)
    header[1024 + 130] ^= 1
    assert "a header is wrong" in refusal(tmp_path, "a.tar", bytes(header))
    assert "gzip data is damaged" in refusal(tmp_path, "a.tar", gzip.compress(tar)[:-100])
    data = bytearray(zip_of(("a.txt", STORY), ("b.txt", noise)))
    data[len(data) // 2] ^= 1
    assert "damaged" in refusal(tmp_path, "a.tar", bytes(data))


@pytest.mark.parametrize("cut", [4, 30, 200, -1, -22])
def test_a_cut_zip_is_one_skipped_file(tmp_path: Path, cut: int) -> None:
    (reason,) = opened(tmp_path, "a.zip", zip_of(("a.txt", STORY), ("b.txt", STORY))[:cut]).values()
    assert str(reason).startswith("it is a zip file that is damaged or cut off")


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of(("a.txt", STORY)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "it is encrypted: unpack it with its password first" in refusal(tmp_path, "a.zip", bytes(data))


def test_an_unknown_way_of_packing_is_refused(tmp_path: Path) -> None:
    data = bytearray(zip_of(("a.txt", STORY)))
    struct.pack_into("<H", data, 8, 97)
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 97)
    assert "packed in a way that is not read" in refusal(tmp_path, "a.zip", bytes(data))


@pytest.mark.parametrize("size", [-1_024, -(2**40), 2**60])
def test_impossible_sizes_in_a_tar_do_not_loop(tmp_path: Path, size: int) -> None:
    bad = bytearray(tar_of(("a.txt", STORY), ("b.txt", STORY), form=tarfile.GNU_FORMAT))
    bad[1024 + 124 : 1024 + 136] = (b"\xff" if size < 0 else b"\x80") + (size % 2**88).to_bytes(11, "big")
    bad[1024 + 148 : 1024 + 156] = b" " * 8
    bad[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(bad[1024:1536])
    assert "a tar archive that is damaged or cut off" in refusal(tmp_path, "a.tar", bytes(bad))


def test_a_name_without_end_in_a_tar_is_refused(tmp_path: Path) -> None:
    data = tar_of(("x" * 3_000_000 + ".txt", STORY), form=tarfile.GNU_FORMAT)
    assert "a size is impossible" in refusal(tmp_path, "a.tar", data)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bajka.formats.opening._MOST_MEMBERS", 3)
    data = zip_of(*((f"{n}.txt", STORY) for n in range(4)))
    assert refusal(tmp_path, "a.zip", data) == "it holds more than 3 files: unpack it first"


def test_an_empty_archive_gives_nothing(tmp_path: Path) -> None:
    assert opened(tmp_path, "a.zip", zip_of()) == {}


def test_what_is_no_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "loop.txt").symlink_to(tmp_path / "nothing")
    (loop,) = open_path(tmp_path / "loop.txt", "loop.txt", named=True)
    assert loop == Skipped("loop.txt", "it is a link to nothing")
    (folder,) = open_path(tmp_path, "folder", named=True)
    assert folder == Skipped("folder", "it is not a regular file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may read everything")
def test_a_closed_file_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch(mode=0o000)
    (one,) = open_path(tmp_path / "a.txt", "a.txt", named=True)
    assert one == Skipped("a.txt", "it cannot be opened (Permission denied)")
