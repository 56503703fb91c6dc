"""The card that describes a method best."""

import pytest

from invspec.registry.methods import make
from invspec.registry.nicknames import nickname


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        ("attack", "pgd", {"eps": 0.1}),
        ("attack", "pgd_kamath", {"eps": 0.1}),
        ("model", "stdcnn", {"dropout": 0.2}),
        ("defence", "standard", {}),
        ("defence", "rotation_augmentation", {}),
        ("measure", "rate_of_invariance", {}),
        ("measure", "fooling_rate", {}),
    ],
)
def test_a_method_has_the_name_under_which_it_was_made(kind, name, fields):
    assert nickname(make(kind, name, fields)) == name


def test_a_method_that_no_card_fits_better_has_the_plainest():
    turned = make("defence", "rotation_augmentation", {"max_degrees": 60})
    assert nickname(turned) == "standard"
