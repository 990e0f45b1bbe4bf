"""A site on this computer, in the place of all others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loopback import Site, serving


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as place:
        yield place
