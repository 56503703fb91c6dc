"""Exceptions that users' own classes raise, as mistakes with the line that raised them."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from invspec.errors import InvspecError, SpecError, first_line
from invspec.kinds import Method
from invspec.registry import cards


def is_own(method: Method) -> bool:
    """Whether the class of a method is a user's."""
    return type(method).__module__.partition(".")[0] != "invspec"


@contextmanager
def explained() -> Generator[None]:
    """Turn an exception that a user's code raises inside the block into a SpecError."""
    try:
        yield
    except InvspecError:
        raise
    except (Exception, SystemExit) as problem:
        frame = _frame(problem)
        if frame is None:
            raise
        message = f"`{frame.name}` raised {said(problem)}"
        hint = f"in the line `{frame.line}`" if frame.line else ""
        raise SpecError(message, where=f"{frame.filename}:{frame.lineno}", hint=hint) from problem


def gathered(problems: Iterable[SpecError]) -> Iterator[SpecError]:
    """Problems, and at last the exception of a user's code that ended the search for more."""
    try:
        with explained():
            yield from problems
    except SpecError as problem:
        yield problem


def said(problem: BaseException) -> str:
    """The type of an exception and the first line of its message."""
    name, line = type(problem).__name__, first_line(problem)
    return name if line == name else f"{name}: {line}"


def place(problem: BaseException) -> str:
    """The file and line of a user's code that raised an exception; empty if none did."""
    frame = _frame(problem)
    return "" if frame is None else f"{frame.filename}:{frame.lineno}"


def _frame(problem: BaseException) -> traceback.FrameSummary | None:
    """The innermost frame that is in a folder of users' methods."""
    frames = traceback.extract_tb(problem.__traceback__)
    folders = cards.added()
    return next(
        (
            frame
            for frame in reversed(frames)
            if any(folder in Path(frame.filename).parents for folder in folders)
        ),
        None,
    )
