"""Every setting on one page: what the person may write in a TOML file or on the command line.

Settings are wishes and are never changed. `None` means "the plan decides" (`bajka.planning.plan` gives the number and
its reason). One section per stage; field names are unique across sections, so the command line is flat:
`n_layer` in `[model]` is `--n-layer`. Unknown names, wrong types and impossible values are reported all at once.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from bajka.entries import check_names, check_shares, name_and_texts, texts_and_share

Family = Literal["modern", "llama", "gpt2", "gpt1"]
Activation = Literal["swiglu", "gelu", "gelu_tanh", "relu"]
ScheduleName = Literal["wsd", "cosine", "linear", "constant", "plateau"]
OptimizerName = Literal["muon", "adamw", "adam"]
Precision = Literal["bf16", "fp16", "fp32"]


class Section(BaseModel):
    """Base of the sections: frozen, and unknown names are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CorpusSettings(Section):
    """Which texts, how they become documents, and how they are split."""

    texts: tuple[str, ...] = Field(
        (), description="Files, folders, archives, hf:user/dataset, or names that `bajka fetch` knows."
    )
    limit: str | None = Field(None, description='Use only the beginning: so much text in UTF-8, as "5MB" or "200kB".')
    documents: Literal["auto", "file", "line", "newline", "marker"] = Field(
        "auto",
        description="What one document is in a plain text: the file, a line, what stands between single newlines "
        "(empty lines are inside), or between marker lines.",
    )
    marker: str = Field("<|endoftext|>", min_length=1, description="The line that separates documents.")
    field: str | None = Field(None, description="Field of a JSON or Parquet record that holds the text.")
    column: str | None = Field(None, description="Column of a table that holds the text.")
    template: str | None = Field(
        None, description='Other fields as conditions, as "<|title|>{title}<|plot|>{plot}"; the last one is the text.'
    )
    encoding: tuple[str, ...] = Field((), description='Encodings by file pattern, as "poems/*=koi8-r".')
    split: Literal["auto", "documents", "tail", "characters"] = Field(
        "auto",
        description="How validation text is held out: whole documents by a hash, the tail of each document at a "
        "paragraph, or exactly the last share of all characters.",
    )
    validation_share: float | None = Field(None, gt=0, lt=0.9, description="Share of the text held out (0-0.9).")
    test_share: float | None = Field(
        None, gt=0, lt=0.9, description="Share held out as a third part, which training never looks at (default: none)."
    )

    @field_validator("limit")
    @classmethod
    def limit_is_a_size(cls, limit: str | None) -> str | None:
        """A limit is a positive size."""
        try:
            if limit is not None and TypeAdapter(ByteSize).validate_python(limit) <= 0:
                raise ValueError(f"{limit!r} leaves no text: write a size like 5MB")
        except ValidationError:
            raise ValueError(f'{limit!r} is not a size: write it like "5MB" or "200kB"') from None
        return limit

    @property
    def limit_bytes(self) -> int | None:
        """The limit in bytes."""
        return None if self.limit is None else int(TypeAdapter(ByteSize).validate_python(self.limit))


