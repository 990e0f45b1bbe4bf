"""The promise of the demo: its small model writes tales that end, keep their hero, and are its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Bajka

import bajka as package
from bajka.cli.commands.demo import SHAPE, TALES, save_tales, through_time
from bajka.corpus.tales import names_first_hero_again, write_tales

STEPS = 600  # two CPU cores with native bf16 do more in the demo's two minutes


@pytest.mark.timeout(1500)
def test_of_100_tales_most_end_keep_their_hero_and_are_new(tmp_path: Path) -> None:
    tales = write_tales(TALES)
    file = save_tales(tales, tmp_path / "tales.jsonl")
    run = package.train(
        [file], out=str(tmp_path / "runs" / "demo"), steps=STEPS, evaluate_every_steps=300, compile="off", **SHAPE
    )
    texts = run.write([""] * 100, max_new_tokens=250, temperature=0.8, seed=1)
    known = set(tales)
    assert sum(text.reason == "stop" for text in texts) >= 90
    assert sum(names_first_hero_again(text.text) for text in texts) >= 80
    assert sum(text.text.strip() in known for text in texts) <= 5


def test_the_demo_shows_its_way_and_says_what_to_type_next(bajka: Bajka, tmp_path: Path) -> None:
    result = bajka("demo", "--minutes", "0.1")
    assert result.code == 0
    assert "Three new tales" in result.out
    assert "bajka train path/to/your/texts" in result.out
    assert (tmp_path / "runs" / "demo" / "loss.png").is_file()


def test_samples_through_time_keep_the_first_and_the_last() -> None:
    samples: list[dict[str, object]] = [{"step": n, "prompt": "", "text": str(n)} for n in range(20)]
    shown = through_time(samples)
    assert [shown[0][0], shown[-1][0]] == [0, 19]
    assert len(shown) == 6
