"""What is told of words."""

from __future__ import annotations

import time

from bajka.corpus.words import word_facts


def test_words_of_two_alphabets_are_shown() -> None:
    facts = word_facts(["Он сkaзал: «Мama», a fox и лиса, x и ы."])
    assert (sorted(facts.mixed), facts.mixed_count) == (["Мama", "сkaзал"], 2)


def test_a_long_run_of_letters_takes_no_long_time() -> None:
    began = time.process_time()
    assert word_facts(["北" * 200_000]).mixed == []
    assert time.process_time() - began < 5
