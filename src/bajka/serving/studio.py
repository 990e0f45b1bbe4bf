"""The studio: a page in the browser to write with a model, each text shown as it grows.

Gradio draws the page. Its analytics, its share link, its history of runs and its file uploads are off, the page forbids
the browser every address but its own, and one text-writing job runs at a time: torch needs all cores for it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bajka.checkpoint.model_folder import LoadedModel, open_model
from bajka.checkpoint.run_folder import RunFolder
from bajka.config import SampleSettings
from bajka.errors import BajkaError, MissingExtraError, ResourceError, RunError, SettingsError
from bajka.model.estimate import parameters
from bajka.serving.writing import LONGEST, MOST_TEXTS, read_wish, write_texts

if TYPE_CHECKING:
    import gradio

_WAITING = 16  # requests in the queue before the next one is turned away

_HEAD = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'self\' data: blob: '
    "'unsafe-inline' 'unsafe-eval'\">"
)
_CSS = ".gradio-container {max-width: 1200px !important; margin: 0 auto} footer {opacity: 0.6}"


def run_studio(
    name: str,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    device: str = "auto",
    open_browser: bool = False,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve the page of the model `name` until Ctrl-C; `ready` is told its address when it can be opened.

    Raises what `open_model` raises, `MissingExtraError` without Gradio, `ResourceError` when the port is taken.
    """
    _gradio()
    host, port = free_address(host, port)
    loaded = open_model(name, device=device)
    sample, prompts = _habits(name)
    local = host in ("127.0.0.1", "localhost", "::1")
    page = build_studio(loaded, title=_title(name), sample=sample, prompts=prompts, local=local)
    ready(start_studio(page, host=host, port=port, open_browser=open_browser))
    try:
        while page.server.thread.is_alive():
            page.server.thread.join(0.5)
    except KeyboardInterrupt:
        pass  # the usual end of a server
    finally:
        page.close(verbose=False)


def build_studio(
    loaded: LoadedModel,
    *,
    title: str,
    sample: SampleSettings | None = None,
    prompts: Sequence[str] = (),
    local: bool = True,
) -> gradio.Blocks:
    """The page, not yet served. Its only public endpoint is `/write`: prompt, n, max_new_tokens, temperature, top_k,
    top_p, seed in; `MOST_TEXTS` texts (unasked ones empty) and a line about them out, again and
    again as they grow.

    `sample` are the defaults of the controls, `prompts` are offered to click on; `local`: nobody else can reach it.
    """
    gr = _gradio()
    sample = sample or SampleSettings()

    def write(
        prompt: str = "",
        n: int = 1,
        max_new_tokens: int = sample.max_new_tokens,
        temperature: float = sample.temperature,
        top_k: int = sample.top_k or 0,
        top_p: float = sample.top_p or 1.0,
        seed: int = -1,
    ) -> Iterator[tuple[str, ...]]:
        try:
            wish = read_wish(prompt, n, max_new_tokens, temperature, top_k, top_p, seed, vocab_size=vocab_size)
            for texts, note in write_texts(loaded, wish):
                yield (*texts, *[""] * (MOST_TEXTS - len(texts)), note)
        except BajkaError as error:
            raise gr.Error(str(error), print_exception=False) from None

    vocab_size = loaded.tokenizer.vocab_size
    with gr.Blocks(title=title, analytics_enabled=False) as page:
        gr.Markdown(f"# {title}\n{_explanation(loaded, local=local)}")
        with gr.Row(equal_height=False):
            with gr.Column(scale=7, min_width=360):
                prompt = _prompt(prompts)
                with gr.Row():
                    start = gr.Button("Write", variant="primary", scale=3)
                    stop = gr.Button("Stop", scale=1, min_width=80)
                with gr.Row(equal_height=False):
                    texts = [_paper(number) for number in range(MOST_TEXTS)]
                note = gr.Markdown("", label="About the texts")
            with gr.Column(scale=3, min_width=260):
                controls = _controls(sample, vocab_size)
        writing = gr.on(
            [start.click, prompt.submit],
            write,
            [prompt, *controls],
            [*texts, note],
            api_name="write",
            preprocess=False,  # every value is checked by us, with a sentence
            show_progress="hidden",
            concurrency_limit=1,
        )
        quiet: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
        stopped = stop.click(None, cancels=[writing], **quiet)
        stopped.then(lambda: "Stopped.", None, note, **quiet)  # not at once: a last piece of text would hide it
        controls[0].change(_visible, controls[0], texts, **quiet)
    page.queue(max_size=_WAITING, default_concurrency_limit=1)
    return page  # type: ignore[no-any-return]


