"""Check what users' methods return."""

from __future__ import annotations

from typing import TypeVar

from invspec.errors import InvspecError
from invspec.kinds import Method

T = TypeVar("T")


def checked(result: object, expected: type[T], method: Method) -> T:
    """The result of a method. Raises InvspecError if it is not of the expected type."""
    if isinstance(result, expected):
        return result
    shown = "None" if result is None else f"a {type(result).__name__}"
    raise InvspecError(
        f"{type(method).__name__} returned {shown}, expected a {expected.__name__}",
        hint="check its return statement",
    )
