"""The folder of a study's page in a store: each study keeps its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError
from invspec.registry.cards import shipped
from invspec.spec.resolved import Spec

# Beside a page: whose it is.
FILE = "study.json"


def folder(spec: Spec, root: Path) -> Path:
    """The folder below root of the page of a spec with its options; it exists afterwards.

    It has the name of the study or, if that belongs to another study, the name and a digest, which
    stays the same.

    Raises: InvspecError if it cannot be written.
    """
    study = _study(spec, root)
    digest = hashlib.sha256(json.dumps(study).encode()).hexdigest()[:8]
    plain, own = root / spec.name, root / f"{spec.name}-{digest}"
    try:
        return plain if _claimed(plain, study) else _kept(own, study)
    except OSError as problem:
        message = f"cannot write {plain}: {problem.strerror}"
        raise InvspecError(message, hint="choose another --output") from None


def _study(spec: Spec, root: Path) -> dict[str, Any]:
    """The spec, by its name if it ships with invspec, else by its path from root; its options."""
    path = Path(spec.source.name).resolve()
    is_shipped = path.parent == shipped("specs").resolve()
    # relative, so that a project keeps its pages when it is moved
    place = path.stem if is_shipped else Path(os.path.relpath(path, root.resolve())).as_posix()
    return {"spec": place, "options": sorted(_options(spec.options))}


def _options(words: Sequence[str]) -> Iterator[str]:
    """Options with their values: --scale laptop."""
    remaining = list(words)
    while remaining:
        name = remaining.pop(0)
        takes_value = bool(remaining) and not remaining[0].startswith("--")
        yield f"{name} {remaining.pop(0)}" if takes_value else name


def _claimed(page: Path, study: dict[str, Any]) -> bool:
    """Whether a folder belongs to a study; one that belongs to none is claimed for it."""
    page.mkdir(parents=True, exist_ok=True)
    try:
        with (page / FILE).open("x", encoding="utf-8") as file:
            json.dump(study, file, indent=1)
    except FileExistsError:
        return _owner(page) in (study, None)
    return True


def _kept(page: Path, study: dict[str, Any]) -> Path:
    page.mkdir(parents=True, exist_ok=True)
    (page / FILE).write_text(json.dumps(study, indent=1), encoding="utf-8")
    return page


def _owner(page: Path) -> Any:
    """The study that a folder belongs to; None if its file is damaged."""
    try:
        return json.loads((page / FILE).read_text(encoding="utf-8"))
    except ValueError:
        return None
