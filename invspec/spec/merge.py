"""Lay the values of one file over those of another."""

from __future__ import annotations

import copy
from typing import Any, cast

from invspec.registry.cards import PARTS
from invspec.spec.document import Document
from invspec.spec.reader import Steps

Keys = dict[str, Any]


def merged(below: Document, above: Document) -> Document:
    """Both documents as one, called by the name of the one above.

    Mappings merge key by key; all else is replaced. A method that says another `use` replaces the
    one below, whose fields are not its own; the `use` of an entry without one is its label. Every
    value keeps the place where it was written.
    """
    replaced = set[Steps]()
    values = _laid(below.values, above.values, (), replaced)
    kept = {path: place for path, place in below.places.items() if not _is_in(path, replaced)}
    return Document(above.name, values, {**kept, **above.places})


def _is_in(path: Steps, roots: set[Steps]) -> bool:
    return any(path[:length] in roots for length in range(1, len(path) + 1))


def _laid(below: Any, above: Any, path: Steps, replaced: set[Steps]) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict) or _differs(below, above, path):
        replaced.add(path)
        return copy.deepcopy(above)
    under, over = cast(Keys, below), cast(Keys, above)
    both = {
        key: _laid(under[key], value, (*path, key), replaced) if key in under else value
        for key, value in over.items()
    }
    rest = {key: value for key, value in under.items() if key not in over}
    # what a scale changes is changed in order, so that the file above has the last word
    is_scale = len(path) == 2 and path[0] == "scales"
    return copy.deepcopy({**rest, **both} if is_scale else {**under, **both})


def _differs(below: Keys, above: Keys, path: Steps) -> bool:
    """Whether two entries name different methods."""
    is_entry = len(path) == 2 and path[0] in (*PARTS, "checks")
    use = below.get("use", path[-1] if is_entry else None)
    return use is not None and "use" in above and use != above["use"]


def size(values: Any) -> int:
    """The number of values in a value, itself among them."""
    if isinstance(values, dict):
        return 1 + sum(map(size, cast(Keys, values).values()))
    return 1 + sum(map(size, cast(list[Any], values))) if isinstance(values, list) else 1
