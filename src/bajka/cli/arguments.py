"""Command-line arguments from the same models as the TOML: one flat flag per setting, no default of its own.

What is not typed stays None, so that a settings page, a run or the plan may say it.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro

from bajka.config import Settings
from bajka.errors import SettingsError
from bajka.settings import OTHER_MEANINGS, OTHER_NAMES

FLAG_NAMES = {"from_model": "from"}
WITH_SETTINGS = ("train", "plan", "prepare", "inspect")
"""The commands that take settings as flags."""


def parse(function: Callable[..., None], command: str, arguments: Sequence[str]) -> Callable[[], None]:
    """Read `arguments` for a command; exits with 2 and a hint when they do not fit."""
    if command in WITH_SETTINGS:
        answer_other_names(arguments)
    refuse_repeated(arguments)
    return tyro.cli(
        _binder(function), prog=f"bajka {command}", args=list(arguments), config=(tyro.conf.OmitArgPrefixes,)
    )


def _binder(function: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """`function` with its signature, giving a call that is still to be made: errors in it are not tyro's."""

    @functools.wraps(function)
    def bound(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return functools.partial(function, *args, **kwargs)

    bound.__annotations__ = dict(function.__annotations__) | {"return": Callable[[], None]}
    return bound


def answer_other_names(arguments: Sequence[str]) -> None:
    """Raise `SettingsError` when a flag has nanoGPT's or transformers' name for a setting."""
    for word in arguments:
        plain = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and plain in OTHER_NAMES and plain not in FLAG_NAMES.values():
            ours = FLAG_NAMES.get(OTHER_NAMES[plain], OTHER_NAMES[plain]).replace("_", "-")
            meaning = OTHER_MEANINGS.get(plain)
            raise SettingsError(
                f"{word.partition('=')[0]} is called --{ours} here{f', and is {meaning}' if meaning else ''}."
            )


def refuse_repeated(arguments: Sequence[str]) -> None:
    """Raise `SettingsError` when the flag of a list comes twice: only the last one would be heard."""
    lists = {"--add", "--language"} | {
        f"--{name.replace('_', '-')}"
        for info in Settings.model_fields.values()
        for name, field in info.annotation.model_fields.items()  # type: ignore[union-attr]
        if get_origin(field.annotation) is tuple
    }
    flags = [word.partition("=")[0].replace("_", "-") for word in arguments if word.startswith("--")]
    for flag in flags:
        if flag in lists and flags.count(flag) > 1:
            raise SettingsError(
                f"{flag} is given {flags.count(flag)} times. Write it once, all values behind it: {flag} A B."
            )


def wishes_type(*sections: str, leave_out: Sequence[str] = ("texts",)) -> Any:
    """A dataclass with one optional field for every setting of `sections` (default: all), grouped by section."""
    groups = []
    for section, info in Settings.model_fields.items():
        if sections and section not in sections:
            continue
        model = info.annotation
        assert model is not None
        fields = [_field(name, field) for name, field in model.model_fields.items() if name not in leave_out]  # type: ignore[attr-defined]
        group = dataclasses.make_dataclass(f"{section.capitalize()}Wishes", fields, frozen=True)
        group.__doc__ = (model.__doc__ or "").splitlines()[0]
        groups.append((section, group, dataclasses.field(default_factory=group)))
    return dataclasses.make_dataclass("Wishes", groups, frozen=True)


def given(wishes: Any) -> dict[str, Any]:
    """What was typed, by flat name."""
    found = {}
    for group in dataclasses.fields(wishes):
        section = getattr(wishes, group.name)
        for field in dataclasses.fields(section):
            value = getattr(section, field.name)
            if value is not None and not (value is False and field.default is False):
                found[field.name] = value
    return found


def _field(name: str, info: Any) -> tuple[str, Any, Any]:
    """One flag: its type, and its help with the default that the settings page has."""
    kind = info.annotation
    help_text = info.description or ""
    if info.default is None:
        help_text += " (default: planned)" if "default" not in help_text else ""
    elif info.default not in ((), False) and info.default != "auto":
        help_text += f" (default: {info.default})"
    argument = tyro.conf.arg(
        name=FLAG_NAMES.get(name, name.replace("_", "-")), help=help_text, help_behavior_hint="", metavar=_metavar(kind)
    )
    if kind is bool and info.default is False:
        return name, Annotated[bool, argument, tyro.conf.FlagCreatePairsOff], dataclasses.field(default=False)
    return name, Annotated[Union[kind, None], argument], dataclasses.field(default=None)  # noqa: UP007


def _metavar(kind: Any) -> str:
    """What stands for the value in the help: INT, FLOAT, TEXT, or the choices."""
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if get_origin(kind) in (Union, types.UnionType):
        parts = [_metavar(part) for part in get_args(kind) if part is not type(None)]
        return "|".join(parts)
    if get_origin(kind) is tuple:
        return "TEXT ..."
    return {int: "INT", float: "FLOAT", bool: "{True,False}", str: "TEXT"}.get(kind, "VALUE")
