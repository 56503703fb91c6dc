"""Methods in the words of messages."""

from __future__ import annotations

from invspec.kinds import Method

# fields that a message names
MOST = 3


def words(method: Method) -> str:
    """The class of a method and the fields that were set: Own (flaw dropout)."""
    shown = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name in type(method).model_fields
        if name in method.model_fields_set
        and isinstance(value := getattr(method, name), str | int | float)
    ]
    return type(method).__name__ + (f" ({', '.join(shown[:MOST])})" if shown else "")
