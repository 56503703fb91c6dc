"""Names of the extension API that have changed. A user's class that sets an old one is refused.

Without this it would be accepted and its setting ignored.
"""

from __future__ import annotations

from invspec.errors import SpecError
from invspec.kinds import Method

# Old name to new name, by kind.
RENAMES: dict[str, dict[str, str]] = {
    "attack": {
        "delicate": "needs_float32",
        "nested": "sweep_field",
        "_outset": "init_state",
        "_settle": "update",
    },
    "measure": {"gathers": "takes_sweep"},
    "defence": {"companion": "auxiliary", "lesson": "prepare"},
}


def refuse_old_names(cls: type[Method]) -> None:
    """Raises: SpecError if a class from outside invspec, or a base of it, sets an old name."""
    renamed = RENAMES.get(cls.kind, {})
    for base in cls.__mro__:
        if base.__module__.split(".")[0] == "invspec":
            continue
        for old in sorted(set(vars(base)) & set(renamed)):
            found = f"{base.__name__} sets `{old}`, which is now `{renamed[old]}`"
            raise SpecError(found, hint=f"rename it in {base.__module__}")
