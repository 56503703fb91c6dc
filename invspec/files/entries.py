"""State dicts within the content of a file, such as that of the best epoch in a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor

from invspec.errors import InvspecError, suggest

# Names that a message lists at most.
MAX_NAMES = 4
# Levels of nesting in which a message looks for state dicts.
MAX_DEPTH = 3


def state_dict_at(entry: str, content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict at an entry: names in dicts and positions in lists, separated by dots.

    Raises: InvspecError if there is none, naming what is there instead.
    """
    value, steps = content, list[str]()
    for step in entry.split(".") if entry else ():
        children = _children(value)
        if step not in children:
            # the part of a net in a flat state dict: net for net.0.weight
            children = {step: _below(step, children)} if _below(step, children) else children
        if step not in children:
            place = ".".join(steps) or "the file"
            raise InvspecError(
                f"{path}: {place} has no entry {step!r}", hint=suggest(step, children, "it has")
            )
        value = children[step]
        steps.append(step)
    if not _is_state_dict(value):
        raise _no_state_dict(entry, value, content, path)
    return cast(dict[str, Tensor], {str(name): weight for name, weight in value.items()})


def _is_state_dict(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(item, Tensor) for item in cast(dict[Any, Any], value).values())
    )


def _no_state_dict(entry: str, value: Any, content: Any, path: Path) -> InvspecError:
    place, children = entry or "the file", _children(value)
    others = [name for name, item in children.items() if not isinstance(item, Tensor)]
    inside = f" with {listed(list(children))}" if children else ""
    found = type(value).__name__ + inside
    if isinstance(value, dict | list | tuple) and not value:
        found = f"an empty {found}"
    if isinstance(value, dict) and 0 < len(others) < len(children):
        found = f"{listed(others)} beside tensors"
    known = list(_state_dicts(content, "", MAX_DEPTH))
    examples = f": {listed(known)}" if known else ", e.g. state_dict or state_dict.0"
    return InvspecError(
        f"{path}: {place} is not a state dict: found {found}",
        hint=f"set entry to the state dict within the file{examples}",
    )


def _state_dicts(value: Any, place: str, depth: int) -> Iterator[str]:
    """The entries of a file's content that are state dicts."""
    if place and _is_state_dict(value):
        yield place
    elif depth:
        for name, child in _children(value).items():
            yield from _state_dicts(child, f"{place}.{name}" if place else name, depth - 1)


def _children(value: Any) -> dict[str, Any]:
    """The items of a dict, list or tuple, by name or position; of other values, none."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    return {str(name): item for name, item in value.items()} if isinstance(value, dict) else {}


def _below(step: str, children: Mapping[str, Any]) -> dict[str, Any]:
    """The children whose names begin with a step and a dot, without these."""
    prefix = f"{step}."
    return {
        name.removeprefix(prefix): item
        for name, item in children.items()
        if name.startswith(prefix)
    }


def listed(items: Mapping[str, Any] | tuple[str, ...] | list[str], separator: str = ", ") -> str:
    """The first items, for a message."""
    first = list(items)[:MAX_NAMES]
    return separator.join([*first, *(["..."] if len(items) > MAX_NAMES else [])]) or "nothing"
