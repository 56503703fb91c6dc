"""What the pretend device cannot run, and why; `test_cards.py` fails if an entry is out of date."""

from __future__ import annotations

from dataclasses import dataclass

from invspec.attacks.foolbox import Foolbox
from invspec.tasks import Perturb, Task, Train


@dataclass(frozen=True)
class Exempt:
    """A card that fails on the device, with the words of its error, and the reason."""

    error: str
    reason: str


EAGERPY = Exempt("Unknown type", "eagerpy, on which Foolbox rests, refuses subclasses of Tensor")
AUTOCAST = Exempt("Autocast", "torch has no bfloat16 autocast for a back end in Python")
CARDS: dict[tuple[str, str], Exempt] = {
    ("attack", "foolbox"): EAGERPY,
    ("defence", "avg_cifar10"): AUTOCAST,
    ("defence", "max_cifar10"): AUTOCAST,
    ("defence", "msd_cifar10"): AUTOCAST,
}


def exempt(task: Task) -> Exempt | None:
    """Why a task of a spec cannot run on the device, if it cannot."""
    if isinstance(task, Train) and getattr(task.defence, "precision", None) == "bfloat16":
        return AUTOCAST
    if isinstance(task, Perturb) and isinstance(task.attack, Foolbox):
        return EAGERPY
    return None
