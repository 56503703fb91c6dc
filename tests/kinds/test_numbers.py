"""Numbers written as fractions or with an exponent."""

from __future__ import annotations

import pytest

from invspec.attacks.pgd import PGD
from invspec.errors import SpecError
from invspec.registry.methods import make


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (0.1, 0.1),
        (1, 1.0),
        ("8/255", 8 / 255),
        ("1e-3", 0.001),
        (" 8 / 255 ", 8 / 255),
        ("+.5", 0.5),
    ],
)
def test_a_number_may_be_written_in_many_ways(written: object, value: float) -> None:
    assert make("attack", "pgd", {"eps": written}) == PGD(eps=value)


@pytest.mark.parametrize(
    "written",
    ["1/1e999", "1e999", "1e999/1e999", "8/0", "8/", "/8", "1/2/3", "nan", "inf", "", "0x1", True],
)
def test_text_that_is_not_a_number_is_refused(written: object) -> None:
    with pytest.raises(SpecError, match="expected a number"):
        make("attack", "pgd", {"eps": written})
