"""One fork server for all tests of faults: it takes some seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shooting_range import ShootingRange, shooting_range


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShootingRange]:
    """Where runs are shot at."""
    with shooting_range(tmp_path_factory.mktemp("place")) as there:
        yield there
