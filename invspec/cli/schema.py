"""`invspec schema`: the JSON Schema of a spec."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of a spec, for completion in editors."""
    from invspec.spec import json_schema

    print(json_schema.text())
