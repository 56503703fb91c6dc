"""The arguments of the last run on a store, for `invspec report` without a spec."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from invspec.cli.options import Selection
from invspec.errors import SpecError
from invspec.execution import disk

if TYPE_CHECKING:
    from invspec.execution.store import Store

FILE = "last.json"


class Call(NamedTuple):
    """The arguments of `invspec run` that select the plan."""

    spec: str
    selection: Selection
    data: Path | None = None


def save(store: Store, call: Call) -> None:
    """Store the arguments of a run. Paths become absolute; the name of a spec stays a name."""
    spec, selection = Path(call.spec), call.selection
    saved = {
        "spec": str(spec.resolve()) if spec.exists() else call.spec,
        **asdict(selection),
        "registry": [str(folder.resolve()) for folder in selection.registry or ()],
        "data": str(call.data.resolve()) if call.data else None,
    }
    with disk.writing(store.root):
        (store.root / FILE).write_text(json.dumps(saved, indent=1), encoding="utf-8")


def load(store: Store) -> Call:
    """The arguments of the last run. Raises SpecError if they cannot be read."""
    try:
        saved: Any = json.loads((store.root / FILE).read_text(encoding="utf-8"))
        folders = [Path(folder) for folder in saved["registry"]]
        # earlier versions did not store it
        data = Path(saved["data"]) if saved.get("data") else None
        selection = Selection(saved["scale"], saved["set"], saved["smoke"], folders)
        return Call(saved["spec"], selection, data)
    except (OSError, ValueError, KeyError, TypeError):
        message, hint = f"no last run in {store.root}", "name a spec: invspec report SPEC"
        raise SpecError(message, hint=hint) from None
