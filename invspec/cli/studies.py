"""The studies of a store as pages that are drawn when they are asked for."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invspec.cli import options, session
from invspec.cli.options import Selection
from invspec.errors import InvspecError, SpecError
from invspec.execution.store import Store
from invspec.plan.cells import Plan
from invspec.report.pages import shelf
from invspec.report.provenance import Call

PAGE = "index.html"
# figures are drawn one at a time
DRAWING = threading.Lock()


@dataclass
class Study:
    """A spec with its options, and the page of what a store has of it.

    plan is that of the page that was drawn last, and drawn what it showed: the state of the store
    and the text of the spec, as claims and layouts change no result.
    """

    spec: str
    selection: Selection
    store: Store
    call: Call
    plan: Plan
    drawn: tuple[str, str] = ("", "")

    @property
    def state(self) -> str:
        """How many of its goals the store has: 12 of 30 results."""
        goals = self.plan.goals
        return f"{sum(goal in self.store for goal in goals):,} of {len(goals):,} results"

    def page(self) -> Path:
        """The path of its page, drawn anew if the store or the spec has changed.

        Raises: SpecError if the spec is wrong now; InvspecError if the page cannot be written.
        """
        with DRAWING:
            self.plan = options.planned(self.spec, self.selection, self.store)
            place = shelf.folder(self.plan.spec, self.store.root / "reports") / PAGE
            now = (self.state, repr(self.plan.spec.source.values))
            if now != self.drawn or not place.exists():
                session.write_page(self.plan, self.store, self.call)
                self.drawn = now
            return place


def of_spec(spec: str, selection: Selection, store: Store, call: Call) -> Study:
    """The study of a spec. Raises: SpecError if the spec is wrong."""
    plan = options.planned(spec, selection, store)
    session.check(plan, store)
    return Study(spec, selection, store, call, plan)


def on_shelf(store: Store, selection: Selection, call: Call) -> list[Study]:
    """All studies of which a store has a page. Raises: SpecError if there are none."""
    root = store.root / "reports"
    files = sorted(root.glob(f"*/{shelf.FILE}")) if root.is_dir() else []
    read = (_of_file(file, selection, store, call) for file in files)
    studies = [study for study in read if study is not None]
    if not studies:
        hint = "`invspec report SPEC` writes one; or name a spec: invspec view SPEC"
        raise SpecError(f"no pages in {root}", hint=hint)
    return studies


def _of_file(file: Path, selection: Selection, store: Store, call: Call) -> Study | None:
    """The study of a page's folder; None if its file is damaged or its spec is gone."""
    try:
        study: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        own = _selected(study["options"], selection)
        spec = _located(str(study["spec"]), file.parent.parent)
        return Study(spec, own, store, call, options.planned(spec, own, store))
    except (ValueError, KeyError, TypeError, InvspecError):
        return None


def _located(spec: str, root: Path) -> str:
    """The path of a spec, which is kept relative to the folder of pages; or its name."""
    path = Path(os.path.normpath(root / spec))
    return str(path) if path.suffix and path.exists() else spec


def _selected(kept: list[str], selection: Selection) -> Selection:
    """The selection that a page was written with, from options like --scale laptop."""
    pairs = [option.partition(" ")[::2] for option in kept]
    scales = [value for name, value in pairs if name == "--scale"]
    return replace(
        selection,
        scale=scales[0] if scales else None,
        set=[value for name, value in pairs if name == "--set"],
        smoke="--smoke" in kept,
    )
