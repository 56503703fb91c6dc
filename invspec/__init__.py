"""invspec: is this classifier too sensitive, too invariant, or both?

In Python, `run` and `results` take a spec and give data frames, `compare` and `leaderboard` give
those of two studies and of a store; `attack` and `measure` work on one's own nets and tensors. What
methods of one's own import is in `invspec.kinds` and `invspec.data`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from invspec import cpu

if TYPE_CHECKING:
    from invspec.api.compare import compare, leaderboard
    from invspec.api.methods import Attacked, attack, measure
    from invspec.api.results import Results, results, run
    from invspec.api.specs import Spec

__version__ = "0.1.0"
__all__ = [
    "Attacked",
    "Results",
    "Spec",
    "attack",
    "compare",
    "leaderboard",
    "measure",
    "results",
    "run",
]

cpu.ensure_prepared()  # before anything imports torch

_PLACES = {
    "Attacked": "methods",
    "attack": "methods",
    "compare": "compare",
    "leaderboard": "compare",
    "measure": "methods",
    "Results": "results",
    "results": "results",
    "run": "results",
    "Spec": "specs",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: torch and all that need it take seconds."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"invspec.api.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
