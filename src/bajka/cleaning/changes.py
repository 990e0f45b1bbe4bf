"""What one step of cleaning did to a corpus: how many texts, how many characters, and a few places to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

EXAMPLES = 3
EXCERPT = 120  # characters of an excerpt; the change begins after the first third


@dataclass
class Change:
    """Texts that a step changed, and the characters it removed (or altered, where none went).

    `examples` are at most three pairs (before, after) of excerpts around the first change of a text.
    """

    documents: int = 0
    characters: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.examples = [(before, after) for before, after in self.examples]  # JSON made lists of the pairs

    def note(self, before: str, after: str, *, characters: int) -> None:
        """Count one changed text."""
        self.documents += 1
        self.characters += characters
        if len(self.examples) < EXAMPLES:
            self.examples.append(excerpts(before, after))

    def add(self, other: Change) -> None:
        """Take in what the same step did to other texts."""
        self.documents += other.documents
        self.characters += other.characters
        self.examples = (self.examples + other.examples)[:EXAMPLES]


def excerpts(before: str, after: str) -> tuple[str, str]:
    """The surroundings of the first place where two texts differ."""
    start = max(0, first_difference(before, after) - EXCERPT // 3)
    return before[start : start + EXCERPT], after[start : start + EXCERPT]


def first_difference(one: str, other: str) -> int:
    """How many characters the two have in common at their beginning, by halving: linear, and at memcmp's speed."""
    same, differ = 0, min(len(one), len(other)) + 1
    while differ - same > 1:
        middle = (same + differ) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            differ = middle
    return same
