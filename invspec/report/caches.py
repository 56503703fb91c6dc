"""What a page needs and is made once: a JSON file for each value, in a folder of a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def made_once(
    path: Path, read: Callable[[dict[str, Any]], T], make: Callable[[], T | None]
) -> T | None:
    """The value that a file keeps; it is made, and kept unless it is None, if the file is no good.

    read: the value of the fields that the file has, which may raise KeyError, TypeError or
    ValueError.
    """
    value = _kept(path, read)
    if value is not None:
        return value
    value = make()
    if value is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(value)), encoding="utf-8")
        partial.replace(path)
    return value


def _kept(path: Path, read: Callable[[dict[str, Any]], T]) -> T | None:
    """The value of a file; None if there is none, or it is damaged."""
    try:
        return read(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    except (ValueError, TypeError, KeyError):
        return None
