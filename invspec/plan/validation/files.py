"""Files that methods read must exist, because their digests are part of keys."""

from __future__ import annotations

from collections.abc import Iterator

from invspec.errors import InvspecError, SpecError
from invspec.kinds import plain
from invspec.spec.resolved import Spec


def problems(spec: Spec, *parts: str) -> Iterator[SpecError]:
    """Missing files of the methods in some parts of a spec."""
    for part in parts:
        for label, entry in spec.entries[part].items():
            try:
                plain(tuple(variant.method for variant in entry.variants))
            except InvspecError as problem:
                yield SpecError(problem.message, hint=problem.hint, path=(part, label))
