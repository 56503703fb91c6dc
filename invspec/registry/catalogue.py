"""What is said of the methods that ship: registry/catalogue.json, which is generated.

Reading it imports neither torch nor pydantic nor any method, so that `invspec list` and
`invspec schema` answer at once. `python -m invspec.spec.catalogue` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from invspec.registry import cards
from invspec.registry.cards import Kind

# width of the lines of the file
MAX_WIDTH = 160


@dataclass(frozen=True)
class FieldText:
    """A field of a method in words; schema is the JSON Schema of a value that is not swept."""

    name: str
    type: str
    schema: Mapping[str, Any]
    meaning: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Description:
    """What `invspec list` and editors say of a method.

    text is its docstring. A field without a default is required. attacks says how many attacks a
    measure is `of`. example is YAML. transforms: it is an attack that ignores the model, so that
    `before` may name it.
    """

    summary: str
    provenance: str
    fields: tuple[FieldText, ...]
    example: str
    text: str = ""
    paper: str | None = None
    attacks: str = ""
    transforms: bool = False


Descriptions = Mapping[Kind, Mapping[str, Description]]


def path() -> Path:
    """The generated file."""
    return cards.shipped("registry") / "catalogue.json"


@cache
def _content() -> dict[str, Any]:
    return json.loads(path().read_text(encoding="utf-8"))


def frame() -> dict[str, Any]:
    """The JSON Schema of a spec without its methods."""
    return json.loads(json.dumps(_content()["frame"]))


def find(kind: Kind, name: str) -> Description | None:
    """The description of a method, None if it is a user's. Raises: SpecError if there is none."""
    known = _content()["methods"][kind].get(name)
    if cards.path(kind, name) != cards.shipped_path(kind, name) or known is None:
        return None
    fields = tuple(FieldText(**field) for field in known["fields"])
    others = {key: value for key, value in known.items() if key != "fields"}
    return Description(fields=fields, **others)


def text(frame: Mapping[str, Any], methods: Descriptions) -> str:
    """The content of the file."""
    described = {
        kind: {name: _without_defaults(asdict(about)) for name, about in named.items()}
        for kind, named in methods.items()
    }
    return _laid_out({"frame": frame, "methods": described}) + "\n"


def _without_defaults(about: dict[str, Any]) -> dict[str, Any]:
    """What a description holds, without what most methods and fields have not."""
    present = {key: value for key, value in about.items() if value not in ("", False, None)}
    if "fields" in present:
        present["fields"] = [_without_defaults(field) for field in present["fields"]]
    return present


def _laid_out(value: Any, indent: str = "") -> str:
    """JSON with a line for each value that fits in one, so that changes can be read."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent + line) <= MAX_WIDTH or not isinstance(value, dict | list):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        keys = cast(dict[str, Any], value)
        items = [f"{inner}{json.dumps(key)}: {_laid_out(keys[key], inner)}" for key in keys]
    else:
        items = [inner + _laid_out(item, inner) for item in cast(list[Any], value)]
    opening, closing = line[0], line[-1]
    return f"{opening}\n" + ",\n".join(items) + f"\n{indent}{closing}"
