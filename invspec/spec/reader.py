"""Build values and their line numbers from YAML events.

It reads the parser's events, not its objects, so that nesting, aliases and tags are bounded before
anything is built: no text, however wrong or hostile, ends in a traceback or takes long.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from invspec.errors import SpecError

# A path into values: ("attacks", "pgd", "eps").
Steps = tuple[str | int, ...]

MAX_DEPTH, MAX_VALUES = 32, 50_000

# Maximum number of digits of a number: arithmetic on longer ones is slow, and Python refuses to
# print them.
MAX_DIGITS = 100

_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str")}
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}

# 010 is 8 in YAML 1.1 and 10 in YAML 1.2; 08 is text in the one and 8 in the other.
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]{1,100}")

_resolver, _constructor = Resolver(), SafeConstructor()


@dataclass
class _OpenCollection:
    """A mapping or sequence that has begun and not ended.

    before: number of values read when it began; key: that of the next value; height: levels of
    nesting inside.
    """

    values: dict[str, Any] | list[Any]
    path: Steps
    anchor: str | None
    before: int
    key: str | None = None
    height: int = 1


@dataclass(frozen=True)
class _CompleteValue:
    """A complete value, the number of values in it, and its levels of nesting."""

    value: Any
    size: int
    height: int


class Reader:
    """Builds one document: `root` and the `places` of its paths, as file:line."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Any = None
        self.places: dict[Steps, str] = {}
        self._open: list[_OpenCollection] = []
        self._anchors: dict[str, _CompleteValue] = {}
        self._count = 0
        self._line = 1

    def read(self, events: Iterator[yaml.Event]) -> None:
        """Read all events. Raises: SpecError at the first that a spec may not contain."""
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
            self._line = event.start_mark.line + 1
            handlers.get(type(event), lambda event: None)(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        if self.places:
            raise self._error("expected one document, found a second", "one file holds one spec")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        top = self._open[-1] if self._open else None
        value = self._value(event)
        if top is not None and isinstance(top.values, dict) and top.key is None:
            top.key = self._key(value, event.value, top)
            self.places[(*top.path, top.key)] = self._place()
            return
        self._refuse_octal(event)
        self._put(_CompleteValue(value, 1, 0), event.anchor)

    def _value(self, event: yaml.ScalarEvent) -> Any:
        self._refuse_tag(event.tag)
        tag = _resolver.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag not in _SCALARS or ":" in event.value:
            # dates, merge keys, base-60 numbers and the like stay text
            return event.value
        if tag in _NUMBERS and len(event.value) > MAX_DIGITS:
            message = (
                f"expected a number of at most {MAX_DIGITS} digits, found {len(event.value):,}"
            )
            raise self._error(message)
        try:
            return _constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:
            message = f"{event.value!r} looks like a number but is not one"
            raise self._error(message, "quote it") from None

    def _refuse_octal(self, event: yaml.ScalarEvent) -> None:
        """Refuse 010, which versions of YAML read as 8 or as 10; keys and quoted text are text."""
        if event.implicit[0] and _LEADING_ZERO.fullmatch(event.value):
            message = f"{event.value} begins with 0: some readers of YAML take it for octal"
            decimal = int(event.value.replace("_", ""))
            raise self._error(message, f"write {decimal}, or quote it if it is text")

    def _key(self, value: Any, written: str, top: _OpenCollection) -> str:
        if isinstance(value, bool):
            message = f"YAML reads the key {written} as {str(value).lower()}"
            raise self._error(message, f'write "{written}"')
        if written == "<<":
            raise self._error("merge keys (<<) are not supported", "repeat the keys")
        key = written if not isinstance(value, str) else value
        if key in top.values:
            raise self._error(f"duplicate key {key!r}", "keep one of them")
        return key

    def _begin(
        self,
        event: yaml.MappingStartEvent | yaml.SequenceStartEvent,
        values: dict[str, Any] | list[Any],
    ) -> None:
        self._refuse_tag(event.tag)
        path = self._next_path()
        self.places.setdefault(path, self._place())
        self._open.append(_OpenCollection(values, path, event.anchor, self._count))
        self._check_depth(0)

    def _end(self, event: yaml.Event) -> None:
        top = self._open.pop()
        self._put(_CompleteValue(top.values, self._count - top.before + 1, top.height), top.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        if event.anchor not in self._anchors:
            message = f"*{event.anchor} refers to an anchor that is not defined above it"
            raise self._error(message, f"expected a complete &{event.anchor} above")
        target = self._anchors[event.anchor]
        # checked before it is copied
        self._grow(target.size - 1)
        self._check_depth(target.height)
        self._put(replace(target, value=copy.deepcopy(target.value)), None)

    def _check_depth(self, height: int) -> None:
        """Refuse a value of this height if it would be nested too deep here."""
        if len(self._open) + height > MAX_DEPTH:
            message = f"expected at most {MAX_DEPTH} levels of nesting, found more"
            raise self._error(message, "aliases count as written out")

    def _grow(self, size: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            message = f"expected at most {MAX_VALUES:,} values, found more"
            raise self._error(message, "aliases count as written out")

    def _put(self, read: _CompleteValue, anchor: str | None) -> None:
        """Add a complete value to the mapping or sequence around it."""
        self._grow(1)
        if anchor:
            self._anchors[anchor] = read
        self.places.setdefault(self._next_path(), self._place())
        if not self._open:
            self.root = read.value
            return
        top = self._open[-1]
        top.height = max(top.height, read.height + 1)
        if isinstance(top.values, list):
            top.values.append(read.value)
        else:
            assert top.key is not None, "a value without a key"
            top.values[top.key], top.key = read.value, None

    def _next_path(self) -> Steps:
        if not self._open:
            return ()
        top = self._open[-1]
        if isinstance(top.values, list):
            return (*top.path, len(top.values))
        if top.key is None:
            raise self._error("expected a plain word as key, found a list, keys or an alias")
        return (*top.path, top.key)

    def _refuse_tag(self, tag: str | None) -> None:
        # quoted text has the tag "!"
        if tag not in (None, "!"):
            short = tag.replace("tag:yaml.org,2002:", "!!")
            hint = "a spec holds text, numbers, lists and keys"
            raise self._error(f"the tag {short} is not allowed", hint)

    def _place(self) -> str:
        return f"{self.name}:{self._line}"

    def _error(self, message: str, hint: str = "") -> SpecError:
        return SpecError(message, where=self._place(), hint=hint)