class CleaningSettings(Section):
    """What is done to each text before anything learns from it; `bajka inspect` shows what each step changed."""

    frames: bool = Field(True, description="Remove what publishers put around a text (Project Gutenberg and others).")
    ruby: bool = Field(True, description="Remove the reading marks and notes of Aozora Bunko.")
    control_characters: bool = Field(True, description="Remove control characters, marks of byte order, zero widths.")
    nfc: bool = Field(True, description="Compose letters and their accents (Unicode NFC).")
    hyphens: bool = Field(True, description="Remove soft hyphens and join words broken at the end of a line.")
    unwrap: bool = Field(True, description="Join the lines of prose that was broken to a width; verse stays.")
    blank_lines: bool = Field(True, description="At most two empty lines in a row, no spaces at ends of lines.")
    mojibake: bool = Field(False, description='Repair text that was decoded wrongly once ("Ã©" for "é"), with ftfy.')
    lowercase: bool = Field(False, description="Make every letter small.")
    minimum_characters: int | None = Field(None, ge=1, description="Leave out documents shorter than this.")
    maximum_characters: int | None = Field(None, ge=1, description="Leave out documents longer than this.")
    duplicates: bool = Field(True, description="Keep one of the documents that are equal but for white space.")
    near_duplicates: bool = Field(True, description="Keep one of the documents that are nearly equal (MinHash).")
    near_duplicate_similarity: float = Field(
        0.8, gt=0.3, le=1, description="Share of common word sequences from which two documents are nearly equal."
    )
    duplicate_paragraphs: bool = Field(
        False, description="Keep long paragraphs only where they stand first (refrains are lost with them)."
    )

    @model_validator(mode="after")
    def lengths_in_order(self) -> CleaningSettings:
        """A least length is not above the largest."""
        least, most = self.minimum_characters, self.maximum_characters
        if least is not None and most is not None and least > most:
            raise ValueError(f"minimum_characters ({least:,}) is above maximum_characters ({most:,}): swap them")
        return self


class TokenizerSettings(Section):
    """How text becomes numbers."""

    tokenizer: str = Field(
        "bpe",
        description='Trained on the texts: "bpe", "sentencepiece-bpe", "sentencepiece-unigram", "characters", "bytes"; '
        'or ready: "gpt2", a tokenizer.json, a SentencePiece .model, or a hub name.',
    )
    vocab_size: int | None = Field(None, ge=257, le=1_000_000, description="Entries of a trained vocabulary.")


class ModelSettings(Section):
    """The shape of the network."""

    family: Family = Field("modern", description="Which stock architecture: modern (Qwen3), llama, gpt2, gpt1.")
    n_layer: int | None = Field(None, ge=1, le=200, description="Blocks.")
    n_head: int | None = Field(None, ge=1, description="Attention heads.")
    n_kv_head: int | None = Field(None, ge=1, description="Key/value heads, shared by groups of heads.")
    n_embd: int | None = Field(None, ge=8, description="Width.")
    n_inner: int | None = Field(None, ge=8, description="Width inside the feed-forward part.")
    context_length: int | None = Field(None, ge=8, description="Tokens the model sees at once.")
    positions: Literal["rope", "learned", "sinusoidal"] | None = Field(
        None, description="How positions are told apart."
    )
    rope_theta: float | None = Field(None, gt=0, description="Base of the rotary frequencies.")
    activation: Activation | None = Field(None, description="Nonlinearity of the feed-forward part.")
    tie_embeddings: bool | None = Field(None, description="Whether input embedding and output head are one matrix.")
    bias: bool | None = Field(None, description="Whether linear layers and norms learn a bias (gpt2 and gpt1).")
    dropout: float | None = Field(None, ge=0, lt=1, description="Share of embedding and residual values dropped.")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="Share of attention weights dropped.")


class OptimizerSettings(Section):
    """How weights are updated."""

    optimizer: OptimizerName | None = Field(
        None, description="muon takes the matrices inside blocks and leaves the rest to AdamW."
    )
    learning_rate: float | None = Field(None, gt=0, description="Peak rate (with muon: of its matrices).")
    adamw_learning_rate: float | None = Field(None, gt=0, description="With muon: peak rate of all other weights.")
    weight_decay: float | None = Field(None, ge=0, description="Decoupled decay of matrices (coupled for adam).")
    momentum: float | None = Field(None, ge=0, lt=1, description="Muon's momentum.")
    beta1: float | None = Field(None, ge=0, lt=1, description="Adam's first decay rate.")
    beta2: float | None = Field(None, ge=0, lt=1, description="Adam's second decay rate.")
    gradient_clip: float = Field(1.0, ge=0, description="Largest gradient norm; 0 switches clipping off.")


