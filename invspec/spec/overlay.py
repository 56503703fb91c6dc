"""Find a spec, read it, and lay a scale and `--set` values over it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from invspec.errors import SpecError, suggest
from invspec.registry.cards import shipped
from invspec.spec import document
from invspec.spec.document import Document
from invspec.spec.resolve import resolve
from invspec.spec.resolved import Spec


def find(name: str) -> Path:
    """A path to a spec, or the name of one that ships with invspec. Raises SpecError with the nearest name."""
    if (path := Path(name)).suffix or len(path.parts) != 1 or os.path.lexists(name):
        return path
    known = {spec.stem: spec for spec in shipped("specs").glob("*.yaml")}
    if name not in known:
        raise SpecError(f"no spec is named {name!r}", hint=suggest(name, known))
    return known[name]


def load(path: Path, scale: str | None = None, settings: Sequence[str] = ()) -> Spec:
    """Read a spec, lay a scale and then `a.b=c` settings over it, and resolve every name in it."""
    written = document.read(path)
    for dotted, value, place in itertools.chain(_scale(written, scale), map(_setting, settings)):
        written = written.overlay(dotted, value, place)
    options = (
        *(["--scale", scale] if scale else []),
        *(word for text in settings for word in ("--set", text)),
    )
    return replace(resolve(written), options=options)


def _scale(source: Document, name: str | None) -> Iterator[tuple[str, Any, str]]:
    if name is None:
        return
    scales = source.values.get("scales") if isinstance(source.values, dict) else None
    if not isinstance(scales, dict) or not isinstance(scales.get(name), dict):
        known = scales if isinstance(scales, dict) else {}
        raise SpecError(
            f"{source.name} has no scale {name!r}", where="--scale", hint=suggest(name, known)
        )
    for dotted, value in scales[name].items():
        yield dotted, value, source.place(("scales", name, dotted))


def _setting(text: str) -> tuple[str, Any, str]:
    dotted, found, value = text.partition("=")
    if not found or not dotted:
        raise SpecError(
            f"found {text!r}", where="--set", hint="expected a.b=value, like attacks.pgd.steps=10"
        )
    return dotted, document.scalar(value, "--set"), "--set"
