"""Options that several commands share, and the plan and store that they select."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from invspec.cli import completion
from invspec.errors import SpecError

if TYPE_CHECKING:
    from invspec.execution.store import Store
    from invspec.plan.cells import Plan
    from invspec.plan.precisions import Answer
    from invspec.report.provenance import Call

DEFAULT_STORE = Path("store")

SpecName = Annotated[
    str,
    typer.Argument(
        help="path of a spec, or the name of one that ships with invspec",
        autocompletion=completion.specs,
    ),
]
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="INVSPEC_STORE", help="folder of stored results")
]
Scale = Annotated[
    str | None,
    typer.Option("--scale", help="one of the spec's scales", autocompletion=completion.scales),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="a.b=value, set in the spec; repeatable",
        autocompletion=completion.settings,
    ),
]
Smoke = Annotated[
    bool,
    typer.Option(
        "--smoke", help="fake data, 8 examples, one epoch, two steps, two values of a sweep"
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="refuse doubtful settings, too")]
Data = Annotated[Path | None, typer.Option(help="data folder (default: INVSPEC_DATA)")]
Registry = Annotated[
    list[Path] | None,
    typer.Option(
        "--registry",
        envvar="INVSPEC_REGISTRY",
        help="folder of your own cards and classes; repeatable",
    ),
]


@dataclass(frozen=True)
class Selection:
    """The options that select the plan of a spec: its fields."""

    scale: Scale = None
    set: Set = None
    smoke: Smoke = False
    registry: Registry = None


# the spec as it is written
AS_WRITTEN = Selection()


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Selection in place of its parameter `selection`."""
    chosen = inspect.signature(Selection, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += chosen.values() if parameter.name == "selection" else (parameter,)

    @functools.wraps(command)
    def selected(**arguments: Any) -> None:
        selection = Selection(**{name: arguments.pop(name) for name in chosen})
        command(**arguments, selection=selection)

    # what typer reads
    selected.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    return selected


@contextmanager
def resumable() -> Generator[None]:
    """End the command with 130 and a message if it is interrupted inside the block."""
    try:
        yield
    except KeyboardInterrupt:
        message = "interrupted; finished work is kept, and the same command continues from there"
        print(message, file=sys.stderr)
        raise typer.Exit(130) from None


def set_data(folder: Path | None) -> None:
    """Use a folder of data in this process and its workers."""
    if folder is not None:
        os.environ["INVSPEC_DATA"] = str(folder.resolve())


def call(registry: Iterable[Path] | None, store: Path, data: Path | None) -> Call:
    """The folders of a command as they were given, for the command that a report prints."""
    from invspec.report.provenance import Call

    given = str(data) if data is not None else os.environ.get("INVSPEC_DATA")
    return Call(tuple(map(str, registry or ())), str(store), given)


def add_registries(folders: Iterable[Path] | None) -> None:
    """Add the cards of users' folders to the registry. Raises SpecError if a folder has none."""
    from invspec.registry import cards

    cards.add_all(folders or ())


def planned(spec: str, selection: Selection, store: Store | None = None) -> Plan:
    """The plan of a spec with its overlays. Raises SpecError if the spec is wrong.

    Where the spec says `precision: auto`, a store gives the choices that were made for it.
    """
    from invspec.plan import planner
    from invspec.registry import own_code
    from invspec.spec import overlay

    add_registries(selection.registry)
    with own_code.explained():
        resolved = overlay.load(overlay.find(spec), selection.scale, selection.set or ())
        chosen = resolved.smoke() if selection.smoke else resolved
        return planner.plan(chosen) if store is None else planner.plan(chosen, answers(store))


def answers(store: Store) -> Answer:
    """The precisions that were chosen for a store, for the planner."""
    from invspec.execution.choices import Choices

    return Choices(store.root).answer


def store_at(root: Path, create: bool = False) -> Store:
    """The store in a folder. Raises SpecError if there is none, unless create is True."""
    from invspec.execution.store import Store

    if root.exists() and not root.is_dir():
        raise SpecError(f"{root} is a file, expected a folder", where="--store")
    if not root.exists() and not create:
        raise SpecError(f"no folder {root}", where="--store", hint="`invspec run` creates it")
    return Store(root.resolve())


def warn(doubts: Iterable[SpecError]) -> None:
    """Print each distinct warning once, on stderr."""
    for text in dict.fromkeys(map(str, doubts)):
        print(f"warning: {text}", file=sys.stderr)
