"""The catalogue. A card, registry/<kind>/<name>.yaml, gives a method its name, its class and its paper.

Reading it imports neither torch nor pydantic nor any method, so that `invspec list` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args

import yaml

from invspec import sources
from invspec.errors import SpecError, suggest

T = TypeVar("T", "Card", "Paper")


Kind = Literal["dataset", "model", "defence", "attack", "measure"]


KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Card:
    """Name and provenance of one method; params are the settings that this name stands for.

    example is a part of a spec that uses it, for `invspec list`, where the computed one would not do.
    """

    target: str
    summary: str
    paper: str | None = None
    section: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    example: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Paper:
    """An entry of registry/papers.yaml."""

    title: str
    authors: str
    year: int
    venue: str | None = None


def shipped(folder: str) -> Path:
    """registry/ or specs/: beside the package in a checkout, inside it when installed."""
    inside = Path(__file__).parents[1] / f"_{folder}"
    return inside if inside.is_dir() else Path(__file__).parents[2] / folder


_added: list[Path] = []


def add(folder: Path) -> None:
    """Take cards from a user's folder too; Python files in it can be named by their targets.

    A user's card hides the package's of the same name; the last folder added comes first.
    """
    if not os.path.isdir(folder):  # which is False, not an error, for what may not be looked at
        raise SpecError(
            f"no folder {folder}",
            where="--registry",
            hint="expected a folder with <kind>/<name>.yaml cards",
        )
    resolved = folder.resolve()
    if resolved not in _added:
        sources.add(resolved)
        _added.insert(0, resolved)
        sys.path.append(str(resolved))
        forget()


def added() -> tuple[Path, ...]:
    """The users' folders in the order of adding, for processes that must see the same registry."""
    return tuple(reversed(_added))


def forget() -> None:
    """Read the folders anew when next asked."""
    for reader in (names, card, papers):
        reader.cache_clear()


def _folders() -> tuple[Path, ...]:
    return (*_added, shipped("registry"))


@cache
def names(kind: Kind) -> dict[str, Path]:
    """Every name of a kind, sorted, with its card's path."""
    found: dict[str, Path] = {}
    for folder in reversed(_folders()):
        found |= {path.stem: path for path in (folder / kind).glob("*.yaml")}
    return dict(sorted(found.items()))


@cache
def card(kind: Kind, name: str) -> Card:
    """The card of a name. Raises SpecError with the nearest name where there is none."""
    known = names(kind)
    if name not in known:
        hint = suggest(name, known) or f"`invspec list {kind}` shows them"
        raise SpecError(f"no {kind} is named {name!r}", hint=hint)
    return _read_as(Card, _read(known[name]), str(known[name]))


@cache
def papers() -> dict[str, Paper]:
    """Every paper that a card or a spec may cite, by key."""
    found: dict[str, Paper] = {}
    for path in (folder / "papers.yaml" for folder in reversed(_folders())):
        if path.is_file():
            found |= {
                key: _read_as(Paper, entry, f"{path}: {key}") for key, entry in _read(path).items()
            }
    return found


def _read(path: Path) -> dict[str, Any]:
    loader = getattr(
        yaml, "CSafeLoader", yaml.SafeLoader
    )  # the C one is ten times as fast, where it was built
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as problem:
        raise SpecError(f"cannot be read: {problem.strerror}", where=str(path)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise SpecError(f"not YAML: {str(problem).splitlines()[0]}", where=str(path)) from None
    if not isinstance(content, dict):
        raise SpecError("expected keys and values", where=str(path))
    return content  # pyright: ignore[reportUnknownVariableType]


_HOLDS: dict[
    Any, tuple[tuple[type, ...], str]
] = {  # by annotation, which `from __future__` leaves as text
    "str": ((str,), "a text"),
    "str | None": ((str, NoneType), "a text"),
    "int": ((int,), "a whole number"),
    "Mapping[str, Any]": ((dict,), "keys with values"),
}


def _read_as(kind: type[T], entry: Any, where: str) -> T:
    known = {item.name: item for item in fields(kind)}
    required = {
        name
        for name, item in known.items()
        if item.default is MISSING and item.default_factory is MISSING
    }
    given: dict[str, Any] = (
        {str(key): value for key, value in entry.items()} if isinstance(entry, dict) else {}
    )
    if wrong := sorted((required - set(given)) | (set(given) - set(known))):
        raise SpecError(
            f"{', '.join(wrong)}: missing or unknown",
            where=where,
            hint=f"expected {', '.join(known)}",
        )
    for name, value in given.items():
        types, words = _HOLDS[known[name].type]
        if not isinstance(value, types):
            raise SpecError(f"{name}: expected {words}, found {value!r}", where=where)
    return kind(**given)
