"""Fields that hold a method."""

from __future__ import annotations

from invspec.attacks.pgd import PGD
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.registry.methods import make


def test_a_method_in_a_method_is_given_by_use_and_fields() -> None:
    made = make("defence", "adversarial_training", {"attack": {"use": "pgd_mnist", "steps": 3}})
    assert isinstance(made, AdversarialTraining)
    assert made.attack == PGD(eps=0.3, steps=3, step_size=0.01)
    assert made == AdversarialTraining(attack=PGD(eps=0.3, steps=3, step_size=0.01))
