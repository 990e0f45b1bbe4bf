"""What is typed on the command line is what happens: switches, lists, strings, letters of any language."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import TINY, Bajka

import bajka as package
from bajka.cli.arguments import given, parse, wishes_type
from bajka.config import Settings
from bajka.errors import SettingsError


def typed(*arguments: str) -> dict[str, object]:
    """What a command with all settings is given."""
    heard: list[dict[str, object]] = []

    def train(wishes) -> None:  # type: ignore[no-untyped-def]
        heard.append(given(wishes))

    train.__annotations__ = {"wishes": wishes_type(), "return": None}
    train.__doc__ = "A command."
    parse(train, "train", arguments)()
    return heard[0]


SWITCHES = sorted(
    (name, field.default)
    for info in Settings.model_fields.values()
    for name, field in info.annotation.model_fields.items()  # type: ignore[union-attr]
    if field.annotation in (bool, bool | None)
)


@pytest.mark.parametrize(("name", "default"), SWITCHES)
def test_every_switch_can_be_turned(name: str, default: bool | None) -> None:
    flag = f"--{name.replace('_', '-')}"
    if default is False:
        assert typed(flag) == {name: True}
    else:
        assert typed(flag, "False") == {name: False}
        assert typed(flag, "True") == {name: True}
    assert typed() == {}


def test_a_switch_that_is_turned_off_is_in_the_settings_of_the_run(bajka: Bajka, texts: Path, tmp_path: Path) -> None:
    assert bajka("train", texts, "--steps", "1", "--unwrap", "False", *TINY).code == 0
    (page,) = (tmp_path / "runs").glob("*/config.toml")
    assert "unwrap = false" in page.read_text()


@pytest.mark.parametrize("flag", ["--encoding", "--mix", "--validate-on", "--add"])
def test_a_list_that_is_given_twice_is_refused(bajka: Bajka, texts: Path, flag: str) -> None:
    result = bajka("train", texts, flag, "a=0.1", flag, "b=0.2")
    assert result.code == 2
    assert f"{flag} is given 2 times. Write it once" in result.err


def test_several_stops_are_all_heard_and_none_eats_a_prompt(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    result = bajka("generate", tiny_run, "--stop", "zzzz", "--stop", "qqqq", "The fox", "-o", tmp_path / "a.jsonl")
    assert result.code == 0
    row = json.loads((tmp_path / "a.jsonl").read_text())
    assert (row["prompt"], row["stop"]) == ("The fox", ["zzzz", "qqqq"])


@pytest.mark.parametrize(
    ("command", "flag", "words"),
    [
        ("train", "--min_lr", "called --final-rate-share here, and is a share of the peak rate, not a rate"),
        ("train", "--max_iters", "called --steps here"),
        ("export", "--output-dir", "--output"),
    ],
)
def test_names_of_others_are_answered_where_the_command_has_ours(
    bajka: Bajka, tiny_run: Path, command: str, flag: str, words: str
) -> None:
    result = bajka(command, tiny_run, flag, "x")
    assert result.code == 2
    assert words in " ".join((result.err + result.out).split())


def test_settings_that_mean_something_else_are_told_as_such() -> None:
    with pytest.raises(SettingsError, match="final_rate_share, and is a share of the peak rate"):
        package.train("x.txt", min_lr=6e-5)


def test_letters_that_a_pipe_does_not_know_are_written_all_the_same(tiny_run: Path) -> None:
    command = [sys.executable, "-m", "bajka", "generate", str(tiny_run), "Što čini", "--max-new-tokens", "3", "-n", "2"]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert done.stdout.decode("utf-8").count("Što čini") == 2


def test_evaluate_tells_what_it_did_not_read(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "tale.txt").write_text("The fox went to the river and met hares.")
    (tmp_path / "some" / "bad.txt").write_bytes(bytes(range(256)) * 20)
    result = bajka("evaluate", tiny_run, tmp_path / "some", "--json")
    assert result.code == 0
    assert "Skipped" in result.err
    assert "bad.txt" in result.err
    assert json.loads(result.out)["bits_per_byte"] > 0


def test_evaluate_of_digits_is_json(bajka: Bajka, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "pi.txt").write_text("3.14159265358979 " * 20)
    result = bajka("evaluate", tiny_run, tmp_path / "pi.txt", "--json")
    assert json.loads(result.out, parse_constant=pytest.fail)["bits_per_letter"] is None


def test_a_part_of_texts_is_refused(bajka: Bajka, tiny_run: Path, texts: Path) -> None:
    result = bajka("evaluate", tiny_run, texts, "--part", "test")
    assert result.code == 2
    assert "leave it, or the texts, out" in result.err


def test_fields_are_refused_before_anything_is_shown(bajka: Bajka, tiny_run: Path) -> None:
    result = bajka("generate", tiny_run, "The fox", "--field", "title=x")
    assert (result.code, result.out) == (2, "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    writer = subprocess.Popen([sys.executable, "-m", "bajka", "fetch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    assert writer.wait(60) == 0
    assert writer.stderr.read() == b""


SHOW = """
import os
from bajka.cli.main import main
try:
    main(["--version"])
except SystemExit:
    print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("own", "spins"), [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")]
)
def test_waiting_threads_sleep_soon_unless_a_person_said_otherwise(own: dict[str, str], spins: str) -> None:
    before = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, env=before | own)
    assert done.stdout.split()[-1] == spins
