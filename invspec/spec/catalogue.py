"""Write registry/catalogue.json anew: `python -m invspec.spec.catalogue`."""

from __future__ import annotations

from invspec.registry import catalogue
from invspec.registry.cards import KINDS, Kind, shipped_names
from invspec.registry.catalogue import Description
from invspec.registry.describe import describe
from invspec.spec.frame import frame


def text() -> str:
    """The content of the file, from the cards and classes that ship."""
    methods: dict[Kind, dict[str, Description]] = {
        kind: {name: describe(kind, name) for name in shipped_names(kind)} for kind in KINDS
    }
    return catalogue.text(frame(), methods)


if __name__ == "__main__":
    catalogue.path().write_text(text(), encoding="utf-8")
