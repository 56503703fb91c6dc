"""Read a spec with the files that it extends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invspec.errors import SpecError, suggest
from invspec.registry import messages
from invspec.registry.cards import PARTS, shipped
from invspec.spec import document, merge
from invspec.spec.document import Document
from invspec.spec.reader import MAX_VALUES, Steps
from invspec.spec.schema import EXTENDS, Written, is_private

MAX_CHAIN, MAX_FILES = 8, 32

_ORDER = {key: place for place, key in enumerate(Written.model_fields)}


def read(path: Path) -> Document:
    """The values of a spec over those of the files that it extends, without private keys.

    Raises: SpecError if a file cannot be read or extended.
    """
    return extended(document.read(path), path)


def extended(source: Document, path: Path) -> Document:
    """The same for values that are at hand; files that they extend are found beside the path.

    Raises: SpecError if a file cannot be read or extended.
    """
    return _Reading().extended(source, (path,))


@dataclass
class _Reading:
    """Reads one spec. count is the number of files that were extended so far."""

    count: int = 0

    def extended(self, source: Document, chain: tuple[Path, ...]) -> Document:
        """A file over those that it extends. chain leads from the spec to this file."""
        if not isinstance(source.values, dict):
            return source
        own = _own(source)
        below: Document | None = None
        for name, path in _extends(source):
            place = _Place(source, name, path)
            target = _target(name, chain[-1], place)
            next_one = self.extended(self._read(target, chain, place), (*chain, target))
            below = next_one if below is None else merge.merged(below, next_one)
        if below is None:
            return own
        merged = merge.merged(below, own)
        if merge.size(merged.values) > MAX_VALUES:
            message = f"expected at most {MAX_VALUES:,} values with those of its files, found more"
            raise SpecError(message, where=source.place((EXTENDS,)))
        values = dict(sorted(merged.values.items(), key=_order))
        return replace(merged, values=values, inherited=frozenset(_inherited(below, own)))

    def _read(self, target: Path, chain: tuple[Path, ...], place: _Place) -> Document:
        _refuse_circle(target, chain, place)
        self.count += 1
        if len(chain) > MAX_CHAIN:
            raise place.error(f"expected at most {MAX_CHAIN} files in a chain, found more")
        if self.count > MAX_FILES:
            raise place.error(f"expected at most {MAX_FILES} files in all, found more")
        source = document.read(target)
        if not isinstance(source.values, dict):
            message = f"expected keys of a spec, found {messages.shown(source.values)}"
            hint = f"{chain[-1]} extends this file"
            raise SpecError(message, where=source.place(()), hint=hint)
        return source


@dataclass(frozen=True)
class _Place:
    """Where a file names a file that it extends."""

    source: Document
    name: str
    path: Steps

    def error(self, message: str, hint: str = "") -> SpecError:
        """A mistake at this place."""
        return self.source.locate(SpecError(f"{self.name}: {message}", hint=hint, path=self.path))


def _own(source: Document) -> Document:
    """A file without the keys that serve only its reading."""
    values = {
        key: value for key, value in source.values.items() if key != EXTENDS and not is_private(key)
    }
    return replace(source, values=values)


def _extends(source: Document) -> Iterator[tuple[str, Steps]]:
    """The names of the files that a file extends, with the paths where they stand."""
    if EXTENDS not in source.values:
        return
    given = source.values[EXTENDS]
    listed = given if isinstance(given, list) else [given]
    if not listed or not all(isinstance(name, str) and name.strip() for name in listed):
        message = f"expected a file or a list of files, found {messages.shown(given)}"
        hint = f"for example {EXTENDS}: shared/nets.yaml"
        raise source.locate(SpecError(message, hint=hint, path=(EXTENDS,)))
    for number, name in enumerate(listed):
        path: Steps = (EXTENDS, number) if isinstance(given, list) else (EXTENDS,)
        if name in listed[:number]:
            raise source.locate(SpecError(f"duplicate file {name}", hint="keep one", path=path))
        yield name, path


def _target(name: str, source: Path, place: _Place) -> Path:
    """The file of a name: a path from the folder of the file that gives it, or what ships."""
    beside = source.parent / name
    if os.path.lexists(beside):
        return beside
    folder = shipped("specs")
    known = {
        path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")
    }
    if name in known:
        return known[name]
    hint = f"paths start at the folder of {source}"
    if near := next((key for key in known if f"{key}.yaml" == Path(name).as_posix()), None):
        hint = f"the one that ships with invspec has the name {near}"
    elif not Path(name).suffix:
        hint = suggest(name, known) or hint
    raise place.error("no such file", hint)


def _refuse_circle(target: Path, chain: tuple[Path, ...], place: _Place) -> None:
    real = [os.path.realpath(path) for path in chain]
    if os.path.realpath(target) not in real:
        return
    start = real.index(os.path.realpath(target))
    names = " extends ".join(path.name for path in (*chain[start:], target))
    raise place.error(f"a circle: {names}", f"remove one `{EXTENDS}` of them")


def _order(item: tuple[str, Any]) -> int:
    """The place of a key in a spec: the title is first, whichever file has it."""
    return _ORDER.get(item[0], len(_ORDER))


def _inherited(below: Document, own: Document) -> Iterator[tuple[str, str]]:
    """The entries that only the extended files have."""
    for part in PARTS:
        entries: Any = below.values.get(part)
        written: Any = own.values.get(part)
        for label in entries if isinstance(entries, dict) else ():
            if not isinstance(written, dict) or label not in written:
                yield part, label
