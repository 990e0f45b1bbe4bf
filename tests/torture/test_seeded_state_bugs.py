"""The checks are tested: known mistakes of training systems about state and data are put in, and each must be caught.

The checks pass without them; with one of them, at least one check fails.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import bajka
import state_checks as checks
from bajka.model.transformer import Transformer
from bajka.tokens import batches as batches_room
from bajka.tokens.batches import Batches
from bajka.training import finishing
from bajka.training import opening as opening_room
from bajka.training import session as session_room
from bajka.training import steps as steps_room
from bajka.training.optimizer import Optimizer
from tiny_runs import tales_file

Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tales_file(tmp_path_factory.mktemp("texts"), count=20)


@pytest.fixture(autouse=True)
def no_plots(monkeypatch: Patch) -> None:
    monkeypatch.setattr(finishing, "draw_plots", lambda run: None)


@pytest.fixture(scope="module")
def whole(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bajka.Run]:
    """Finished runs without a bug, made once."""
    folder = tmp_path_factory.mktemp("whole")
    return functools.cache(lambda recipe: checks.finished(texts, folder / recipe, recipe))


# -- mistakes in the loop and in the data ------------------------------------------------------------------------


def nan_check_removed(patch: Patch) -> None:
    patch.setattr(steps_room, "math", SimpleNamespace(isfinite=lambda number: True))


def batches_of_neighbours(patch: Patch) -> None:
    patch.setattr(batches_room, "_permutation", lambda draw, count: np.arange(count))


def an_epoch_misses_a_window(patch: Patch) -> None:
    whole = Batches.windows_per_epoch.fget
    assert whole is not None
    patch.setattr(Batches, "windows_per_epoch", property(lambda self: whole(self) - 1))


def an_epoch_repeats_windows(patch: Patch) -> None:
    patch.setattr(batches_room, "_permutation", lambda draw, count: draw.integers(count, size=count))


def accumulation_averages_micro_batches(patch: Patch) -> None:
    """Each micro-batch counts the same, however few targets it has (transformers before 4.46)."""
    whole = Transformer.loss_of

    def averaged(self: Transformer, x: Any, rotation: Any, targets: torch.Tensor, taught: Any) -> torch.Tensor:
        return 50 * whole(self, x, rotation, targets, taught) / (targets >= 0).sum()

    patch.setattr(Transformer, "loss_of", averaged)


def accumulation_forgets_all_but_the_last(patch: Patch) -> None:
    """Gradients are thrown away before each micro-batch."""
    whole = Transformer.embed

    def forgetful(self: Transformer, *inputs: Any, **options: Any) -> Any:
        for parameter in self.parameters():
            parameter.grad = None
        return whole(self, *inputs, **options)

    patch.setattr(Transformer, "embed", forgetful)


def dropout_not_keyed_by_step(patch: Patch) -> None:
    keyed = steps_room.key_randomness
    patch.setattr(steps_room, "key_randomness", lambda model, seed, step, *place: keyed(model, seed, 0, *place))


def dropout_not_keyed_at_all(patch: Patch) -> None:
    patch.setattr(steps_room, "key_randomness", lambda model, seed, *place: None)


def evaluation_leaves_the_model_in_evaluation(patch: Patch) -> None:
    patch.setattr(Transformer, "train", lambda self, mode=True: self if mode else torch.nn.Module.train(self, False))


QUICK: dict[Callable[[Patch], None], Callable[[], None]] = {
    nan_check_removed: checks.what_is_no_number_never_reaches_a_weight,
    batches_of_neighbours: checks.no_batch_holds_neighbours,
    an_epoch_misses_a_window: checks.every_token_is_a_target_once_an_epoch,
    an_epoch_repeats_windows: checks.every_token_is_a_target_once_an_epoch,
    accumulation_averages_micro_batches: checks.accumulation_equals_one_batch,
    accumulation_forgets_all_but_the_last: checks.accumulation_equals_one_batch,
    dropout_not_keyed_by_step: checks.dropout_differs_from_step_to_step_and_is_the_same_again,
    dropout_not_keyed_at_all: checks.dropout_differs_from_step_to_step_and_is_the_same_again,
    evaluation_leaves_the_model_in_evaluation: checks.an_evaluation_between_two_steps_leaves_dropout_on,
}


@pytest.mark.parametrize("check", dict.fromkeys(QUICK.values()), ids=lambda check: check.__name__)
def test_the_loop_and_the_data_keep_what_they_promise(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("bug", QUICK, ids=lambda bug: bug.__name__)
def test_a_mistake_in_the_loop_or_the_data_is_caught(
    bug: Callable[[Patch], None], monkeypatch: Patch, record_property: Callable[[str, object], None]
) -> None:
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        QUICK[bug]()
    record_property("injected", 1)
    record_property("survived", 1)


def test_the_scaler_of_fp16_survives_a_resume() -> None:
    checks.the_scaler_survives_a_resume()


def test_a_scaler_left_out_is_caught() -> None:
    with pytest.raises(AssertionError):
        checks.the_scaler_survives_a_resume(kept=lambda saved: {})


# -- parts of the state left out ---------------------------------------------------------------------------------


def without_tensors(part: str) -> Callable[[Patch], None]:
    """Tensors of the optimizer whose names begin so are not taken over."""

    def bug(patch: Patch) -> None:
        whole = Optimizer.load

        def load(self: Optimizer, state: dict[str, torch.Tensor], *, source: str) -> None:
            mine = {name: value.clone() for name, value in self.state().items() if name.startswith(part)}
            whole(self, state | mine, source=source)

        patch.setattr(Optimizer, "load", load)

    return bug


def with_state(**forgotten: Any) -> Callable[[Patch], None]:
    """These parts of state.json are as at the beginning."""

    def bug(patch: Patch) -> None:
        whole = opening_room.restore

        def restore(session: Any, checkpoint: Any) -> None:
            whole(session, replace(checkpoint, state=checkpoint.state | forgotten))

        patch.setattr(opening_room, "restore", restore)

    return bug


def best_loss_forgotten(patch: Patch) -> None:
    whole = opening_room.restore

    def restore(session: Any, checkpoint: Any) -> None:
        whole(session, checkpoint)
        session.best_loss = float("inf")

    patch.setattr(opening_room, "restore", restore)


def weights_not_loaded(patch: Patch) -> None:
    whole = opening_room.restore

    def restore(session: Any, checkpoint: Any) -> None:
        fresh = {name: value.clone() for name, value in session.state.model.state_dict().items()}
        whole(session, checkpoint)
        session.state.model.load_state_dict(fresh)

    patch.setattr(opening_room, "restore", restore)


LEFT_OUT: dict[str, tuple[str, Callable[[Patch], None]]] = {
    "weights": ("muon", weights_not_loaded),
    "muon's momentum": ("muon", without_tensors("muon.")),
    "first moments": ("muon", without_tensors("adam.exp_avg.")),
    "second moments": ("muon", without_tensors("adam.exp_avg_sq.")),
    "adam's step": ("muon", without_tensors("adam.step.")),
    "step": ("muon", with_state(step=0)),
    "position, so that the same batches come again (nanoGPT)": ("muon", with_state(position=0)),
    "skipped": ("muon", with_state(skipped=[1])),
    "plateau": ("plateau", with_state(plateau=None)),
    "best loss": ("rising", best_loss_forgotten),
}


@pytest.mark.torture
@pytest.mark.parametrize("recipe", checks.RESUMED)
def test_a_resume_is_exact(texts: Path, whole: Any, tmp_path: Path, recipe: str) -> None:
    checks.resume_is_exact(texts, whole(recipe), tmp_path / "run", recipe)


@pytest.mark.torture
@pytest.mark.parametrize("part", LEFT_OUT)
def test_a_part_of_the_state_left_out_is_caught(
    texts: Path,
    whole: Any,
    tmp_path: Path,
    part: str,
    monkeypatch: Patch,
    record_property: Callable[[str, object], None],
) -> None:
    recipe, bug = LEFT_OUT[part]
    undisturbed = whole(recipe)
    bug(monkeypatch)
    with pytest.raises(AssertionError):
        checks.resume_is_exact(texts, undisturbed, tmp_path / "run", recipe)
    record_property("injected", 1)
    record_property("survived", 1)


# -- observation that is not free --------------------------------------------------------------------------------


def evaluation_shares_the_random_stream(patch: Patch) -> None:
    """Dropout draws from a stream that is seeded once, and an evaluation draws from the same."""
    keyed, both = steps_room.key_randomness, session_room.losses_of
    seeded: list[int] = []

    def once(model: Any, seed: int, *place: int) -> None:
        if not seeded:
            seeded.append(seed)
            keyed(model, seed, *place)

    def drawing(*inputs: Any) -> Any:
        torch.rand(1)
        return both(*inputs)

    patch.setattr(steps_room, "key_randomness", once)
    patch.setattr(session_room, "losses_of", drawing)


@pytest.mark.torture
def test_observation_is_free(texts: Path, whole: Any, tmp_path: Path) -> None:
    checks.observation_is_free(texts, whole("muon"), tmp_path / "run")


@pytest.mark.torture
def test_an_evaluation_that_shares_the_random_stream_is_caught(
    texts: Path, tmp_path: Path, monkeypatch: Patch, record_property: Callable[[str, object], None]
) -> None:
    with monkeypatch.context() as patch:
        evaluation_shares_the_random_stream(patch)
        seldom = checks.finished(texts, tmp_path / "seldom", "muon")
    evaluation_shares_the_random_stream(monkeypatch)
    with pytest.raises(AssertionError):
        checks.observation_is_free(texts, seldom, tmp_path / "often")
    record_property("injected", 1)
    record_property("survived", 1)
