"""A view whose terminal or pipe may go away before the training ends."""

from __future__ import annotations

from typing import Any, cast

from bajka.watching.view import SilentView, View


def lasting(view: View) -> View:
    """`view` until it cannot write any more, then silence.

    A training must not die of it before it has saved: Ctrl-C in `bajka train ... | tee log.txt` ends `tee` first, and
    writing to a closed terminal is an input/output error.
    """
    return cast(View, _Lasting(view))


class _Lasting:
    """Passes every call of the protocol on."""

    def __init__(self, view: View) -> None:
        self._view = view

    @property
    def draws(self) -> bool:
        """As the view."""
        return self._view.draws

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> None:
            try:
                getattr(self._view, name)(*arguments, **named)
            except (OSError, SystemExit):  # rich answers a broken pipe by leaving the program
                self._view = SilentView()

        return call