def start_studio(page: gradio.Blocks, *, host: str, port: int, open_browser: bool = False) -> str:
    """Serve a built page in a thread of its own; gives its address. `page.close()` ends it."""
    gr = _gradio()
    fonts = ("ui-sans-serif", "system-ui", "sans-serif")
    try:
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=["api"],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            max_file_size=1,  # bytes: there is nothing to upload
            theme=gr.themes.Default(font=fonts, font_mono=("ui-monospace", "monospace")),
            css=_CSS,
            head=_HEAD,
        )
    except OSError as error:
        raise ResourceError(f"The page cannot be served at {host}:{port} ({error}). Choose another --port.") from error
    return str(url)


def free_address(host: str, port: int) -> tuple[str, int]:
    """`host` and `port` if a server can listen there (port 0: any free one); `ResourceError` or `SettingsError` if not."""
    if not 0 <= port <= 65_535:
        raise SettingsError(f"port = {port} must be between 1 and 65535.")
    try:
        family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise SettingsError(
            f"host = {host!r} is no address of this computer ({error}). Try --host 127.0.0.1."
        ) from error
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ResourceError(
                f"Port {port} of {host} cannot be used ({error.strerror}): is another page open there? "
                f"Choose another one: --port {port % 65_535 + 1}"
            ) from error
        return host, int(probe.getsockname()[1])


def _prompt(examples: Sequence[str]) -> Any:
    """The box for the beginning, with examples to click on."""
    gr = _gradio()
    box = gr.Textbox(
        label="Beginning",
        placeholder="Once upon a time",
        info="Left empty, a new text begins. Shift and Enter writes.",
        lines=3,
        max_lines=12,
        autofocus=True,
    )
    if examples:
        gr.Examples(
            [[one] for one in examples], [box], label="Beginnings to try", api_visibility="private", preload=False
        )
    return box


def _controls(sample: SampleSettings, vocab_size: int) -> list[Any]:
    """The settings of a request, in the order of `read_wish`."""
    gr = _gradio()
    quiet: dict[str, Any] = {"buttons": []}
    length, top_k = min(sample.max_new_tokens, LONGEST), min(sample.top_k or 0, vocab_size)
    hottest, most = max(2.0, sample.temperature), max(top_k, min(200, vocab_size))
    return [
        gr.Slider(1, MOST_TEXTS, 1, step=1, label="Texts", **quiet),
        gr.Slider(1, LONGEST, length, step=1, label="Length in tokens", **quiet),
        gr.Slider(
            0, hottest, sample.temperature, step=0.05, label="Temperature", info="0: always the likeliest", **quiet
        ),
        gr.Slider(0, most, top_k, step=1, label="Top-k", info="0: all tokens", **quiet),
        gr.Slider(0.05, 1, sample.top_p or 1.0, step=0.01, label="Top-p", info="1: all tokens", **quiet),
        gr.Number(-1, label="Seed", info="-1: another one each time", precision=0),
    ]


def _paper(number: int) -> Any:
    """The box of one text."""
    return _gradio().Textbox(
        label=f"Text {number + 1}",
        lines=9,
        max_lines=24,
        min_width=300,
        interactive=False,
        visible=number == 0,
        buttons=["copy"],
    )


def _visible(n: int) -> list[Any]:
    """As many boxes as texts are asked for."""
    return [_gradio().update(visible=number < n) for number in range(MOST_TEXTS)]


def _explanation(loaded: LoadedModel, *, local: bool) -> str:
    config = loaded.model.config
    device = loaded.model.embedding.weight.device
    return (
        f"A small language model of {parameters(config):,} weights that sees {config.context_length:,} tokens at once, "
        f"running on {device}. It goes on with what you begin, in the manner of the texts it learnt from. It does not chat "
        f"and knows no facts.{' What you write here stays on this computer.' if local else ''}"
    )


def _title(name: str) -> str:
    """The last part of a path or hub name; that of the run for its model folder."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "model")]
    return parts[-1] if parts else "bajka"


def _habits(name: str) -> tuple[SampleSettings | None, list[str]]:
    """How the run `name` writes its own samples, and its prompts; nothing for what is no run."""
    try:
        run = RunFolder.open(name)
    except RunError:
        return None, []
    asked = run.settings.sample.prompts or [str(line.get("prompt", "")) for line in run.samples()]
    return run.settings.sample, [prompt for prompt in dict.fromkeys(asked) if prompt][:5]


def _gradio() -> Any:
    """Gradio, imported with its telemetry off."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import gradio
    except ImportError:
        raise MissingExtraError("The studio", extra="web") from None
    return gradio
