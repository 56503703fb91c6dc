"""Numbers written as fractions or with an exponent."""

from __future__ import annotations

import re

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.attacks.pgd import PGD
from invspec.errors import SpecError
from invspec.kinds import Number
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


@pytest.mark.parametrize(
    ("written", "value"), [("-1/4", -0.25), ("1/-4", -0.25), ("1e-3/10", 1e-4)]
)
def test_either_part_of_a_fraction_may_have_a_sign_or_an_exponent(
    written: str, value: float
) -> None:
    assert TypeAdapter(Number).validate_python(written) == pytest.approx(value)


def test_a_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(ValidationError, match=r"found 'x{40}'"):
        TypeAdapter(Number).validate_python("x" * 1000)


@pytest.mark.parametrize("written", ["8/255", " .5 ", "+1e-3", "8/", "1/2/3", "nan", "0x1"])
def test_the_pattern_for_editors_matches_what_is_read(written: str) -> None:
    schema = TypeAdapter(Number).json_schema()
    assert schema["type"] == ["number", "string"]
    matches = re.search(schema["pattern"], written) is not None
    try:
        TypeAdapter(Number).validate_python(written)
    except ValidationError:
        assert not matches
    else:
        assert matches
