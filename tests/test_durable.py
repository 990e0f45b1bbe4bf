"""Files that survive: the old one or the new one, whole, and nothing left beside it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bajka import durable
from bajka.errors import DiskError, disk_errors


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system itself refuses to write files beyond `size` bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def fails_with(number: int) -> Callable[..., None]:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_what_is_written_is_there(tmp_path: Path) -> None:
    durable.write_json(tmp_path / "new" / "a.json", {"Đurđa": [1, 2.5, None]})
    assert (tmp_path / "new" / "a.json").read_bytes() == (
        '{\n  "Đurđa": [\n    1,\n    2.5,\n    null\n  ]\n}\n'.encode()
    )
    assert names(tmp_path) == ["a.json", "new"]


def test_newlines_are_written_as_they_are(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "a", "one\r\ntwo\n")
    assert (tmp_path / "a").read_bytes() == b"one\r\ntwo\n"


def test_a_file_the_disk_cannot_hold_leaves_the_old_one_and_no_other(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "a", "old")
    with pytest.raises(DiskError, match=r"Could not write .*a: the disk holds no file so large"), largest_file(1000):
        durable.write_bytes(tmp_path / "a", b"x" * 100_000)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_failure_in_the_middle_leaves_the_old_file_and_no_other(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.write_text(tmp_path / "a", "old")
    monkeypatch.setattr(os, moment, fails_with(errno.ENOSPC))
    with pytest.raises(DiskError, match="the disk is full"):
        durable.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        durable.write_file(tmp_path / "a", interrupted)
    assert names(tmp_path) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    (tmp_path / "x.tmp" / "deep").mkdir(parents=True)
    (tmp_path / "x.tmp" / "deep" / "a").write_text("a")
    durable.publish_folder(tmp_path / "x.tmp", tmp_path / "x")
    assert names(tmp_path) == ["a", "deep", "x"]


def test_a_folder_is_never_written_over(tmp_path: Path) -> None:
    for name in ("x", "x.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    with pytest.raises(DiskError, match=r"something of another kind already has that name|not empty"):
        durable.publish_folder(tmp_path / "x.tmp", tmp_path / "x")
    assert (tmp_path / "x" / "a").read_text() == "x"


def test_a_link_is_made_twice_without_a_trace(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "model" / "target"
    source.write_text("weights")
    for _ in range(2):
        durable.link_or_copy(source, target)
        assert target.samefile(source)
        assert names(tmp_path) == ["model", "source", "target"]


def test_without_hard_links_the_content_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("weights")
    monkeypatch.setattr(os, "link", fails_with(errno.EPERM))
    durable.link_or_copy(source, target)
    assert target.read_text() == "weights"
    assert not target.samefile(source)
    assert names(tmp_path) == ["source", "target"]


def test_a_failed_copy_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 100_000)
    target.write_text("old")
    monkeypatch.setattr(os, "link", fails_with(errno.EPERM))
    with pytest.raises(DiskError), largest_file(1000):
        durable.link_or_copy(source, target)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["source", "target"]


def test_a_folder_is_removed_even_beside_the_rest_of_a_crash(tmp_path: Path) -> None:
    for name in ("x", "x.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text("a")
    durable.remove_folder(tmp_path / "x")
    durable.remove_folder(tmp_path / "x")
    assert names(tmp_path) == []


def test_a_line_is_appended_after_one_that_a_crash_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    durable.append_line(log, "one\n")
    durable.append_line(log, "два")
    assert log.read_text(encoding="utf-8") == "one\nдва\n"
    log.write_text("one\ntw", encoding="utf-8")
    durable.append_line(log, "three")
    assert log.read_text(encoding="utf-8") == "one\ntw\nthree\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_device_is_a_sentence() -> None:
    with pytest.raises(DiskError, match=r"Could not write /dev/full: the disk is full: free some space") as caught:
        durable.append_line(Path("/dev/full"), "a")
    assert caught.value.exit_code == 3


def test_a_file_in_the_place_of_a_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="something of another kind already has that name"):
        durable.write_text(tmp_path / "file" / "a", "a")


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full: free some space and run the same command again"),
        (errno.EDQUOT, "your share of the disk is used up: delete something of yours"),
        (errno.EFBIG, "the disk holds no file so large: choose another folder with --out or --output"),
        (errno.EACCES, "no permission to write there: choose another folder with --out or --output"),
        (errno.EROFS, "no permission to write there"),
        (errno.EISDIR, "something of another kind already has that name: choose another one"),
        (errno.EIO, "Input/output error: check the disk and try again"),
    ],
)
def test_what_the_system_says_becomes_advice(number: int, advice: str) -> None:
    with pytest.raises(DiskError, match=f"Could not save there: {advice}"), disk_errors("save", Path("there")):
        fails_with(number)()


def test_a_hash_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert durable.sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# -- how much is missing, and what is done again -------------------------------------------------------------------


def test_a_full_disk_tells_what_is_needed_and_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", fails_with(errno.ENOSPC))
    with pytest.raises(DiskError, match=r"a: the disk is full: .* \(about 1.2 MB are needed, .*B are free\)\.$"):
        durable.write_bytes(tmp_path / "a", bytes(1_200_000))


def test_around_several_files_the_need_of_all_is_told_with_the_name_of_one() -> None:
    with (
        pytest.raises(
            DiskError, match=r"^Could not write the file: the disk is full.*about 5.0 GB are needed"
        ) as caught,
        disk_errors("save", Path("all"), needs=5 * 10**9),
        disk_errors("write", Path("the file"), needs=1000),
    ):
        fails_with(errno.ENOSPC)()
    assert caught.value.full == "Could not write the file"


def test_a_line_that_was_refused_half_way_can_be_appended_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    durable.append_line(log, "one")
    with pytest.raises(DiskError), largest_file(10):
        durable.append_line(log, "two and more")
    durable.append_line(log, "two and more")
    assert log.read_text() == "one\ntwo and more\n"


def test_folders_that_are_missing_are_made_and_their_names_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    durable.make_folder(tmp_path / "a" / "b")
    durable.make_folder(tmp_path / "a" / "b")
    assert sorted(synced) == [tmp_path, tmp_path / "a"]


# -- Windows, which refuses to replace a file that somebody reads ---------------------------------------------------


def busy(times: int, number: int) -> Callable[[Path, Path], None]:
    """`os.replace` as Windows does it while a virus scanner reads: refused so many times."""
    original, left = os.replace, [times]

    def replace(source: Path, target: Path) -> None:
        if left[0]:
            left[0] -= 1
            error = PermissionError(errno.EACCES, "The process cannot access the file")
            error.winerror = number  # type: ignore[attr-defined]
            raise error
        original(source, target)

    return replace


@pytest.mark.parametrize("number", [5, 32, 33])
def test_a_file_that_is_read_by_another_is_replaced_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "replace", busy(3, number))
    durable.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_a_file_that_stays_busy_is_a_sentence_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    durable.write_text(tmp_path / "a", "old")
    monkeypatch.setattr(durable, "_RETRY_SECONDS", 0.2)
    monkeypatch.setattr(os, "replace", busy(1_000, 32))
    with pytest.raises(DiskError, match="another program has it open: close that one"):
        durable.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_other_refusals_are_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", busy(1, 1920))
    with pytest.raises(DiskError):
        durable.write_text(tmp_path / "a", "new")
