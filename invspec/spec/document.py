"""YAML text to plain values that remember where they were written.

Built on the parser's events rather than on its constructors, so that nesting, aliases and tags are bounded before
anything is built: no text, however wrong or hostile, gives a traceback or runs for long.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import ReaderError
from yaml.resolver import Resolver

from invspec.errors import SpecError, SpecErrors, suggest

Steps = tuple[str | int, ...]  # a path into the values: ("attacks", "pgd", "eps")


MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1 << 20, 32, 50_000


MAX_DIGITS = 100  # of a number: more would make arithmetic slow, and printing fail


_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}


_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


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
        if len(problem.problems) > 1:
            return SpecErrors(map(self.locate, problem.problems))
        if problem.where:
            return problem
        dotted = ".".join(_printable(part) for part in problem.path)
        where = f"{self.place(problem.path)}: {dotted}" if dotted else self.place(problem.path)
        return SpecError(problem.message, where=where, hint=problem.hint)

    def overlay(self, dotted: str, value: Any, place: str) -> Document:
        """A copy in which the value at a dotted path is replaced or added."""
        values = copy.deepcopy(self.values)
        parent, path = values, ()
        *above, last = dotted.split(".")
        for part in above:
            path = (*path, _step(parent, part))
            parent = _child(parent, path, place)
        path = (*path, _step(parent, last))
        if isinstance(parent, list):
            _child(parent, path, place)  # a list cannot grow
        elif not isinstance(parent, dict):
            raise SpecError(
                f"{'.'.join(above) or 'the spec'} holds no keys", where=f"{place}: {dotted}"
            )
        parent[path[-1]] = value  # pyright: ignore[reportArgumentType, reportCallIssue]
        kept = {known: where for known, where in self.places.items() if known[: len(path)] != path}
        return Document(self.name, values, {**kept, path: place})


def _step(parent: Any, part: str) -> str | int:
    """In a list a number is a position; elsewhere it is a key."""
    return int(part) if isinstance(parent, list) and part.isdecimal() and len(part) < 9 else part


def _printable(part: str | int) -> str:
    text = str(part)
    return text if re.fullmatch(r"\w[\w.-]*", text) else repr(text)


def _child(parent: Any, path: Steps, place: str) -> Any:
    part = path[-1]
    if isinstance(parent, dict) and part in parent:
        return parent[part]
    if isinstance(parent, list) and isinstance(part, int) and part < len(parent):
        return parent[part]
    known = [str(key) for key in parent] if isinstance(parent, dict) else []
    raise SpecError(
        f"the spec has no {'.'.join(map(str, path))}", where=place, hint=suggest(str(part), known)
    )


def read(path: Path) -> Document:
    """Read a file. Raises SpecError where it is missing, too large, not UTF-8 or not YAML."""
    try:
        with path.open("rb") as file:
            content = file.read(
                MAX_BYTES + 1
            )  # no more, also of what has no size: a pipe, a device
        if len(content) > MAX_BYTES:
            raise SpecError(
                f"larger than {MAX_BYTES:,} bytes, the most that a spec may have", where=str(path)
            )
        text = content.decode("utf-8")
    except OSError as problem:
        raise SpecError(f"cannot be read: {problem.strerror}", where=str(path)) from None
    except UnicodeDecodeError as problem:
        raise SpecError(
            f"not UTF-8 text (byte {problem.start})", where=str(path), hint="a spec is YAML text"
        ) from None
    return parse(text, str(path))


def parse(text: str, name: str) -> Document:
    """Read a text; name stands for it in messages."""
    reader = _Reader(name)
    try:
        reader.read(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise SpecError(
            f"not YAML: {problem.problem}", where=f"{name}:{line}", hint=_yaml_hint(problem)
        ) from None
    except ReaderError as problem:
        line = text.encode()[: problem.position].count(b"\n") + 1
        raise SpecError(f"not YAML: {problem.reason}", where=f"{name}:{line}") from None
    except UnicodeEncodeError as problem:
        raise SpecError(f"not UTF-8 text (character {problem.start})", where=name) from None
    return Document(name, reader.root, reader.places)


def _yaml_hint(problem: yaml.MarkedYAMLError) -> str:
    hints = {
        "cannot start any token": "tabs do not indent; quote a text that begins with @, %, ` or a tab"
    }
    hints |= {
        "',' or ": "is a bracket left open above?",
        "end of stream": "is a quote left open above?",
    }
    return next((hint for words, hint in hints.items() if words in str(problem.problem)), "")


def scalar(text: str, name: str) -> Any:
    """The value of an option's right-hand side, read as YAML."""
    try:
        return parse(text, name).values
    except SpecError as problem:
        raise SpecError(
            problem.message, where=name, hint=problem.hint
        ) from None  # an option has no lines