class ScheduleSettings(Section):
    """How long, and how the rate moves on the way."""

    schedule: ScheduleName | None = Field(
        None,
        description="wsd (flat, then a linear cooldown), cosine, linear, constant, or plateau (halved when stuck).",
    )
    minutes: float | None = Field(
        None, gt=0, description="Active minutes from the start of the command to the last save."
    )
    steps: int | None = Field(None, ge=1, description="Optimizer updates.")
    epochs: float | None = Field(None, gt=0, description="Times every training token is seen.")
    most_epochs: float | None = Field(
        None, gt=0, description="A run in minutes ends after so many epochs, though time is left."
    )
    warmup_steps: int | None = Field(None, ge=0, description="Steps over which the rate rises from zero.")
    cooldown_share: float | None = Field(None, gt=0, le=1, description="wsd: last share of the run that cools down.")
    final_rate_share: float | None = Field(None, ge=0, le=1, description="Rate at the end, as a share of the peak.")
    plateau_every_steps: int = Field(100, ge=1, description="plateau: steps between its looks at the validation loss.")
    plateau_patience: int = Field(3, ge=0, description="plateau: looks without improvement before the rate drops.")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="plateau: what the rate is multiplied by.")
    early_stopping: int | None = Field(
        None, ge=1, description="Stop after so many looks at the validation loss without improvement."
    )
    early_stopping_every_steps: int | None = Field(
        None,
        ge=1,
        description="early_stopping: steps between its looks (default: between evaluations, if you set that, else a twentieth "
        "of the run).",
    )
    average: Literal["none", "ema", "epochs"] | None = Field(
        None, description="Average of the weights, taken as the model when better: moving, or of the last epochs' ends."
    )
    average_decay: float | None = Field(None, gt=0, lt=1, description="ema: share of the average that a step keeps.")
    average_epochs: int = Field(3, ge=2, description="epochs: of how many epochs' ends the mean is taken.")

    @model_validator(mode="after")
    def one_length(self) -> ScheduleSettings:
        """A run has one length."""
        given = [name for name in ("minutes", "steps", "epochs") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} were both given, but a run has one length: keep one of them")
        if self.most_epochs is not None and given not in ([], ["minutes"]):
            raise ValueError(f"most_epochs is for a run in minutes, but {given[0]} was given: keep one of them")
        return self


class TrainSettings(Section):
    """Batches, seed, and where the run goes."""

    global_batch_size: int | None = Field(None, ge=1, description="Sequences per optimizer step.")
    micro_batch_size: int | None = Field(None, ge=1, description="Sequences at once on one device.")
    windows: Literal["packed", "sliding", "documents"] = Field(
        "packed", description="Windows over shuffled documents, windows with a stride, or one document a row."
    )
    stride: int | None = Field(None, ge=1, description="sliding: tokens between the starts of two windows.")
    gradient_checkpointing: bool | None = Field(
        None, description="Compute activations again for the gradient: less memory, a third more time."
    )
    loss_chunk: int | None = Field(
        None, ge=1, description="Tokens whose logits are in memory at once (default: all, or what fits)."
    )
    seed: int = Field(1337, ge=0, lt=2**63, description="Seed of weights, batches, dropout and samples.")
    from_model: str | None = Field(
        None, description="Start from the weights of a run, a folder or a hub name (--from)."
    )
    teacher: str | None = Field(
        None,
        description='Learn also what another model expects: "own" (trained first, on the same texts), a MODEL with the same '
        'vocabulary, or "none".',
    )
    teacher_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Share of what is learnt that the teacher's expectations are; the rest is the text.",
    )
    mix: tuple[str, ...] = Field(
        (), description='Further texts and the share of the training windows that come from each, as "../poems=0.3".'
    )
    replay: float | None = Field(
        None,
        ge=0.0001,
        lt=1,
        description="With --from RUN: share of windows from the texts that RUN learned from (default: none).",
    )
    validate_on: tuple[str, ...] = Field(
        (), description='Texts that are only validated on, whole, each with a name, as "poems=../poems".'
    )
    out: str | None = Field(None, description="Folder of the run (default: runs/NAME, named after the texts).")
    save_every_minutes: float = Field(3.0, gt=0, description="Minutes between checkpoints (more where one takes long).")
    save_every_steps: int | None = Field(None, ge=1, description="Steps between checkpoints, instead of minutes.")
    tensorboard: bool = Field(False, description="Also write TensorBoard files.")
    wandb: bool = Field(
        False, description="Also write files of Weights & Biases (offline unless WANDB_MODE=online is set)."
    )

    @model_validator(mode="after")
    def a_stride_is_of_sliding_windows(self) -> TrainSettings:
        """A stride that nothing would use is refused."""
        if self.stride is not None and self.windows != "sliding":
            raise ValueError(
                f'stride = {self.stride} is for windows = "sliding", not "{self.windows}": set both or none'
            )
        return self

    @field_validator("validate_on")
    @classmethod
    def validation_sets_have_names(cls, validate_on: tuple[str, ...]) -> tuple[str, ...]:
        """Names are words, each used once."""
        check_names(validate_on)
        return validate_on

    @field_validator("mix")
    @classmethod
    def mix_has_texts_and_shares(cls, mix: tuple[str, ...]) -> tuple[str, ...]:
        """Each entry has a share that can be."""
        check_shares(share for _, share in map(texts_and_share, mix))
        return mix

    @model_validator(mode="after")
    def something_is_left_for_the_texts(self) -> TrainSettings:
        """The texts themselves get what the shares of others leave."""
        check_shares([*(share for _, share in self.mixed), self.replay or 0.0])
        return self

    @property
    def mixed(self) -> tuple[tuple[str, float], ...]:
        """The texts of `mix` and their shares."""
        return tuple(map(texts_and_share, self.mix))

    @property
    def validated_on(self) -> tuple[tuple[str | None, str], ...]:
        """The names (None: to be named after the folder or file) and texts of `validate_on`."""
        return tuple(map(name_and_texts, self.validate_on))


