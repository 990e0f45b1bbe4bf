"""`bajka watch`: how a run goes, from elsewhere; and what its prompts became, as a story."""

from __future__ import annotations

from typing import Annotated

import tyro

from bajka.cli.common import console


def watch(run: Annotated[str, tyro.conf.Positional], once: bool = False, story: bool = False) -> None:
    """Follow a RUN while it trains, here or in another window; Ctrl-C leaves it alone. Nothing is written to it.

    Args:
        run: runs/NAME.
        once: Show how it stands now, and end.
        story: Show what the model wrote at some moments from the beginning on, prompt by prompt; Markdown when the
            output is no terminal (--story > story.md).
    """
    from bajka.checkpoint.run_folder import RunFolder

    folder = RunFolder.open(run)
    if story:
        from bajka.watching.story import show_story

        show_story(folder, console())
        return
    from bajka.watching.watch import watch as follow

    try:
        follow(folder, console=console(), once=once)
    except KeyboardInterrupt:
        return  # whoever watches ends it so: no trouble, and none for the run
