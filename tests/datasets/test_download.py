"""A download gives the right file or one sentence, whatever the server does, and never a part under the final name."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback import HASTE, Site, noise

from bajka.datasets import download as module
from bajka.datasets.download import AbsentError, download
from bajka.errors import BajkaError, DamagedFileError, DiskError, InputError, ResourceError

CONTENT = noise(300_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


def get(site: Site, target: Path, *, sha256: str | None = SUM, size: int | None = len(CONTENT)) -> str:
    site.files.setdefault("/f", CONTENT)
    return download(f"{site.url}/f", target, sha256=sha256, size=size, patience=HASTE)


def partial(target: Path) -> int:
    """Bytes that wait for the next attempt."""
    part = target.with_name(f".{target.name}.part")
    return part.stat().st_size if part.exists() else 0


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "corpora" / "a.txt"


def test_a_file_comes_whole_and_nothing_else_is_left(site: Site, target: Path) -> None:
    assert get(site, target) == SUM
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_progress_is_told_in_bytes_up_to_the_end(site: Site, target: Path) -> None:
    site.files["/f"] = CONTENT
    told: list[tuple[str, int, int]] = []
    download(f"{site.url}/f", target, sha256=SUM, size=None, progress=lambda *what: told.append(what), patience=HASTE)
    assert told[0] == ("a.txt", 0, len(CONTENT))
    assert told[-1] == ("a.txt", len(CONTENT), len(CONTENT))


def test_a_cut_connection_is_taken_up_where_it_was_cut(site: Site, target: Path) -> None:
    site.plan["/f"] = ["cut 100000", "cut 100000"]
    get(site, target)
    assert target.read_bytes() == CONTENT
    assert site.asked == [("/f", None), ("/f", "bytes=100000-"), ("/f", "bytes=200000-")]


def test_many_cuts_are_borne_as_long_as_each_attempt_brings_something(site: Site, target: Path) -> None:
    site.files["/f"] = content = noise(2_000_000)
    site.plan["/f"] = ["cut 70000"] * 20
    get(site, target, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    assert target.read_bytes() == content


@pytest.mark.parametrize("answers", [["500", "500"], ["503", "cut 10"], ["429"], ["cut 0", "502"]])
def test_passing_trouble_of_the_server_is_borne(site: Site, target: Path, answers: list[str]) -> None:
    site.plan["/f"] = answers
    get(site, target)
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_begins_again(site: Site, target: Path) -> None:
    site.ranges = False
    site.plan["/f"] = ["cut 100000"]
    get(site, target)
    assert target.read_bytes() == CONTENT


def test_without_a_validator_nothing_is_joined(site: Site, target: Path) -> None:
    site.etags = False
    site.plan["/f"] = ["cut 100000"]
    get(site, target)
    assert site.asked == [("/f", None), ("/f", None)]
    assert target.read_bytes() == CONTENT


def test_a_file_that_changed_between_two_attempts_is_not_joined(site: Site, target: Path) -> None:
    site.plan["/f"] = ["cut 100000", "503", "503", "503"]
    with pytest.raises(ResourceError):
        get(site, target, sha256=None, size=None)
    assert partial(target) == 100_000
    site.files["/f"] = changed = noise(250_000, seed=1)
    get(site, target, sha256=None, size=None)
    assert target.read_bytes() == changed


def test_a_part_of_another_address_is_not_used(site: Site, target: Path) -> None:
    site.files["/g"] = other = noise(300_000, seed=2)
    site.plan["/f"] = ["cut 100000", "503", "503", "503"]
    with pytest.raises(ResourceError):
        get(site, target)
    download(f"{site.url}/g", target, sha256=None, size=None, patience=HASTE)
    assert target.read_bytes() == other


def test_a_part_that_was_altered_on_the_disk_is_found_out_and_fetched_again(site: Site, target: Path) -> None:
    site.plan["/f"] = ["cut 100000", "503", "503", "503"]
    with pytest.raises(ResourceError):
        get(site, target)
    target.with_name(".a.txt.part").write_bytes(bytes(100_000))
    get(site, target)
    assert target.read_bytes() == CONTENT


def test_a_server_that_stays_ill_gives_up_in_a_sentence_that_says_what_is_kept(site: Site, target: Path) -> None:
    site.plan["/f"] = ["cut 123456"]
    site.always["/f"] = "503"
    with pytest.raises(ResourceError, match=r"answered 503.*123,456 of 300,000 bytes are kept"):
        get(site, target)
    assert not target.exists()
    assert partial(target) == 123_456


def test_a_wrong_checksum_keeps_nothing_and_names_both(site: Site, target: Path) -> None:
    with pytest.raises(DamagedFileError, match=rf"{SUM} where {'0' * 64} was expected"):
        get(site, target, sha256="0" * 64)
    assert list(target.parent.iterdir()) == []


def test_a_file_of_another_size_is_refused_before_it_is_loaded(site: Site, target: Path) -> None:
    with pytest.raises(DamagedFileError, match="300,000 bytes where 7 were expected"):
        get(site, target, size=7)
    assert not target.exists()
    assert partial(target) == 0


def test_a_content_length_that_is_too_long_ends_in_a_sentence(site: Site, target: Path) -> None:
    site.always["/f"] = "longer 500"
    with pytest.raises(ResourceError, match="could not be had"):
        get(site, target, size=None)
    assert not target.exists()


def test_a_content_length_that_is_too_short_ends_in_a_sentence(site: Site, target: Path) -> None:
    site.always["/f"] = "shorter 500"
    with pytest.raises(DamagedFileError, match="299,500 bytes where 300,000"):
        get(site, target)
    with pytest.raises(DamagedFileError, match="SHA-256"):
        get(site, target, size=None)
    assert not target.exists()


def test_a_file_without_a_length_is_taken_when_its_size_is_right(site: Site, target: Path) -> None:
    site.plan["/f"] = ["unsized"]
    get(site, target)
    assert target.read_bytes() == CONTENT


def test_a_trickle_is_given_up_in_time(site: Site, target: Path) -> None:
    site.always["/f"] = "trickle 0.05"
    before = time.monotonic()
    with pytest.raises(ResourceError, match=r"only [\d,]+ bytes came in 0.5 seconds"):
        get(site, target)
    assert time.monotonic() - before < 8
    assert not target.exists()


def test_a_silent_server_is_given_up_in_time(site: Site, target: Path) -> None:
    site.always["/f"] = "trickle 30"
    with pytest.raises(ResourceError, match=r"nothing came for 0.5 seconds"):
        get(site, target)
    assert not target.exists()


def test_a_slow_but_steady_server_is_waited_for(site: Site, target: Path) -> None:
    site.plan["/f"] = ["slow 0.06"]  # a second in all, twice the time in which something must come
    get(site, target)
    assert len(site.asked) == 1


def test_what_is_not_there_is_said_at_once(site: Site, target: Path) -> None:
    with pytest.raises(AbsentError, match=r"no file at .*404"):
        download(f"{site.url}/none", target, sha256=None, size=None, patience=HASTE)
    assert len(site.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, InputError), (403, InputError), (418, ResourceError)])
def test_a_refusal_is_a_sentence_and_not_repeated(
    site: Site, target: Path, status: int, kind: type[BajkaError]
) -> None:
    site.always["/f"] = str(status)
    with pytest.raises(kind, match=str(status)):
        get(site, target)
    assert len(site.asked) == 1


def test_redirections_are_followed(site: Site, target: Path) -> None:
    site.always["/old"] = f"redirect {site.url}/f"
    site.files["/f"] = CONTENT
    download(f"{site.url}/old", target, sha256=SUM, size=None, patience=HASTE)
    assert target.read_bytes() == CONTENT


def test_redirections_in_a_circle_are_a_sentence(site: Site, target: Path) -> None:
    site.always["/f"] = f"redirect {site.url}/f"
    with pytest.raises(ResourceError, match="in a circle"):
        get(site, target)


def test_no_connection_is_a_sentence(target: Path) -> None:
    with pytest.raises(ResourceError, match=r"no connection to 127\.0\.0\.1.*Check the network"):
        download("http://127.0.0.1:9/f", target, sha256=None, size=None, patience=HASTE)


@pytest.mark.parametrize("url", ["nonsense", "file:///etc/passwd", "ftp://example.org/f", "http://"])
def test_an_address_that_is_none_is_a_sentence(target: Path, url: str) -> None:
    with pytest.raises(BajkaError):
        download(url, target, sha256=None, size=None, patience=HASTE)
    assert not target.exists()


def test_a_login_page_in_place_of_the_file_is_not_kept(site: Site, target: Path) -> None:
    site.headers["Content-Type"] = "text/html; charset=utf-8"
    with pytest.raises(ResourceError, match="a web page instead"):
        get(site, target, sha256=None, size=None)
    assert not target.exists()


def test_the_sum_that_the_hub_promises_is_asked_for(site: Site, target: Path) -> None:
    site.headers["X-Linked-ETag"] = f'"{"1" * 64}"'
    with pytest.raises(DamagedFileError, match="1" * 64):
        get(site, target, sha256=None)
    site.headers["X-Linked-ETag"] = f'"{SUM}"'
    assert get(site, target, sha256=None) == SUM


def test_a_disk_without_room_is_said_before_the_file_is_loaded(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskError, match="300,000 bytes are to come and 1,000 are free"):
        get(site, target)


def test_a_disk_that_takes_no_more_is_a_sentence_and_the_beginning_stays(site: Site, target: Path) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(DiskError, match=r"Could not write .*a\.txt"):
            get(site, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    get(site, target)
    assert target.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_a_sentence(site: Site, tmp_path: Path) -> None:
    (tmp_path / "corpora").write_text("a file")
    with pytest.raises(DiskError, match="choose another"):
        get(site, tmp_path / "corpora" / "a.txt")


def test_a_file_that_was_there_stays_when_the_new_one_is_wrong(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(DamagedFileError):
        get(site, target, sha256="0" * 64)
    assert target.read_bytes() == b"old"


def test_killed_in_the_middle_it_goes_on(site: Site, target: Path) -> None:
    site.files["/f"] = content = noise(2_000_000)
    site.plan["/f"] = ["slow 0.02"]
    call = f"download({site.url + '/f'!r}, Path({str(target)!r}), sha256=None, size=None)"
    code = f"from pathlib import Path; from bajka.datasets.download import download; {call}"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        deadline = time.monotonic() + 60
        while partial(target) < 200_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert not target.exists()
    came = partial(target)
    assert 0 < came < len(content)
    get(site, target, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    assert target.read_bytes() == content
    assert site.asked[-1] == ("/f", f"bytes={came}-")
