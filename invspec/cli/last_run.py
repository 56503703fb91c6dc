"""The arguments of the last run on a store, for `invspec report` without a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from invspec.errors import SpecError
from invspec.execution import disk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invspec.execution.store import Store

FILE = "last.json"


class Call(NamedTuple):
    """The arguments of `invspec run` that select the plan."""

    spec: str
    scale: str | None
    set: list[str] | None
    smoke: bool
    registry: Sequence[Path] | None
    data: Path | None = None


def save(store: Store, call: Call) -> None:
    """Store the arguments of a run. Paths become absolute; the name of a spec stays a name."""
    spec = Path(call.spec)
    absolute = {
        "spec": str(spec.resolve()) if spec.exists() else call.spec,
        "registry": [str(folder.resolve()) for folder in call.registry or ()],
        "data": str(call.data.resolve()) if call.data else None,
    }
    with disk.writing(store.root):
        (store.root / FILE).write_text(
            json.dumps({**call._asdict(), **absolute}, indent=1), encoding="utf-8"
        )


def load(store: Store) -> Call:
    """The arguments of the last run. Raises SpecError if they cannot be read."""
    try:
        saved: Any = json.loads((store.root / FILE).read_text(encoding="utf-8"))
        folders = [Path(folder) for folder in saved["registry"]]
        # earlier versions did not store it
        data = Path(saved["data"]) if saved.get("data") else None
        return Call(saved["spec"], saved["scale"], saved["set"], saved["smoke"], folders, data)
    except (OSError, ValueError, KeyError, TypeError):
        message, hint = f"no last run in {store.root}", "name a spec: invspec report SPEC"
        raise SpecError(message, hint=hint) from None
