"""`invspec list`: show the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from invspec.cli import completion, options
from invspec.cli.options import Registry


def list_(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="dataset, model, defence, attack, measure, check; or a method",
            autocompletion=completion.kinds,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            help="one method: its fields, defaults, paper and an example",
            autocompletion=completion.methods,
        ),
    ] = None,
    registry: Registry = None,
) -> None:
    """Show the registry, one kind of it, or one method."""
    from invspec.cli import listing

    options.add_registries(registry)
    listing.show(kind, name)
