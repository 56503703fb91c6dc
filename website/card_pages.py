"""The page of a card: what it does, its paper, its fields, a spec, and what its results mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from docstrings import Described, described, escaped
from minimal_specs import PLACEHOLDER, as_text, minimal_spec
from results_of import results
from uses import specs_that_use

from invspec.kinds.units import annotated_unit
from invspec.registry import cards, methods
from invspec.registry.cards import KINDS, Card, Kind
from invspec.registry.words import default, fields_of, type_words

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
TITLES: dict[Kind, str] = {
    "dataset": "Data sets",
    "model": "Models",
    "defence": "Defences",
    "attack": "Attacks",
    "measure": "Measures",
    "check": "Checks",
}
# the class of an error, which only a program needs to know
FAILURE = re.compile(r"^\w*Error ")
# what pictures show, by website/pictures.py
CAPTIONS: dict[Kind, str] = {
    "attack": "Above each image: the label that a small MLP gives it, and its confidence.",
    "dataset": "The first images of the test split, with their labels.",
}
NO_SPEC = "No shipped spec uses it: [what it serves](../../methods.md)."
ALL_SPECS = "Every spec runs it where it applies, unless its `checks` leave it out."
FIELD_HEADINGS = ("field", "default", "type and bounds", "unit", "meaning")


def pages() -> Iterator[tuple[str, str]]:
    """The path below docs/ and the Markdown of every page: an index, one a kind, one a card."""
    yield "cards/index.md", index()
    for kind in KINDS:
        yield f"cards/{kind}/index.md", index_of(kind)
        for name in cards.names(kind):
            yield f"cards/{kind}/{name}.md", page(kind, name)


def index() -> str:
    """The page that leads to the kinds."""
    lines = [
        "# Cards",
        "",
        "A method is known by its card: a name, a class, the paper that it comes from, and the",
        "fields that the name sets. Each has a page here, as `invspec list KIND NAME` has in a",
        "terminal.",
        "",
        table(
            ("kind", "cards", "what it is"),
            (
                (f"[{TITLES[kind]}]({kind}/index.md)", str(len(cards.names(kind))), WORDS[kind])
                for kind in KINDS
            ),
        ),
    ]
    return "\n".join(lines)


WORDS: dict[Kind, str] = {
    "dataset": "labelled images, or points",
    "model": "a net from images to logits, or a generator of images",
    "defence": "a training of a net, or weights from elsewhere",
    "attack": "a way of changing images, adversarial or not",
    "measure": "numbers from what attacks did, with intervals",
    "check": "whether the numbers of a net, or of an attack on it, can be relied on",
}


def index_of(kind: Kind) -> str:
    """The page of a kind: its cards, their summaries and papers."""
    rows = (
        (f"[{name}]({name}.md)", escaped(card.summary), card.paper or "")
        for name in cards.names(kind)
        for card in [cards.card(kind, name)]
    )
    body = table(("card", "summary", "paper"), rows)
    return f"# {TITLES[kind]}\n\n{len(cards.names(kind))} cards: {WORDS[kind]}.\n\n{body}\n"


def page(kind: Kind, name: str) -> str:
    """The page of a card."""
    card, method = cards.card(kind, name), methods.resolve(kind, name)
    about = described(method.__doc__ or "", with_rows=kind == "measure")
    parts = (
        _head(kind, name, card),
        _what_it_does(kind, name, about),
        _paper(kind, name, card, about),
        _fields(kind, name, card),
        _spec(kind, name),
        f"## What its results mean\n\n{results(kind, name, about.rows)}",
    )
    return "\n\n".join(parts) + "\n"


def _head(kind: Kind, name: str, card: Card) -> str:
    crumbs = f"[Cards](../index.md) / [{TITLES[kind]}](index.md)"
    # the sidebar of navigation would be empty: cards are not in it
    meta = f"---\ntitle: {name}\nhide: [navigation]\n---"
    return f"{meta}\n\n{crumbs}\n\n# {name}\n\n{escaped(_sentence(card.summary))}"


def _sentence(summary: str) -> str:
    """A summary as a sentence; one that begins with a name keeps its small letter."""
    first = summary.split()[0]
    return f"{summary[0].upper() if first.isalpha() else summary[0]}{summary[1:]}."


def _what_it_does(kind: Kind, name: str, about: Described) -> str:
    picture = PICTURES / kind / f"{name}.png"
    shown = (
        [f"![{name}, in pictures](../../pictures/{kind}/{name}.png)", f"*{CAPTIONS[kind]}*"]
        if picture.exists()
        else []
    )
    refusals = [f"It fails {FAILURE.sub('', text)}" for text in about.raises]
    return "\n\n".join(["## What it does", *about.about, *refusals, *shown])


def _paper(kind: Kind, name: str, card: Card, about: Described) -> str:
    paper = cards.papers().get(card.paper or "")
    cited = (
        f"{escaped(paper.authors)} ({paper.year}). *{escaped(paper.title)}*{_stop(paper.title)}"
        f"{f' {escaped(paper.venue)}.' if paper.venue else ''}"
        if paper
        else "It comes from no paper."
    )
    section = f" {_place(card.section)}." if card.section and paper else ""
    deviates = about.deviates or ["None is known."]
    users = ", ".join(f"`{spec}`" for spec in specs_that_use(kind, name))
    used = ALL_SPECS if kind == "check" else f"Specs that use it: {users}." if users else NO_SPEC
    heading = f"## Paper and deviation\n\n{cited}{section} Code: `{card.target}`."
    return "\n\n".join([heading, f"**Deviation:** {deviates[0]}", *deviates[1:], used])


def _place(section: str) -> str:
    """The place in a paper: Section 5.1, or as it is, such as Figure 2."""
    return f"{'Section ' if section[0].isdigit() else ''}{escaped(section)}"


def _stop(title: str) -> str:
    """The full stop after a title, unless it ends with a mark of its own."""
    return "" if title[-1] in "?!." else "."


def _fields(kind: Kind, name: str, card: Card) -> str:
    fields = fields_of(methods.resolve(kind, name))
    if not fields:
        return "## Fields\n\nIt has none."
    rows = (
        (
            f"`{field}`",
            f"`{default(card, field, about)}`",
            _type(about),
            annotated_unit(about),
            escaped(about.description or ""),
        )
        for field, about in fields.items()
    )
    return f"## Fields\n\n{table(FIELD_HEADINGS, rows)}"


def _type(about: FieldInfo) -> str:
    """The type of a field and its bounds: number > 0, or null."""
    words = type_words(about)
    null = ", or null" if " | null" in words else ""
    *others, last = escaped(words.replace(" | null", "")).split(" \\| ")
    return f"{' or '.join([', '.join(others), last] if others else [last])}{null}"


def _spec(kind: Kind, name: str) -> str:
    text = as_text(minimal_spec(kind, name))
    missing = f"`{PLACEHOLDER}` stands for a value of your own.\n\n" if PLACEHOLDER in text else ""
    return (
        "## In a spec\n\nThis spec is whole and small; CI validates it, as `invspec validate` "
        f"does.\n\n{missing}```yaml\n{text}```"
    )


def table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = (headings, ("---",) * len(headings), *rows)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
