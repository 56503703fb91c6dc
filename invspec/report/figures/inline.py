"""A figure as a page has it, free of what draws it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inline:
    """A figure in a page: its <svg> element, and the entries of its legend, which the page shows.

    Lines have the class `line` and say in data-line what their entry is. dark is the colour on a
    dark page of every colour in it.
    """

    svg: str
    dark: dict[str, str]
    legend: tuple[Entry, ...] = ()
    title: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of a legend: its text, its colour as a CSS variable, its marker as a character."""

    text: str
    colour: str
    marker: str


def variable(colour: str) -> str:
    """The CSS variable of a colour."""
    return f"--c-{colour[1:]}"
