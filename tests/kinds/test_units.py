"""Units of fields."""

from __future__ import annotations

from invspec.attacks.pgd import PGD
from invspec.kinds import units_of
from invspec.registry.methods import make


def test_units_come_from_annotations_and_may_depend_on_other_fields() -> None:
    assert PGD().unit_of("eps") == "pixels in [0, 1]"
    assert PGD(eps_space="standardised").unit_of("step_size") == "standardised pixels"
    assert PGD().unit_of("steps") == PGD().unit_of("nothing") == ""
    units = units_of(make("defence", "adversarial_training", {"attack": {"use": "pgd"}}))
    assert (units["max_degrees"], units["attack.eps"]) == ("degrees", "pixels in [0, 1]")