@dataclass
class _Open:
    """A mapping or sequence whose end has not been read yet."""

    values: dict[str, Any] | list[Any]
    path: Steps
    anchor: str | None
    before: int  # how many values had been read when it began
    key: str | None = None
    height: int = 1  # levels of nesting in it


@dataclass(frozen=True)
class _Read:
    """What an event or an alias gave, how many values that is, and how many levels of nesting."""

    value: Any
    size: int
    height: int


class _Reader:
    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.places: dict[Steps, str] = {}
        self.open: list[_Open] = []
        self.anchors: dict[str, _Read] = {}
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
        self._put(_Read(value, 1, 0), event.anchor)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        self._refuse_tag(event.tag)
        tag = _resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _SCALARS or ":" in event.value:
            return (
                event.value
            )  # dates, merge keys, numbers to the base of 60 and the like stay text
        if tag in _NUMBERS and len(event.value) > MAX_DIGITS:
            raise self._error(
                f"a number of {len(event.value):,} digits", hint=f"at most {MAX_DIGITS} are read"
            )
        try:
            return _constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:
            raise self._error(
                f"{event.value!r} looks like a number but is none", hint="quote it"
            ) from None

    def _key(self, value: Any, written: str, top: _Open) -> str:
        if isinstance(value, bool):
            raise self._error(
                f"the key {written} reads as {str(value).lower()} in YAML",
                hint=f'write "{written}"',
            )
        if written == "<<":
            raise self._error("merge keys (<<) are not supported", hint="repeat the keys")
        key = written if not isinstance(value, str) else value
        if key in top.values:
            raise self._error(f"the key {key!r} stands twice")
        return key

    def _begin(
        self,
        event: yaml.MappingStartEvent | yaml.SequenceStartEvent,
        values: dict[str, Any] | list[Any],
    ) -> None:
        self._refuse_tag(event.tag)
        path = self._next_path()
        self.places.setdefault(path, self._place())
        self.open.append(_Open(values, path, event.anchor, self.count))
        self._nest(0)

    def _end(self, event: yaml.Event) -> None:
        done = self.open.pop()
        self._put(_Read(done.values, self.count - done.before + 1, done.height), done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self.anchors:
            raise self._error(f"*{event.anchor} refers to an anchor that is not complete before it")
        meant = self.anchors[event.anchor]
        self._grow(meant.size - 1)  # before it is copied
        self._nest(meant.height)
        self._put(replace(meant, value=copy.deepcopy(meant.value)), None)

    def _nest(self, height: int) -> None:
        """Refuse what goes too deep where something of this height stands here."""
        if len(self.open) + height > MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels, aliases written out")

    def _grow(self, size: int) -> None:
        self.count += size
        if self.count > MAX_VALUES:
            raise self._error(
                f"more than {MAX_VALUES:,} values, aliases written out", hint="an alias bomb?"
            )

    def _put(self, read: _Read, anchor: str | None) -> None:
        self._grow(1)
        if anchor:
            self.anchors[anchor] = read
        self.places.setdefault(self._next_path(), self._place())
        if not self.open:
            self.root = read.value
            return
        top = self.open[-1]
        top.height = max(top.height, read.height + 1)
        if isinstance(top.values, list):
            top.values.append(read.value)
        else:
            assert top.key is not None, "a value without a key"
            top.values[top.key], top.key = read.value, None

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
        if tag not in (None, "!"):  # the second is what a quoted text has
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise self._error(
                f"the tag {shown} is not allowed",
                hint="a spec holds texts, numbers, lists and keys",
            )

    def _place(self) -> str:
        return f"{self.name}:{self.line}"

    def _error(self, message: str, hint: str = "") -> SpecError:
        return SpecError(message, where=self._place(), hint=hint)
