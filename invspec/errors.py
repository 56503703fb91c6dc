"""Mistakes that a user can act on, and words for messages."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator

# Largest number of mistakes reported at once; a hostile spec can have tens of thousands.
MAX_PROBLEMS = 50
# Longest line of an exception that is quoted; some libraries print whole signatures.
MAX_LINE = 200


class InvspecError(Exception):
    """An error for the user: what was found, what is wanted, and a hint.

    The command exits with exit_code.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\nhint: {self.hint}" if self.hint else head

    @property
    def problems(self) -> tuple[InvspecError, ...]:
        """The individual mistakes: this one, unless it groups several."""
        return (self,)


class SpecError(InvspecError):
    """A mistake in what the user wrote: a spec, a card or an option.

    path is its position in the tree, like ("attacks", "pgd", "eps"); `Document.locate` turns that
    into file:line.
    """

    exit_code = 2

    def __init__(
        self, message: str, *, where: str = "", hint: str = "", path: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.path = path

    @property
    def problems(self) -> tuple[SpecError, ...]:
        """The individual mistakes: this one, unless it groups several."""
        return (self,)

    def within(self, *path: str | int) -> SpecError:
        """The same mistake, its path prefixed with `path`."""
        return SpecError(self.message, where=self.where, hint=self.hint, path=(*path, *self.path))


class Hinted(ValueError):
    """What a validator of a method says of its fields, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class SpecErrors(SpecError):
    """Several mistakes, reported together. Its message, place and hint are those of the first."""

    def __init__(self, problems: Iterable[SpecError]) -> None:
        parts = tuple(part for problem in problems for part in problem.problems)
        first = parts[0]
        super().__init__(first.message, where=first.where, hint=first.hint, path=first.path)
        self._problems = parts

    def __str__(self) -> str:
        return "\n".join(map(str, self._problems))

    @property
    def problems(self) -> tuple[SpecError, ...]:
        """Every mistake, in the order in which they were found."""
        return self._problems

    def within(self, *path: str | int) -> SpecError:
        """The same mistakes, their paths prefixed with `path`."""
        return SpecErrors(problem.within(*path) for problem in self._problems)


def refuse(problems: Iterable[SpecError]) -> None:
    """Raise all distinct problems as one exception; do nothing if there are none.

    Reads no more than MAX_PROBLEMS + 1 distinct problems.
    """
    parts = _distinct(part for problem in problems for part in problem.problems)
    first = list(itertools.islice(parts, MAX_PROBLEMS))
    if next(parts, None) is not None:
        first.append(
            SpecError(
                f"found more than {MAX_PROBLEMS} problems; the first {MAX_PROBLEMS} are shown"
            )
        )
    if first:
        raise first[0] if len(first) == 1 else SpecErrors(first)


def _distinct(problems: Iterable[SpecError]) -> Iterator[SpecError]:
    """Problems without duplicates, such as two entries that use the same wrong card."""
    seen: set[tuple[str, tuple[str | int, ...]]] = set()
    for problem in problems:
        identity = (str(problem), () if problem.where else problem.path)
        if identity not in seen:
            seen.add(identity)
            yield problem


def joined(problem: InvspecError) -> str:
    """All mistakes of an error in one line: file:line: what was found (hint)."""
    lines: list[str] = []
    for part in problem.problems:
        head = f"{part.where}: {part.message}" if part.where else part.message
        lines.append(f"{head} ({part.hint})" if part.hint else head)
    return "; ".join(lines)


def text_of(problem: BaseException) -> str:
    """An exception's message as text that can be written; empty if it cannot be made."""
    try:
        return str(problem).encode("utf-8", "backslashreplace").decode("utf-8")
    except Exception:
        return ""


def first_line(problem: BaseException) -> str:
    """The first line of an exception's message, cut if long; its type if the message is empty."""
    line = (text_of(problem).strip() or type(problem).__name__).splitlines()[0]
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}..."


def counted(number: int, noun: str) -> str:
    """A number of things in words: 1 claim, 2,000 claims."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggest(word: str, known: Iterable[str], noun: str = "") -> str:
    """A hint that names the nearest known word, and all known words if they are few."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    listed = f"{noun or 'known'}: {', '.join(names)}" if 0 < len(names) <= 24 else ""
    if near:
        return f"did you mean {near[0]}?" + (f" ({listed})" if listed else "")
    return listed
