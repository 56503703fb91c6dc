"""Numbers that no measurement can change: a number against itself, or divided by 0."""

from __future__ import annotations

from typing import Any

from invspec.errors import SpecError
from invspec.spec.trees import Leaf, Node

_RELATIONS = {
    "difference": "minus itself",
    "ratio": "divided by itself",
    "correlation": "correlated with itself",
}


def problem(node: Node) -> SpecError | None:
    """The problem with an operation in a tree whose result is known before anything runs."""
    if node.word in _RELATIONS and len(node.parts) == 2:
        first, second = node.parts
        if node.word == "ratio" and second == 0:
            return SpecError("a ratio to 0 is no number", path=node.path)
        if _meaning(first) == _meaning(second):
            message = f"a number {_RELATIONS[node.word]} is always {int(node.word != 'difference')}"
            return SpecError(message, hint="compare two different cells", path=node.path)
    inner = (problem(part) for part in node.parts if isinstance(part, Node))
    return next(filter(None, inner), None)


def _meaning(part: Node | Leaf | float) -> Any:
    """What a part measures, wherever it is written."""
    if isinstance(part, Leaf):
        return part.measure, part.at, part.renamed
    if isinstance(part, Node):
        inside = [_meaning(inner) for inner in part.parts]
        return part.word, inside, list(part.over.items()), part.along, part.across
    return part
