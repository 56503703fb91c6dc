"""Files that methods read must exist before they are part of a key."""

from __future__ import annotations

from invspec.errors import InvspecError, SpecError
from invspec.kinds import plain
from invspec.spec.resolved import Spec


def check_files(spec: Spec, *parts: str) -> None:
    """What methods read beside their fields is part of their identity, and has to be there."""
    for part in parts:
        for label, entry in spec.entries[part].items():
            try:
                plain(tuple(variant.method for variant in entry.variants))
            except InvspecError as problem:
                raise SpecError(problem.message, hint=problem.hint, path=(part, label)) from None
