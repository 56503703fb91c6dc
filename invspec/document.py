"""YAML text to plain values that remember where they were written.

Built on the parser's events rather than on its constructors, so that nesting, aliases and tags are bounded before
anything is built: no text, however wrong or hostile, gives a traceback or runs for long.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from invspec.errors import SpecError, suggest

Steps = tuple[str | int, ...]  # a path into the values: ("attacks", "pgd", "eps")

MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1 << 20, 32, 100_000
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_resolver, _constructor = Resolver(), SafeConstructor()


@dataclass
class Document:
    """Values and, for each path into them, the place that it came from: file:line, or the option that set it."""

    name: str
    values: Any
    places: dict[Steps, str] = field(default_factory=dict[Steps, str])

    def place(self, path: Steps) -> str:
        """Where a path, or else its nearest ancestor, was written."""
        known = (path[:length] for length in range(len(path), -1, -1))
        return next((self.places[part] for part in known if part in self.places), self.name)

    def locate(self, problem: SpecError) -> SpecError:
        """The same problem, saying file:line and the dotted path."""
        if problem.where:
            return problem
        dotted = ".".join(str(part) for part in problem.path)
        where = f"{self.place(problem.path)}: {dotted}" if dotted else self.place(problem.path)
        return SpecError(problem.message, where=where, hint=problem.hint)

    def overlay(self, dotted: str, value: Any, place: str) -> Document:
        """A copy in which the value at a dotted path is replaced or added."""
        path = _split(dotted)
        values = copy.deepcopy(self.values)
        parent = values
        for depth, part in enumerate(path[:-1]):
            parent = _child(parent, part, path[: depth + 1], place)
        if isinstance(parent, list):
            _child(parent, path[-1], path, place)
        elif not isinstance(parent, dict):
            raise SpecError(f"{'.'.join(map(str, path[:-1]))} holds no keys", where=f"{place}: {dotted}")
        parent[path[-1]] = value  # pyright: ignore[reportArgumentType, reportCallIssue]
        kept = {known: where for known, where in self.places.items() if known[: len(path)] != path}
        return Document(self.name, values, {**kept, path: place})


def _split(dotted: str) -> Steps:
    return tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))


def _child(parent: Any, part: str | int, path: Steps, place: str) -> Any:
    if isinstance(parent, dict) and part in parent:
        return parent[part]
    if isinstance(parent, list) and isinstance(part, int) and part < len(parent):
        return parent[part]
    known = [str(key) for key in parent] if isinstance(parent, dict) else []
    raise SpecError(f"the spec has no {'.'.join(map(str, path))}", where=place, hint=suggest(str(part), known))


def read(path: Path) -> Document:
    """Read a file. Raises SpecError where it is missing, too large, not UTF-8 or not YAML."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SpecError(f"{size:,} bytes; a spec has at most {MAX_BYTES:,}", where=str(path))
        text = path.read_bytes().decode("utf-8")
    except OSError as problem:
        raise SpecError(f"cannot be read: {problem.strerror}", where=str(path)) from None
    except UnicodeDecodeError as problem:
        raise SpecError(f"not UTF-8 text (byte {problem.start})", where=str(path), hint="a spec is YAML text") from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Read a text; name stands for it in messages."""
    reader = _Reader(name)
    try:
        reader.read(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise SpecError(f"not YAML: {problem.problem}", where=f"{name}:{line}") from None
    except yaml.YAMLError as problem:
        raise SpecError(f"not YAML: {str(problem).splitlines()[0]}", where=name) from None
    return Document(name, reader.root, reader.places)


def scalar(text: str, name: str) -> Any:
    """The value of an option's right-hand side, read as YAML."""
    return parse(text, name).values


@dataclass
class _Open:
    """A mapping or sequence whose end has not been read yet."""

    values: dict[str, Any] | list[Any]
    path: Steps
    anchor: str | None
    before: int  # how many values had been read when it began
    key: str | None = None


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.places: dict[Steps, str] = {}
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0
        self.line = 1

    def read(self, events: Iterator[yaml.Event]) -> None:
        handlers: dict[type[yaml.Event], Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.AliasEvent: self._alias,
            yaml.MappingStartEvent: lambda event: self._begin(event, {}),
            yaml.SequenceStartEvent: lambda event: self._begin(event, []),
            yaml.MappingEndEvent: self._end,
            yaml.SequenceEndEvent: self._end,
            yaml.DocumentStartEvent: self._document,
        }
        for event in events:
            self.line = event.start_mark.line + 1
            handlers.get(type(event), lambda event: None)(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        if self.places:
            raise self._error("a second document begins here", hint="one file holds one spec")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        top = self.open[-1] if self.open else None
        value = self._value(event)
        if top is not None and isinstance(top.values, dict) and top.key is None:
            top.key = self._key(value, event.value, top)
            self.places[(*top.path, top.key)] = self._place()
            return
        self._put(value, event.anchor, 1)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        self._refuse_tag(event.tag)
        tag = _resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _SCALARS:
            return event.value  # dates, merge keys and the like stay text
        try:
            return _constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError as problem:
            raise self._error(f"cannot read {event.value[:40]!r}: {str(problem).split(';')[0]}") from None

    def _key(self, value: Any, written: str, top: _Open) -> str:
        if isinstance(value, bool):
            raise self._error(f"the key {written} reads as {str(value).lower()} in YAML", hint=f'write "{written}"')
        if written == "<<":
            raise self._error("merge keys (<<) are not supported", hint="repeat the keys")
        key = written if not isinstance(value, str) else value
        if key in top.values:
            raise self._error(f"the key {key!r} stands twice")
        return key

    def _begin(
        self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, values: dict[str, Any] | list[Any]
    ) -> None:
        self._refuse_tag(event.tag)
        if len(self.open) >= MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels")
        self.open.append(_Open(values, self._next_path(), event.anchor, self.count))

    def _end(self, event: yaml.Event) -> None:
        done = self.open.pop()
        self._put(done.values, done.anchor, self.count - done.before + 1, done.path)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self.anchors:
            raise self._error(f"*{event.anchor} refers to an anchor that is not complete before it")
        value, size = self.anchors[event.anchor]
        self._grow(size - 1)  # before it is copied
        self._put(copy.deepcopy(value), None, size)

    def _grow(self, size: int) -> None:
        self.count += size
        if self.count > MAX_VALUES:
            raise self._error(f"more than {MAX_VALUES:,} values, aliases written out", hint="an alias bomb?")

    def _put(self, value: Any, anchor: str | None, size: int, path: Steps | None = None) -> None:
        self._grow(1)
        if anchor:
            self.anchors[anchor] = (value, size)
        if path is None:
            path = self._next_path()
        self.places.setdefault(path, self._place())
        if not self.open:
            self.root = value
            return
        top = self.open[-1]
        if isinstance(top.values, list):
            top.values.append(value)
        else:
            assert top.key is not None, "a value without a key"
            top.values[top.key], top.key = value, None

    def _next_path(self) -> Steps:
        if not self.open:
            return ()
        top = self.open[-1]
        if isinstance(top.values, list):
            return (*top.path, len(top.values))
        if top.key is None:
            raise self._error("a key must be a plain word")
        return (*top.path, top.key)

    def _refuse_tag(self, tag: str | None) -> None:
        if tag not in (None, "!", *_SCALARS, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._error(f"the tag {tag} is not allowed", hint="a spec holds texts, numbers, lists and keys")

    def _place(self) -> str:
        return f"{self.name}:{self.line}"

    def _error(self, message: str, hint: str = "") -> SpecError:
        return SpecError(message, where=self._place(), hint=hint)
