"""Plain values that remember where they were written."""

from __future__ import annotations

import codecs
import copy
import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from invspec.errors import SpecError, SpecErrors, suggest
from invspec.spec.reader import Reader, Steps

MAX_BYTES = 1 << 20


@dataclass
class Document:
    """Values and, for each path into them, their place: file:line, or the option that set them.

    inherited are the entries, by part and label, that only the files have that it extends.
    """

    name: str
    values: Any
    places: dict[Steps, str] = field(default_factory=dict[Steps, str])
    inherited: frozenset[tuple[str, str]] = frozenset()

    def place(self, path: Steps) -> str:
        """The place of a path, or of its nearest known ancestor."""
        ancestors = (path[:length] for length in range(len(path), -1, -1))
        return next((self.places[part] for part in ancestors if part in self.places), self.name)

    def locate(self, problem: SpecError) -> SpecError:
        """The same problem with file:line and the dotted path."""
        if len(problem.problems) > 1:
            return SpecErrors(map(self.locate, problem.problems))
        if problem.where:
            return problem
        dotted = ".".join(_printable(part) for part in problem.path)
        where = f"{self.place(problem.path)}: {dotted}" if dotted else self.place(problem.path)
        return SpecError(problem.message, where=where, hint=problem.hint)

    def places_in(self, path: Steps) -> dict[Steps, str]:
        """The places of a path and of all paths in it, by the rest of these paths."""
        length = len(path)
        inside = {known[length:]: at for known, at in self.places.items() if known[:length] == path}
        return {(): self.place(path), **inside}

    def overlay(self, dotted: str, value: Any, place: str | Mapping[Steps, str]) -> Document:
        """A copy in which the value at a dotted path is replaced or added.

        place: that of the value, or its places as `places_in` gives them.
        """
        places = {(): place} if isinstance(place, str) else place
        place = places[()]
        values = copy.deepcopy(self.values)
        parent, path = values, ()
        *above, last = dotted.split(".")
        for part in above:
            path = (*path, _step(parent, part))
            parent = _child(parent, path, place)
        path = (*path, _step(parent, last))
        if isinstance(parent, list):
            # a list cannot grow, so the position must exist
            _child(parent, path, place)
        elif not isinstance(parent, dict):
            message = f"expected keys in {'.'.join(above) or 'the spec'}, found a single value"
            raise SpecError(message, where=f"{place}: {dotted}")
        parent[path[-1]] = value  # pyright: ignore[reportArgumentType, reportCallIssue]
        outside = {known: at for known, at in self.places.items() if known[: len(path)] != path}
        inside = {(*path, *rest): at for rest, at in places.items()}
        return replace(self, values=values, places={**outside, **inside})


def _step(parent: Any, part: str) -> str | int:
    """A part of a dotted path: in a list a position, elsewhere a key."""
    return int(part) if isinstance(parent, list) and part.isdecimal() and len(part) < 9 else part


def _printable(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"\w[\w.-]*", text) else repr(text)


def _child(parent: Any, path: Steps, place: str) -> Any:
    """The value at the last step of a path. Raises: SpecError if there is none."""
    part = path[-1]
    if isinstance(parent, dict) and part in parent:
        return parent[part]
    if isinstance(parent, list) and isinstance(part, int) and part < len(parent):
        return parent[part]
    if isinstance(parent, dict):
        hint = suggest(str(part), map(str, parent))
    elif isinstance(parent, list):
        hint = f"it is a list of length {len(parent)}, indexed from 0"
    else:
        hint = f"{'.'.join(map(str, path[:-1]))} has no keys"
    raise SpecError(f"the spec has no {'.'.join(map(str, path))}", where=place, hint=hint)


def _near(path: Path) -> str:
    """A hint to the file that was meant by one that cannot be read."""
    # os.path.exists is False, where Path.exists raises, for a name that no file can have
    is_missing = not os.path.exists(path) and os.path.isdir(path.parent)
    beside = [p.stem for p in path.parent.glob("*.yaml") if p.is_file()] if is_missing else []
    near = difflib.get_close_matches(path.stem, beside, n=1, cutoff=0.7)
    return f"did you mean {path.with_stem(near[0])}?" if near else "expected a YAML file"


def read(path: Path) -> Document:
    """Read a file. Raises: SpecError if it is missing, too large, not UTF-8 or not YAML."""
    try:
        with path.open("rb") as file:
            # bounded, because pipes and devices have no size
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            message = f"expected at most {MAX_BYTES:,} bytes, found more"
            raise SpecError(message, where=str(path), hint="a spec is a short YAML file")
        text = content.decode("utf-8-sig")
    except OSError as problem:
        message = f"cannot be read: {problem.strerror}"
        raise SpecError(message, where=str(path), hint=_near(path)) from None
    except UnicodeDecodeError as problem:
        message = f"not UTF-8 text: invalid byte at position {problem.start}"
        hint = "a spec is YAML text in UTF-8"
        if problem.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            message, hint = "UTF-16 text, expected UTF-8", "save it as UTF-8"
        raise SpecError(message, where=str(path), hint=hint) from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Read a text. Messages call it by its name."""
    reader = Reader(name)
    try:
        reader.read(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        message, hint = f"not YAML: {problem.problem}", _yaml_hint(str(problem.problem))
        raise SpecError(message, where=f"{name}:{line}", hint=hint) from None
    except ReaderError as problem:
        line = text.encode()[: problem.position].count(b"\n") + 1
        raise SpecError(f"not YAML: {problem.reason}", where=f"{name}:{line}") from None
    except UnicodeEncodeError as problem:
        message = f"not UTF-8 text: invalid character at position {problem.start}"
        raise SpecError(message, where=name) from None
    return Document(name, reader.root, reader.places)


_YAML_HINTS = {
    "cannot start any token": "indent with spaces; quote text that begins with @, %, ` or a tab",
    "',' or ": "is a bracket left open above?",
    "end of stream": "is a quote left open above?",
}


def _yaml_hint(message: str) -> str:
    return next((hint for words, hint in _YAML_HINTS.items() if words in message), "")


def scalar(text: str, name: str) -> Any:
    """The value of an option, read as YAML."""
    try:
        return parse(text, name).values
    except SpecError as problem:
        # without the line, which an option does not have
        raise SpecError(problem.message, where=name, hint=problem.hint) from None
