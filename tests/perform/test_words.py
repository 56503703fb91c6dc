"""Methods are named by their class and the fields that were set."""

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.datasets.fake import Fake
from invspec.perform.words import words


def test_a_method_is_named_by_its_class_and_what_was_set() -> None:
    assert words(Identity()) == "Identity"
    assert words(PGD(eps=0.1, norm="l2")) == "PGD (eps 0.1, norm l2)"


def test_few_fields_and_no_long_values_are_named() -> None:
    assert words(PGD(eps=0.1, norm="l2", steps=3, restarts=2)) == "PGD (eps 0.1, norm l2, steps 3)"
    assert words(Fake(shape=(1, 4, 4), test=20)) == "Fake (test 20)"
