"""`invspec compare`: the numbers of two studies side by side, and the settings that differ."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from invspec.cli import completion, options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection
from invspec.errors import SpecError, counted

if TYPE_CHECKING:
    from invspec.report.compared import Compared
    from invspec.report.provenance import Call

AGAINST = "--against"
# options of the whole comparison
COMMON = ("match", "format", "rows", "output", "data")


class Format(StrEnum):
    """Format of a comparison."""

    rich = "rich"
    csv = "csv"
    json = "json"
    markdown = "markdown"


class Rows(StrEnum):
    """What a file of rows has one for."""

    numbers = "numbers"
    settings = "settings"


class TwoSided(TyperCommand):
    """A command whose words after `--against` are read by themselves, as those of its side B."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of both sides; those of B are kept in ctx.obj.

        Options of the whole comparison may be on either side.
        """
        before, against, after = _cut(args)
        unread = super().parse_args(ctx, [*before, *against])
        if against:
            own: Any = self.make_context(ctx.info_name, after, parent=ctx.parent)
            ctx.obj = own.params
            for name in COMMON:
                if _is_given(own, name):
                    earlier = (ctx.params[name] or []) if name == "match" else None
                    value = own.params[name]
                    ctx.params[name] = value if earlier is None else [*earlier, *value]
        return unread


def _cut(args: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    words = list(args)
    if AGAINST not in words:
        return words, [], []
    place = words.index(AGAINST)
    return words[:place], [AGAINST], words[place + 1 :]


def _is_given(ctx: Any, name: str) -> bool:
    """Whether an option is on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@dataclass(frozen=True)
class Chosen:
    """The words that choose one side: the spec, its overlays, and its folders."""

    spec: str
    selection: Selection
    store: Path
    data: Path | None


@options.selecting
def compare(
    context: typer.Context,
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            help="A and B: one spec, or two; paths or names", autocompletion=completion.specs
        ),
    ] = None,
    against: Annotated[
        bool,
        typer.Option(
            AGAINST, help="what follows changes B alone: another --set, --scale, --store or spec"
        ),
    ] = False,
    match: Annotated[
        list[str] | None,
        typer.Option(
            help="A=B, what belongs together under two names: plain=standard (a label), "
            "pgd.eps:0.1=0.2 (values of a sweep), pgd.eps:0.1= (not swept in B); repeatable"
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="format to write")] = Format.rich,
    rows: Annotated[
        Rows, typer.Option(help="what csv has a row for: numbers, or settings that differ")
    ] = Rows.numbers,
    output: Annotated[Path | None, typer.Option(help="folder to write to")] = None,
    data: Data = None,
    store: Annotated[
        list[Path] | None,
        typer.Option(
            "--store", help="folder of stored results (default: INVSPEC_STORE); two: A's and B's"
        ),
    ] = None,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Compare two studies: paired differences B - A with intervals, and what differs in settings.

    A and B are two specs, or one spec twice: --against begins what is different in B.
    """
    first, second = _sides(
        specs or [], store or [], data, selection, context.obj if against else {}
    )
    comparison = _compared(first, second, match or [])
    _write(comparison, format, rows, output)


# ─ the two sides ──────────────────────────────────────────────────────────────────────────────────


def _sides(
    specs: Sequence[str],
    stores: Sequence[Path],
    data: Path | None,
    selection: Selection,
    changes: dict[str, Any],
) -> tuple[Chosen, Chosen]:
    """Both sides. B is A with its own spec and store, if two are named, and what follows --against.

    Raises: SpecError if there is no spec, if there are too many, or if both sides are one.
    """
    if changes.get("against"):
        raise SpecError("given twice", where=AGAINST, hint="a comparison has two sides")
    # old releases of typer leave the words after --against as text
    later_specs, later_stores = changes.get("specs") or [], _paths(changes.get("store"))
    named, folders = [*specs, *later_specs], [*stores, *later_stores]
    _refuse_many(specs, named, folders)
    own_folders = list(stores) or [_default_store()]
    first = Chosen(specs[0], selection, own_folders[0], data)
    second = replace(
        first,
        spec=named[-1],
        selection=_changed(selection, changes),
        store=[*own_folders, *later_stores][-1],
    )
    if first == second:
        hint = f"name a second spec or store, or say what is different: {AGAINST} --set a.b=value"
        raise SpecError("A and B are the same", hint=hint)
    return first, second


def _refuse_many(specs: Sequence[str], named: Sequence[str], folders: Sequence[Path]) -> None:
    """Raises: SpecError if A has no spec, or for a third spec or store."""
    if not specs:
        hint = f"invspec compare A.yaml B.yaml, or A.yaml --set a.b=1 {AGAINST} --set a.b=2"
        raise SpecError("expected one or two specs, found none", hint=hint)
    if len(named) > 2:
        raise SpecError(f"expected at most two specs, found {counted(len(named), 'spec')}")
    if len(folders) > 2:
        number = counted(len(folders), "store")
        raise SpecError(f"expected at most two stores, found {number}", where="--store")


def _changed(selection: Selection, changes: dict[str, Any]) -> Selection:
    """The options of B: those of A; a new scale replaces A's, and settings come after A's."""
    own: list[Path] = selection.registry or []
    folders = dict.fromkeys([*own, *_paths(changes.get("registry"))])
    return Selection(
        scale=changes.get("scale") or selection.scale,
        set=[*(selection.set or []), *(changes.get("set") or [])] or selection.set,
        smoke=selection.smoke or bool(changes.get("smoke")),
        registry=list(folders) or selection.registry,
    )


def _paths(words: Iterable[str | Path] | None) -> list[Path]:
    return list(map(Path, words or ()))


def _default_store() -> Path:
    return Path(os.environ.get("INVSPEC_STORE") or DEFAULT_STORE)


# ─ the comparison ─────────────────────────────────────────────────────────────────────────────────


def _compared(first: Chosen, second: Chosen, matches: Sequence[str]) -> Compared:
    from invspec.cli import sides
    from invspec.report import compared

    options.set_data(first.data)
    calls: list[Call] = []
    loaded = []
    for chosen in (first, second):
        kept = options.store_at(chosen.store)
        loaded.append(sides.side(options.planned(chosen.spec, chosen.selection, kept), kept))
        calls.append(options.call(chosen.selection.registry, chosen.store, chosen.data))
    return compared.compared(loaded[0], loaded[1], (calls[0], calls[1]), matches)


def _write(comparison: Compared, format: Format, rows: Rows, output: Path | None) -> None:
    from rich.console import Console

    from invspec.cli import session
    from invspec.report import columns, compared, export, sheets

    first, second = (side.plan.spec.name for side in (comparison.first, comparison.second))
    name = f"{first}-against-{second}"
    match format:
        case Format.rich:
            sheets.show(compared.sheets(comparison), Console(highlight=False))
        case Format.markdown:
            session.deliver(sheets.markdown(compared.sheets(comparison)), output, f"{name}.md")
        case Format.csv if rows is Rows.settings:
            text = export.csv_of(columns.SETTING, compared.setting_records(comparison))
            session.deliver(text, output, f"{name}-settings.csv")
        case Format.csv:
            records = compared.records(comparison)
            text = export.csv_of(columns.names("contrasts", records), records)
            session.deliver(text, output, f"{name}.csv")
        case Format.json:
            session.deliver_json(export.json_of(compared.body(comparison)), output, f"{name}.json")
