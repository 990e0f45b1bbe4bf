"""`bajka studio`: a page in the browser to write with a model."""

from __future__ import annotations

from typing import Annotated

import tyro

from bajka.cli.common import say


def studio(
    model: Annotated[str, tyro.conf.Positional],
    host: str = "127.0.0.1",
    port: int = 7860,
    device: str = "auto",
    open_browser: bool = False,
) -> None:
    """Serve a page to write with MODEL, on this computer only unless you choose another host.

    Args:
        model: A run, a checkpoint, a folder, or a name on the hub.
        host: The address to listen on.
        port: The port to listen on.
        device: auto, cpu, cuda, cuda:1 or mps.
        open_browser: Open the page.
    """
    from bajka.serving.studio import run_studio

    run_studio(
        model,
        host=host,
        port=port,
        device=device,
        open_browser=open_browser,
        ready=lambda url: say(f"The studio of {model} is at {url} (Ctrl-C ends it)."),
    )
