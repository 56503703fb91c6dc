"""Standard streams that neither a narrow encoding nor a full disk can break."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import BinaryIO, TextIO

# Look-alikes in ASCII of what messages, tables and axes contain. Others lose their accents or
# become a question mark.
ASCII = {
    "×": "x", "·": ".", "•": "*", "†": "+", "‡": "#", "±": "+-", "−": "-", "–": "-", "—": "-",  # noqa: RUF001
    "…": "...", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "→": "->", "←": "<-", "↔": "<->",
    "‘": "'", "’": "'", "“": '"', "”": '"', "∞": "inf", "√": "sqrt", "°": " deg", "µ": "u",  # noqa: RUF001
    "ε": "eps", "δ": "delta", "ρ": "rho", "λ": "lambda", "σ": "sigma", "τ": "tau", "θ": "theta",  # noqa: RUF001
    "✓": "+", "✗": "x", "★": "*", "ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae",
}  # fmt: skip

HANDLER = "invspec-ascii"


def ascii_like(letter: str) -> str:
    """A character in ASCII: a look-alike, the letter without its accent, or a question mark."""
    if letter in ASCII:
        return ASCII[letter]
    name = unicodedata.name(letter, "")
    if name.startswith("BOX DRAWINGS"):
        return _line(name)
    if name.startswith("BRAILLE"):
        return "*"
    if name.startswith(("BLOCK", "FULL BLOCK", "LEFT", "RIGHT", "LOWER", "UPPER")):
        return "#"
    if unicodedata.category(letter) in ("Zs", "Cf", "Mn"):
        return " " if unicodedata.category(letter) == "Zs" else ""
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"


def _line(name: str) -> str:
    """The ASCII form of a character of a box: its horizontal or vertical line, or a crossing."""
    words = set(name.removeprefix("BOX DRAWINGS ").split())
    is_across, is_upright = bool(words & {"HORIZONTAL"}), bool(words & {"VERTICAL"})
    if is_across != is_upright and not words & {"UP", "DOWN", "LEFT", "RIGHT", "AND"}:
        return "-" if is_across else "|"
    return "+"


def _replaced(problem: UnicodeError) -> tuple[str, int]:
    """The handler of characters that an encoding lacks."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    lacking = problem.object[problem.start : problem.end]
    return "".join(map(ascii_like, lacking)), problem.end


class Unfailing(io.TextIOWrapper):
    """Text to a descriptor; what cannot be written is lost, so that no log can end a run."""

    def __init__(self, stream: TextIO) -> None:
        raw = io.FileIO(stream.fileno(), "wb", closefd=False)
        super().__init__(
            raw,  # pyright: ignore[reportArgumentType]
            encoding=stream.encoding,
            errors=HANDLER,
            write_through=True,
        )

    def write(self, text: str) -> int:  # noqa: D102
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:  # noqa: D102
        with suppress(OSError):
            super().flush()


class Closed(io.TextIOBase):
    """A stdout that the caller closed: every write is an error."""

    encoding = "utf-8"

    @property
    def buffer(self) -> BinaryIO:
        """Where bytes would go."""
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def write(self, text: str) -> int:  # noqa: D102
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def prepare() -> None:
    """Make both standard streams take any text, and stderr any failure."""
    codecs.register_error(HANDLER, _replaced)
    _reserve()
    # Python sets a stream that the caller closed to None
    sys.stdout = sys.stdout or Closed()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)
    # a stream that a test has replaced stays
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = Unfailing(sys.stderr)


def _reserve() -> None:
    """Open the standard descriptors that the caller closed: no file of a store may become one."""
    while (lowest := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(lowest)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def silence_stdout() -> None:
    """Send what is left in stdout nowhere: otherwise Python complains about it when it exits."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = _nowhere()


def can_encode(text: str) -> bool:
    """Whether stdout can take a text as it is."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
