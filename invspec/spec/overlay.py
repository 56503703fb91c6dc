"""Find and read a spec; apply a scale and `--set` values to it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from invspec.errors import SpecError, suggest
from invspec.registry.cards import shipped
from invspec.spec import document, extend
from invspec.spec.document import Document
from invspec.spec.reader import Steps
from invspec.spec.resolve import resolve
from invspec.spec.resolved import Spec
from invspec.spec.unused import without_unused


def find(name: str) -> Path:
    """The path of a spec, given as a path or as the name of one that ships with invspec.

    Raises: SpecError that suggests the nearest name; also for a path where there is no file, but
        that has the name of a spec that ships.
    """
    path, is_there = Path(name), os.path.lexists(name)
    known = {spec.stem: spec for spec in shipped("specs").glob("*.yaml")}
    if not is_there and path.name in {spec.name for spec in known.values()}:
        hint = f"the spec that ships with invspec has the name {path.stem}"
        raise SpecError("no such file", where=name, hint=hint)
    if path.suffix or len(path.parts) != 1 or is_there:
        return path
    if name not in known:
        raise SpecError(f"no spec is named {name!r}", hint=suggest(name, known))
    return known[name]


def load(path: Path, scale: str | None = None, settings: Sequence[str] = ()) -> Spec:
    """Read a spec, apply a scale and then `a.b=c` settings, and resolve every name in it.

    Entries of extended files that nothing uses then are left out.
    """
    return overlaid(extend.read(path), scale, [(text, *_setting(text)) for text in settings])


def overlaid(
    source: Document, scale: str | None, settings: Sequence[tuple[str, str, Any, str]]
) -> Spec:
    """The same for values that are at hand; settings are texts, dotted paths, values and places."""
    changes = ((dotted, value, place) for _, dotted, value, place in settings)
    for dotted, value, place in itertools.chain(_scale(source, scale), changes):
        source = source.overlay(dotted, value, place)
    options = (
        *(["--scale", scale] if scale else []),
        *(word for text, *_ in settings for word in ("--set", text)),
    )
    return replace(resolve(without_unused(source)), options=options)


def _scale(source: Document, name: str | None) -> Iterator[tuple[str, Any, Mapping[Steps, str]]]:
    """The dotted paths of a scale with their values and places."""
    if name is None:
        return
    scales = source.values.get("scales") if isinstance(source.values, dict) else None
    if not isinstance(scales, dict) or not isinstance(scales.get(name), dict):
        known = scales if isinstance(scales, dict) else {}
        hint = suggest(name, known) or "leave --scale out: this spec has no scales"
        raise SpecError(f"{source.name} has no scale {name!r}", where="--scale", hint=hint)
    for dotted, value in scales[name].items():
        yield dotted, value, source.places_in(("scales", name, dotted))


def _setting(text: str) -> tuple[str, Any, str]:
    dotted, equals, value = text.partition("=")
    if not equals or not dotted:
        message = f"expected a.b=value, found {text!r}"
        raise SpecError(message, where="--set", hint="for example attacks.pgd.steps=10")
    return dotted, document.scalar(value, "--set"), "--set"
