"""`invspec schema`: the JSON Schema of a spec."""

from __future__ import annotations

from invspec.cli import options
from invspec.cli.options import Registry


def schema(registry: Registry = None) -> None:
    """Print the JSON Schema of a spec with the fields of every method, for editors."""
    from invspec.cli import descriptions
    from invspec.registry import catalogue
    from invspec.spec import json_schema

    options.add_registries(registry)
    rules = json_schema.schema(catalogue.frame(), descriptions.every())
    print(json_schema.text(rules))
