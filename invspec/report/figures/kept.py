"""Figures are drawn again only where what they show has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from invspec import report
from invspec.report.caches import made_once
from invspec.report.figures import groups
from invspec.report.figures.inline import Entry, Inline
from invspec.report.table import Table

# where a store keeps them, in its folder of pages
FOLDER = ".figures"


@dataclass(frozen=True)
class Figures:
    """Draws figures, and keeps those of pages in a folder, if there is one."""

    folder: Path | None = None

    def inline(self, tables: Sequence[Table], prefix: str) -> Inline | None:
        """The figure for a page; see `draw.inline`."""
        if self.folder is None:
            return _drawn(tables, prefix)
        path = self.folder / f"{digest([*tables, prefix])}.json"
        return made_once(path, _read, lambda: _drawn(tables, prefix))


def save(tables: Sequence[Table], path: Path) -> None:
    """Save a figure as PNG at path and as SVG beside it, unless those there show the same."""
    if not groups.is_drawn(tables):
        return
    mark, svg = f"<!-- {digest(tables)} -->\n", path.with_suffix(".svg")
    if path.exists() and svg.exists() and svg.read_text(encoding="utf-8").endswith(mark):
        return
    _drawing().save(tables, path)
    with svg.open("a", encoding="utf-8") as file:
        file.write(mark)


def _drawn(tables: Sequence[Table], prefix: str) -> Inline | None:
    return _drawing().inline(tables, prefix) if groups.is_drawn(tables) else None


def _drawing() -> ModuleType:
    """What draws. matplotlib takes half a second to import, and kept figures do without."""
    from invspec.report.figures import draw

    return draw


def digest(values: Sequence[Any]) -> str:
    """32 hex digits of what a figure shows and of the code that draws it."""
    seen = hashlib.sha256(_code())
    for part in _parts(values):
        seen.update(part)
    return seen.hexdigest()[:32]


@cache
def _code() -> bytes:
    """A digest of the code of reports, and of the version of matplotlib."""
    assert report.__file__ is not None, "a package without files"
    files = sorted(Path(report.__file__).parent.rglob("*.py"))
    texts = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(texts + metadata.version("matplotlib").encode()).digest()


def _parts(value: Any) -> list[bytes]:
    """A value as bytes, equal for equal values only."""
    if isinstance(value, np.ndarray):
        return [
            repr((value.shape, value.dtype.str)).encode(),
            np.ascontiguousarray(value).tobytes(),
        ]
    if is_dataclass(value):
        return _parts([getattr(value, field.name) for field in fields(value)])
    if isinstance(value, Mapping):
        return _parts(list(value.items()))
    if isinstance(value, frozenset):
        return _parts(sorted(value))
    if isinstance(value, list | tuple):
        inner = [part for item in value for part in _parts(item)]
        return [f"({len(value)}".encode(), *inner, b")"]
    return [f"{type(value).__name__} {value!r},".encode()]


def _read(fields: dict[str, Any]) -> Inline:
    legend = tuple(Entry(**entry) for entry in fields.pop("legend"))
    return Inline(**fields, legend=legend)
