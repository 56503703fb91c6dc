"""Docstrings as Markdown."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

SIGNS = re.compile(r"([\\*_\[\]<|#])")
LIST = re.compile(r"- ", re.M)
# a name in code, such as step_size or batch.x_adv
NAME = re.compile(r"\b[A-Za-z]\w*(?:\.\w+)*_\w+(?:\.\w+)*\b|\bbatch\.\w+")


@dataclass(frozen=True)
class Described:
    """The docstring of a method in parts, each a list of paragraphs in Markdown."""

    about: list[str]
    deviates: list[str]
    raises: list[str]
    rows: list[str]


def described(docstring: str, with_rows: bool) -> Described:
    """Sort the paragraphs of a docstring: what it does, its deviations, its errors, its rows.

    Rows are the paragraphs after the first that tell which rows or tensors a measure returns, with
    the tables below them. with_rows is False for methods that return none.
    """
    parts = Described([], [], [], [])
    current = parts.about
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        if paragraph.startswith("Deviates:"):
            current, paragraph = parts.deviates, paragraph.removeprefix("Deviates:").strip()
        elif paragraph.startswith("Raises:"):
            current, paragraph = parts.raises, paragraph.removeprefix("Raises:").strip()
        elif with_rows and parts.about and re.search(r"\b[Rr]ows?\b|^Tensors:", paragraph):
            current = parts.rows
        elif not paragraph.startswith(" ") and current is not parts.deviates:
            current = parts.about
        current.append(markdown(paragraph))
    return parts


def markdown(paragraph: str) -> str:
    """A paragraph of a docstring as Markdown: what is indented keeps its lines."""
    if paragraph.startswith(" "):
        return f"```text\n{inspect.cleandoc(chr(10) + paragraph)}\n```"
    if LIST.match(paragraph):
        return escaped(paragraph)
    return escaped(" ".join(paragraph.splitlines()))


def escaped(text: str) -> str:
    """Text whose signs Markdown shows as they are. Names with underscores become code.

    Between backticks nothing changes.
    """
    parts = text.split("`")
    return "`".join(part if place % 2 else _plain(part) for place, part in enumerate(parts))


def _plain(text: str) -> str:
    """Text outside of backticks: names as code, and the signs between them escaped."""
    words, place = list[str](), 0
    for name in NAME.finditer(text):
        words += [_signs(text[place : name.start()]), f"`{name[0]}`"]
        place = name.end()
    return "".join([*words, _signs(text[place:])])


def _signs(text: str) -> str:
    return SIGNS.sub(r"\\\1", text).replace("\\<", "&lt;")
