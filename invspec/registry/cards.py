"""Cards: registry/<kind>/<name>.yaml gives a method its name, its class and its paper.

Reading them imports neither torch nor pydantic nor any method, so that `invspec list` is fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, cast, get_args

import yaml

from invspec import sources
from invspec.errors import SpecError, first_line, suggest

T = TypeVar("T", "Card", "Paper")


Kind = Literal["dataset", "model", "defence", "attack", "measure", "check"]


KINDS: tuple[Kind, ...] = get_args(Kind)

# The parts of a spec that hold methods, and the kind of each.
PARTS: dict[str, Kind] = {
    "datasets": "dataset",
    "models": "model",
    "defences": "defence",
    "attacks": "attack",
    "measures": "measure",
}


def with_article(kind: str) -> str:
    """A kind of method in a sentence: a model, an attack."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


@dataclass(frozen=True)
class Card:
    """Name and provenance of one method.

    params are the fields that this name sets. example is a part of a spec that uses the method, for
    `invspec list`, if the computed one would not do.
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
    """registry/ or specs/: beside the package in a checkout, inside it once installed."""
    inside = Path(__file__).parents[1] / f"_{folder}"
    return inside if inside.is_dir() else Path(__file__).parents[2] / folder


_added: list[Path] = []


def add(folder: Path) -> None:
    """Add the cards of a user's folder, whose targets can name Python files in it.

    A user's card hides the package's card of the same name; the last folder added comes first.
    """
    # os.path.isdir is False, where Path.is_dir raises, for a folder without permission
    if not os.path.isdir(folder):
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


def add_all(folders: Iterable[Path]) -> None:
    """Add users' folders. Raises: SpecError if there is no such folder, or one has no cards."""
    for folder in folders:
        add(folder)
        patterns = (*(f"{kind}/*.yaml" for kind in KINDS), "papers.yaml")
        if not any(any(folder.glob(pattern)) for pattern in patterns):
            present = ", ".join(sorted(path.name for path in folder.iterdir())[:5])
            raise SpecError(
                f"no cards in {folder}: it holds {present or 'nothing'}",
                where="--registry",
                hint=f"expected <kind>/<name>.yaml, where kind is {' or '.join(KINDS)}",
            )


def added() -> tuple[Path, ...]:
    """The users' folders, in the order of adding, for processes that need the same registry."""
    return tuple(reversed(_added))


def forget() -> None:
    """Drop all caches, so that the folders are read again."""
    for reader in (names, card, papers):
        reader.cache_clear()


def _folders() -> tuple[Path, ...]:
    return (*_added, shipped("registry"))


@cache
def names(kind: Kind) -> dict[str, Path]:
    """Every name of a kind, sorted, with the path of its card."""
    paths: dict[str, Path] = {}
    for folder in reversed(_folders()):
        paths |= {path.stem: path for path in (folder / kind).glob("*.yaml")}
    return dict(sorted(paths.items()))


def shipped_names(kind: Kind) -> list[str]:
    """The names of a kind that ship with invspec, sorted."""
    return sorted(path.stem for path in (shipped("registry") / kind).glob("*.yaml"))


def path(kind: Kind, name: str) -> Path:
    """The path of the card of a name. Raises: SpecError with the nearest name if there is none."""
    known = names(kind)
    if name not in known:
        hint = _unregistered(kind, name) or suggest(name, known)
        hint = hint or f"`invspec list {kind}` shows all names"
        raise SpecError(f"no {kind} is named {name!r}", hint=hint)
    return known[name]


def _unregistered(kind: Kind, name: str) -> str:
    """A hint to a folder here that has the card of a name and was not added; empty if none does."""
    files = (path for path in Path().glob(f"*/{kind}/*.yaml") if path.stem == name)
    file = next((path for path in files if path.parents[1].resolve() not in _added), None)
    return f"`--registry {file.parents[1]}` adds {file}" if file else ""


@cache
def card(kind: Kind, name: str) -> Card:
    """The card of a name. Raises: SpecError with the nearest name if there is none."""
    file = path(kind, name)
    return _read_as(Card, _read(file), str(file))


@cache
def shipped_card(kind: Kind, name: str) -> Card:
    """The card that ships under this name, whatever a user's folder has."""
    path = shipped_path(kind, name)
    return _read_as(Card, _read(path), str(path))


def shipped_path(kind: Kind, name: str) -> Path:
    """The path of the card that ships under this name."""
    return shipped("registry") / kind / f"{name}.yaml"


@cache
def papers() -> dict[str, Paper]:
    """Every paper that a card or a spec may cite, by key."""
    entries: dict[str, Paper] = {}
    for path in (folder / "papers.yaml" for folder in reversed(_folders())):
        if path.is_file():
            for key, entry in _read(path).items():
                entries[key] = _read_as(Paper, entry, f"{path}: {key}")
    return entries


def _read(path: Path) -> dict[str, Any]:
    # the C loader is ten times as fast, but not built everywhere
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except OSError as problem:
        message = f"cannot be read: {problem.strerror}"
        raise SpecError(message, where=str(path), hint="expected a YAML file") from None
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        message = f"not YAML: {first_line(problem)}"
        raise SpecError(message, where=str(path), hint="expected keys with values") from None
    if not isinstance(content, dict):
        content_type = "nothing" if content is None else f"a {type(content).__name__}"
        raise SpecError(f"expected keys with values, found {content_type}", where=str(path))
    return content  # pyright: ignore[reportUnknownVariableType]


# Types and their name, by annotation, which `from __future__ import annotations` leaves as text.
_TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    "str": ((str,), "text"),
    "str | None": ((str, NoneType), "text"),
    "int": ((int,), "a whole number"),
    "Mapping[str, Any]": ((dict,), "keys with values"),
}


def _read_as(cls: type[T], entry: Any, where: str) -> T:
    """Keys of a YAML file as a Card or a Paper."""
    known = {item.name: item for item in fields(cls)}
    required = {
        name
        for name, item in known.items()
        if item.default is MISSING and item.default_factory is MISSING
    }
    values: dict[str, Any] = {}
    if isinstance(entry, dict):
        values = {str(key): value for key, value in cast(dict[Any, Any], entry).items()}
    wrong = [f"missing key {name}" for name in sorted(required - set(values))]
    wrong += [f"unknown key {name}" for name in sorted(set(values) - set(known))]
    if wrong:
        hint = f"expected {', '.join(known)}"
        raise SpecError(", ".join(wrong), where=where, hint=hint)
    for name, value in values.items():
        types, words = _TYPES[known[name].type]
        if not isinstance(value, types):
            raise SpecError(f"{name}: expected {words}, found {value!r}", where=where)
    return cls(**values)
