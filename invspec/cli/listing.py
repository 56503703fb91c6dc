"""The pages of `invspec list`. Only the page of a single method imports its class."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from invspec.cli.fields import (
    Fields,
    default,
    default_of,
    fields_of,
    meaning,
    type_words,
    yaml_text,
)
from invspec.errors import SpecError, suggest

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from invspec.kinds import Attack, Measure
    from invspec.registry.cards import Card, Kind


def show(kind: str | None, name: str | None) -> None:
    """Print the registry, one kind of method, or one method; its kind may be left out."""
    from rich.console import Console

    from invspec.registry.cards import KINDS, names

    console = Console(soft_wrap=False)
    if kind is not None and kind not in KINDS:
        kinds: list[Kind] = [known for known in KINDS if kind in names(known)]
        if name is not None or not kinds:
            raise SpecError(f"no kind is named {kind!r}", hint=_hint(kind, kinds))
        for known in kinds:
            console.print(f"{known} {kind}", style="dim", markup=False)
            _page(console, known, kind)
        return
    if kind is not None and name is not None:
        _page(console, kind, name)
        return
    for listed in KINDS if kind is None else (kind,):
        console.print(_table(listed))


def _hint(word: str, kinds: list[Kind]) -> str:
    """What may be meant by a word that is no kind: the name of a method, or one near to it."""
    from invspec.registry.cards import KINDS, names

    if kinds:
        return f"{word} is the name of {' and '.join(map(_article, kinds))}"
    kind, method = suggest(word, KINDS), suggest(word, {n for k in KINDS for n in names(k)})
    return kind if kind.startswith("did") or not method else method


def _article(kind: Kind) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _table(kind: Kind) -> Table:
    """A table of the methods of a kind: name, summary, paper."""
    from rich.markup import escape
    from rich.table import Table

    from invspec.registry import cards

    style: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 2, 0, 0)}
    table = Table(title=kind, title_justify="left", title_style="bold", **style)
    table.add_column("name", no_wrap=True, style="cyan")
    table.add_column("summary")
    table.add_column("paper", no_wrap=True)
    for name in cards.names(kind):
        card = cards.card(kind, name)
        table.add_row(name, escape(card.summary), card.paper or "")
    return table


def _page(console: Console, kind: Kind, name: str) -> None:
    """Print the page of a method: summary, provenance, description, fields, example."""
    from rich.markup import escape
    from rich.table import Table

    from invspec.registry import cards, methods

    card, method = cards.card(kind, name), methods.resolve(kind, name)
    fields = fields_of(method)
    console.print(f"[bold]{name}[/bold]: {escape(card.summary)}")
    console.print(_provenance(card), style="dim", markup=False)
    console.print(_prose(method.__doc__ or ""), markup=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("field", "default", "type", "meaning"):
        table.add_column(heading, overflow="fold")
    for field, about in fields.items():
        cells = (field, default(card, field, about), type_words(about), meaning(about))
        table.add_row(*map(escape, cells))
    if fields:
        console.print(table)
    if kind == "measure":
        console.print(_attacks_read(cast("type[Measure]", method)), markup=False)
    console.print("\nin a spec:", markup=False)
    for line in example(kind, name).splitlines():
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _attacks_read(measure: type[Measure]) -> str:
    """The number of attacks in `of`."""
    least, most = measure.takes
    if most > 1:
        return f"of {least} attacks" if least == most else f"of {least} to {most} attacks"
    several = "; of several, each example counts with the worst result"
    return f"of one attack{several if measure.has_worst_case() else ''}"


def _prose(docstring: str) -> str:
    """A docstring with one line per paragraph, which the terminal wraps. Indented text stays."""
    return "\n\n".join(map(_paragraph, inspect.cleandoc(docstring).split("\n\n")))


def _paragraph(text: str) -> str:
    lines = text.splitlines()
    if any(line.startswith((" ", "- ")) for line in lines):
        return text
    return " ".join(lines)


def _provenance(card: Card) -> str:
    from invspec.registry import cards

    paper = cards.papers().get(card.paper or "")
    cited = f"{paper.authors} ({paper.year}), {paper.title}" if paper else "no paper"
    return f"{cited}{f', {card.section}' if card.section else ''} · {card.target}"


# ─ an example ───────────────────────────────────────────────────────────────────────────────────


def example(kind: Kind, name: str) -> str:
    """The part of a spec that uses a method, as YAML.

    It is the example of the card or, if the card has none, the method's entry with its required
    fields, and the entries that it refers to.
    """
    from invspec.registry import cards

    parts = cards.card(kind, name).example or _computed(kind, name)
    return "\n".join(
        line for part, entries in parts.items() for line in (f"{part}:", *_entry_lines(entries))
    )


def _entry_lines(entries: dict[str, Any] | list[Any]) -> Iterator[str]:
    """Labelled entries, or the lines of `train`."""
    if isinstance(entries, list):
        yield from (f"  - {yaml_text(line)}" for line in entries)
    else:
        yield from (f"  {label}: {yaml_text(entry)}" for label, entry in entries.items())


def _computed(kind: Kind, name: str) -> dict[str, dict[str, Any]]:
    """Parts of a spec, by name: the method's entry, and for a measure the attack that it reads."""
    from invspec.registry import cards, methods

    method = methods.resolve(kind, name)
    entry = dict(_entry(cards.card(kind, name), fields_of(method)))
    pairs: dict[str, Any] = {"sample": {"targets": {"per_class": 1}}}
    if kind == "attack" and _wants_target(name, entry):
        entry |= pairs
    if kind != "measure":
        return {f"{kind}s": {name: entry}}
    attack = {"identity": pairs if getattr(method, "wants_target", False) else {}}
    return {"attacks": attack, "measures": {name: {"of": "identity", **entry}}}


def _entry(card: Card, fields: Fields) -> Iterator[tuple[str, Any]]:
    """The required fields or, if there are none, the first whose default fits into YAML."""
    open_fields = {name: about for name, about in fields.items() if name not in card.params}
    if required := [name for name, about in open_fields.items() if about.is_required()]:
        yield from ((name, "...") for name in required)
        return
    defaults = {name: default_of(about) for name, about in open_fields.items()}
    yield from [item for item in defaults.items() if not _holds_method(item[1])][:1]


def _wants_target(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether an attack walks to a target image; False if a required field is not yet set."""
    from invspec.registry import methods

    if "..." in entry.values():
        return False
    return cast("Attack", methods.make("attack", name, dict(entry))).wants_target


def _holds_method(value: Any) -> bool:
    """Whether a value is or contains a method or another settings object."""
    if isinstance(value, list | tuple):
        return any(map(_holds_method, cast(list[Any], value)))
    return hasattr(value, "model_fields_set")
