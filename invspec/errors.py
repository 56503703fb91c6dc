"""What can go wrong in a way that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InvspecError(Exception):
    """One message: what was found, what was expected, and a hint. The command ends with exit_code."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\nhint: {self.hint}" if self.hint else head


class SpecError(InvspecError):
    """A mistake in what the user wrote: a spec, a card or an option.

    path is where in the tree the mistake stands (("attacks", "pgd", "eps")); whoever knows the file turns it into
    file:line with `at`.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, where: str = "", hint: str = "", path: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.path = path

    def within(self, *path: str | int) -> SpecError:
        """The same mistake, seen from further out in the tree."""
        return SpecError(self.message, where=self.where, hint=self.hint, path=(*path, *self.path))


def first_line(problem: BaseException) -> str:
    """What an exception says, cut to one line; its type where it says nothing."""
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def suggest(word: str, known: Iterable[str], noun: str = "") -> str:
    """A hint that names the nearest known word, and all of them where they are few."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    listed = f"{noun or 'known'}: {', '.join(names)}" if 0 < len(names) <= 24 else ""
    if near:
        return f"did you mean {near[0]}?" + (f" ({listed})" if listed else "")
    return listed