class SampleSettings(Section):
    """The samples shown while training, and the defaults of `generate`."""

    prompts: tuple[str, ...] = Field((), description="Prompts to show while training (default: openings of the texts).")
    max_new_tokens: int = Field(120, ge=1, description="Longest sample, in tokens.")
    temperature: float = Field(0.8, ge=0, description="Randomness; 0 always takes the likeliest token.")
    top_k: int | None = Field(None, ge=1, description="Choose among this many likeliest tokens.")
    top_p: float | None = Field(
        None, gt=0, le=1, description="Choose among the likeliest tokens with this total share."
    )
    min_p: float | None = Field(None, ge=0, le=1, description="Drop tokens below this share of the likeliest one.")
    repetition_penalty: float = Field(1.0, gt=0, description="Above 1: tokens already used become less likely.")

    @property
    def sampling(self) -> dict[str, Any]:
        """The fields of `bajka.generation.sampling.Sampling`: how a text is written, whatever it begins with."""
        return self.model_dump(exclude={"prompts"})


class EvaluationSettings(Section):
    """How often and on how much the model is judged while training."""

    evaluate_every_steps: int | None = Field(None, ge=1, description="Steps between evaluations.")
    evaluation_windows: int | None = Field(
        None, ge=1, description="Validation windows per evaluation (default: by cost)."
    )


class HardwareSettings(Section):
    """Where and how the arithmetic is done."""

    device: str = Field("auto", description='"auto", "cpu", "cuda", "cuda:1" or "mps".')
    precision: Precision | Literal["auto"] = Field("auto", description="bf16 only where the hardware has it natively.")
    compile: Literal["auto", "on", "off"] = Field("auto", description="torch.compile: auto uses it when it pays.")
    shard: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Several processes: cut the weights among them (FSDP2); auto: when they do not fit otherwise.",
    )
    deterministic: bool = Field(False, description="Bit-identical results on CUDA too, somewhat slower.")
    threads: int | None = Field(None, ge=1, description="CPU threads (default: as many as processors may be used).")


class Settings(Section):
    """All sections of one run, as written in `config.toml`."""

    corpus: CorpusSettings = CorpusSettings()
    cleaning: CleaningSettings = CleaningSettings()
    tokenizer: TokenizerSettings = TokenizerSettings()
    model: ModelSettings = ModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    train: TrainSettings = TrainSettings()
    sample: SampleSettings = SampleSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    hardware: HardwareSettings = HardwareSettings()
