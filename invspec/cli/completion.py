"""What a shell offers when a user presses Tab. Nothing here may fail: it then offers nothing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError

# what is typed so far
Words = list[str]
Offer = Callable[[str], list[str]]


def offering(words: Callable[[Words], Iterator[str]]) -> Offer:
    """A function as typer wants it: those of the words that begin as what is typed."""

    def offer(incomplete: str) -> list[str]:
        try:
            return [word for word in dict.fromkeys(words(_typed())) if word.startswith(incomplete)]
        except (InvspecError, OSError, ValueError, LookupError, TypeError, AttributeError):
            return []

    return offer


def _typed() -> Words:
    """The words of the command line. typer parses none of them where an option lacks its value."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    return shlex.split(line)


@offering
def specs(words: Words) -> Iterator[str]:
    """Specs that ship, by name, and those of this folder and of the folders in it."""
    from invspec.registry.cards import shipped

    yield from sorted(path.stem for path in shipped("specs").glob("*.yaml"))
    for pattern in ("*.yaml", "*/*.yaml"):
        yield from sorted(map(str, Path().glob(pattern)))


@offering
def scales(words: Words) -> Iterator[str]:
    """The scales of the spec that is named."""
    for values in _specs_of(words):
        yield from values.get("scales", {})


@offering
def settings(words: Words) -> Iterator[str]:
    """The dotted paths of what the named spec says, for --set."""
    from invspec.registry.cards import PARTS

    for values in _specs_of(words):
        for part, content in values.items():
            if part not in PARTS:
                yield f"{part}="
                continue
            for label, entry in content.items():
                yield from _paths(f"{part}.{label}", entry)


@offering
def kinds(words: Words) -> Iterator[str]:
    """The kinds of methods."""
    from invspec.registry.cards import KINDS

    yield from KINDS


@offering
def methods(words: Words) -> Iterator[str]:
    """The names of the methods of the kind that is named."""
    from invspec.registry.cards import KINDS, names

    for kind in KINDS:
        if kind in words:
            yield from names(kind)


def _specs_of(words: Words) -> Iterator[dict[str, Any]]:
    """The values of the specs that are named so far."""
    from invspec.registry.cards import shipped
    from invspec.spec import extend, overlay

    known = {path.stem for path in shipped("specs").glob("*.yaml")}
    for word in words:
        if word in known or Path(word).is_file():
            values = extend.read(overlay.find(word)).values
            if isinstance(values, dict):
                yield values


def _paths(path: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict) or "sweep" in value:
        yield f"{path}="
        return
    for name, item in value.items():
        yield from _paths(f"{path}.{name}", item)
