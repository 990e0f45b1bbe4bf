"""The judge: how likely texts are to a larger model, real texts of the same length judged beside them.

A text that a large model finds likely is fluent, or dull, or copied: only the comparison with real text says which way to
look. Perplexity is per token of the judge; bits per byte and per letter compare across judges too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bajka.checkpoint.locate import locate_model
from bajka.checkpoint.model_folder import LoadedModel
from bajka.errors import CorpusError, MissingExtraError, ModelError, SettingsError
from bajka.evaluation.evaluate import Part, held_out_tokens
from bajka.evaluation.loss import Loss, make_loss
from bajka.generation.sampling import Sampling
from bajka.generation.write import generate
from bajka.paths import typed
from bajka.tokenizer.tokenizer import checked
from bajka.tokens.store import TokenSet

_LONGEST_CONTEXT = 2048  # the logits of a large vocabulary over more would not fit in a home computer
_OPENING_WORDS, _OPENING_LETTERS, _OPENING_TOKENS = 4, 8, 6
_MOST_FIELD_TOKENS = 128  # of a title, a genre, before the text itself


@dataclass(frozen=True)
class JudgeReport:
    """What `judge` says of each text (None of an empty one), and of all together."""

    judge: str
    texts: tuple[Loss | None, ...]
    overall: Loss

    def as_dict(self) -> dict[str, Any]:
        """The numbers of all texts together, by name."""
        return {"texts": sum(one is not None for one in self.texts), **self.overall.as_dict()}


@dataclass(frozen=True)
class Comparison:
    """`written` by a model, each begun with the first words of a `real` held-out text; judged by one judge."""

    judge: str
    written_texts: tuple[str, ...]
    real_texts: tuple[str, ...]
    written: JudgeReport
    real: JudgeReport

    def as_dict(self) -> dict[str, Any]:
        """Both reports by name."""
        return {"judge": self.judge, "written": self.written.as_dict(), "real": self.real.as_dict()}


class Judge:
    """A language model of transformers that tells how likely a text is. `start` is what it reads before the text."""

    def __init__(self, name: str, model: Any, tokenizer: Any) -> None:
        self.name, self.model, self.tokenizer = name, model, tokenizer
        start = tokenizer.bos_token_id
        self.start: int | None = tokenizer.eos_token_id if start is None else start
        config = model.config.get_text_config()
        longest = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 1024
        self.context = min(int(longest), _LONGEST_CONTEXT)

    @classmethod
    def load(cls, name: str, *, device: str = "cpu") -> Judge:
        """A run, a Hugging Face folder or a hub name, in fp32 on `device`.

        Raises `MissingExtraError` without transformers, `ModelError` for what it cannot open.
        """
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            import transformers
        except ImportError:
            raise MissingExtraError("A judge", extra="judge") from None
        transformers.utils.logging.disable_progress_bar()
        place = str(locate_model(name)) if typed(name).exists() else name
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, split_special_tokens=True)
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                place, dtype=torch.float32, use_safetensors=True
            )
        except Exception as error:  # transformers raises many kinds; all mean the same to the person
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(
                f"The judge {name} cannot be loaded ({reason}). Give a folder or a hub name of a language model, "
                "such as openai-community/gpt2."
            ) from error
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            raise ModelError(
                f"The judge {name} has a tokenizer that knows more than its model: they do not belong together."
            )
        return cls(name, model.to(device).eval(), tokenizer)

    @torch.no_grad()
    def nats(self, text: str) -> tuple[float, int, str]:
        """Nats and number of the tokens that were scored, and the text they stand for: all of it, or all but the first
        token for a judge that knows no marker to begin with. Long texts are read in windows that move by half a context.
        """
        ids = list(self.tokenizer(checked(text), add_special_tokens=False, verbose=False)["input_ids"])
        if self.start is None:
            text = text[len(self.tokenizer.decode(ids[:1])) :]
        else:
            ids = [self.start, *ids]
        nats, scored, place = 0.0, 0, 0
        while scored < len(ids) - 1:
            piece = torch.tensor([ids[place : place + self.context + 1]], device=self.model.device)
            logits = self.model(piece[:, :-1]).logits[0, scored - place :]
            chosen = logits.float().log_softmax(-1).gather(1, piece[0, 1 + scored - place :, None])
            nats -= float(chosen.cpu().double().sum())  # MPS has no float64
            scored = place + piece.shape[1] - 1
            place += max(1, self.context // 2)
        return nats, max(0, len(ids) - 1), text

    def report(self, texts: Sequence[str]) -> JudgeReport:
        """What this judge says of `texts`; raises `CorpusError` when there is nothing in them to judge."""
        scores = [self.nats(text) for text in texts]
        single = tuple(_loss([score]) if score[1] else None for score in scores)
        return JudgeReport(self.name, single, _loss(scores))


def judge_texts(texts: Sequence[str], judge: str, *, device: str = "cpu") -> JudgeReport:
    """Perplexity, bits per byte and per letter of each of `texts` and of all, by the model `judge` (folder or hub name).

    Raises `MissingExtraError` without transformers, `ModelError` for an unknown judge, `CorpusError` for empty texts.
    """
    return Judge.load(judge, device=device).report(texts)


def judge_model(
    loaded: LoadedModel,
    judge: str,
    *,
    n: int = 20,
    texts: Sequence[str] = (),
    part: Part = "validation",
    sampling: Sampling | None = None,
    device: str = "cpu",
) -> Comparison:
    """`n` texts that `loaded` writes, beside `n` real ones of about the same length with the same first words.

    The real ones are of `texts` (files and folders) or of a held-out `part` of the run. Raises what `judge_texts` and
    `bajka.evaluation.evaluate.held_out_tokens` raise, and `SettingsError` for n below 1.
    """
    if n < 1:
        raise SettingsError(f"n = {n}: give the judge at least 1 text.")
    sampling = sampling or Sampling()
    court = Judge.load(judge, device=device)
    real = real_texts(loaded, n=n, tokens=sampling.max_new_tokens + _OPENING_TOKENS, texts=texts, part=part)
    prompts = [opening(text) for text in real]
    written = [one.whole for one in generate(loaded.model, loaded.tokenizer, prompts, sampling=sampling)]
    return Comparison(judge, tuple(written), tuple(real), court.report(written), court.report(real))


def real_texts(
    loaded: LoadedModel, *, n: int, tokens: int, texts: Sequence[str] = (), part: Part = "validation"
) -> list[str]:
    """`n` held-out texts of at most `tokens` tokens: beginnings of documents, or of places of a few long ones.

    Of a text with fields it is what stands behind its last marker.
    """
    held_out = held_out_tokens(loaded, texts, part=part)
    end, markers = loaded.tokenizer.end_of_text, frozenset(loaded.tokenizer.markers.values())
    pieces = [_document_from(held_out, place, tokens, end, markers) for place in _places(held_out, n)]
    found = [text for piece in pieces if (text := loaded.tokenizer.decode(piece).strip("\ufffd"))]
    if not found:
        raise CorpusError(
            "There is no real text to compare with: the held-out text is empty. Name texts to compare with."
        )
    return found


def opening(text: str) -> str:
    """The first words of a text, or its first letters where words have no spaces between them."""
    words = text.split()[:_OPENING_WORDS]
    if len(words) < _OPENING_WORDS:
        return text[:_OPENING_LETTERS]
    end = 0
    for word in words:
        end = text.index(word, end) + len(word)
    return text[:end]


def _places(tokens: TokenSet, n: int) -> list[int]:
    """`n` places spread evenly: over the documents when there are so many, else over all tokens."""
    if len(tokens.starts) >= n:
        return [int(tokens.starts[len(tokens.starts) * i // n]) for i in range(n)]
    return [len(tokens) * i // n for i in range(n)]


def _document_from(tokens: TokenSet, place: int, length: int, end: int, markers: frozenset[int]) -> list[int]:
    """At most `length` ids of the document from `place` on, up to its end; fields and markers before are passed over."""
    ids = [int(one) for one in tokens.ids[place : place + length + _MOST_FIELD_TOKENS * len(markers) + 1]]
    ids = ids[1:] if ids[:1] == [end] else ids
    ids = ids[: ids.index(end)] if end in ids else ids
    begin = max((at + 1 for at, one in enumerate(ids) if one in markers), default=0)
    return ids[begin : begin + length]


def _loss(scores: Sequence[tuple[float, int, str]]) -> Loss:
    """The numbers of some texts together."""
    nats, counts, texts = zip(*scores, strict=True) if scores else ((), (), ())
    tokens = sum(counts)
    return make_loss(
        sum(nats),
        tokens,
        bytes_per_token=sum(len(text.encode("utf-8")) for text in texts) / max(1, tokens),
        letters_per_token=sum(sum(map(str.isalpha, text)) for text in texts) / max(1, tokens),
    )
