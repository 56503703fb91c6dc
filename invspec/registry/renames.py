"""Names of the extension API that have changed. A user's class that sets an old one is refused.

Otherwise it would be accepted and its setting silently ignored.
"""

from __future__ import annotations

import inspect
import re

from pydantic import PydanticUserError

from invspec.errors import SpecError, first_line
from invspec.kinds import Method

# Replacements of old names, by kind.
RENAMES: dict[str, dict[str, str]] = {
    "attack": {
        "delicate": "`needs_float32`",
        "nested": "`sweep_field`",
        "_outset": "a loop in `perturb`, as in invspec.attacks.lst",
        "_settle": "a loop in `perturb`, as in invspec.attacks.lst",
    },
    "measure": {"gathers": "`takes_sweep`"},
    "defence": {
        "companion": "the argument `auxiliary` of invspec.training.loop.fit",
        "lesson": "the argument `prepare` of invspec.training.loop.fit",
        "objective": "the argument `loss` of invspec.training.loop.fit",
    },
}


def refuse_old_names(cls: type[Method]) -> None:
    """Raises: SpecError if a class from outside invspec, or one of its bases, sets an old name."""
    renamed = RENAMES.get(cls.kind, {})
    for base in cls.__mro__:
        if base.__module__.split(".")[0] == "invspec":
            continue
        for old in sorted(set(vars(base)) & set(renamed)):
            message = f"{base.__name__} sets `{old}`, which is now {renamed[old]}"
            raise SpecError(message, hint=f"change it in {inspect.getfile(base)}")


def unannotated(problem: PydanticUserError) -> SpecError:
    """The error for a class attribute without a type, which pydantic refuses at import."""
    attribute = re.search(r"`(\w+) = ", str(problem))
    if attribute is None:
        return SpecError(f"cannot be imported: {first_line(problem)}")
    name = attribute[1]
    for renamed in RENAMES.values():
        if name in renamed:
            return SpecError(f"a class sets `{name}`, which is now {renamed[name]}")
    hint = f"write `{name}: ClassVar[...] = ...` for a constant, or a type for a field"
    return SpecError(f"the attribute `{name}` of a class has no type", hint=hint)
