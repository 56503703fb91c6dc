"""Specs as values, from a file, by name or from a dictionary."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from invspec.errors import SpecError
from invspec.registry import cards
from invspec.spec import extend, overlay, resolved
from invspec.spec.document import Document


@dataclass(frozen=True)
class Spec:
    """A spec with its overlays.

    source: the path of a file, the name of a spec that ships with invspec, or a dictionary with the
    keys of a spec. scale: one of its scales. set: values by dotted paths, like
    {"attacks.pgd.steps": 10}. smoke: fake data and the smallest sizes. registry: one folder or
    several of own cards, beside those that INVSPEC_REGISTRY names. name: that of a spec from a
    dictionary, for files that are written of it; files that it extends are found from the current
    folder.

    Raises: SpecError from everything that reads it, if it is wrong.
    """

    source: str | Path | Mapping[str, Any]
    scale: str | None = None
    set: Mapping[str, Any] = field(default_factory=dict[str, Any])
    smoke: bool = False
    registry: str | Path | Sequence[str | Path] = ()
    name: str = "spec"

    @property
    def folders(self) -> list[Path]:
        """The folders of own cards."""
        given = [self.registry] if isinstance(self.registry, str | Path) else self.registry
        return [*folders_of_environment(), *map(Path, given)]

    @cached_property
    def resolved(self) -> resolved.Spec:
        """The spec with every name resolved."""
        cards.add_all(self.folders)
        settings = [self._setting(dotted, value) for dotted, value in self.set.items()]
        spec = overlay.overlaid(self._document(), self.scale, settings)
        return spec.smoke() if self.smoke else spec

    def _document(self) -> Document:
        if isinstance(self.source, Mapping):
            return extend.extended(Document(self.name, _plain(self.source, self.name)), Path("."))
        return extend.read(overlay.find(str(self.source)))

    def _setting(self, dotted: str, value: Any) -> tuple[str, str, Any, str]:
        plain = _plain(value, dotted)
        text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).removesuffix("\n...\n")
        return f"{dotted}={text.strip()}", dotted, plain, "set"


def folders_of_environment() -> list[Path]:
    """The folders of own cards that INVSPEC_REGISTRY names."""
    named = os.environ.get("INVSPEC_REGISTRY", "")
    return [Path(folder) for folder in named.split(os.pathsep) if folder]


def spec_of(spec: str | Path | Mapping[str, Any] | Spec) -> Spec:
    """What stands for a spec, as one."""
    return spec if isinstance(spec, Spec) else Spec(spec)


def _plain(value: Any, name: str) -> Any:
    """A value as a file holds it. Raises: SpecError for what YAML has no word for."""
    if isinstance(value, Mapping):
        return {key: _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item, f"{name}.{place}") for place, item in enumerate(value)]
    # a number of numpy or torch; some are also floats
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        return value.item()
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Path):
        return str(value)
    kind = type(value).__name__
    hint = "expected text, a number, true or false, a list or a dictionary"
    raise SpecError(f"{kind} cannot stand in a spec", where=name, hint=hint)
