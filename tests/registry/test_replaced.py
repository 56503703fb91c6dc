"""Parameters that a method no longer has."""

from __future__ import annotations

import pytest

from invspec.errors import SpecError
from invspec.registry.methods import make


@pytest.mark.parametrize(
    ("measure", "parameter", "hint"),
    [
        ("boundary_distance", "statistic", "boundary_failures"),
        ("median_boundary_distance", "statistic", "boundary_distance"),
        ("final_distance", "statistic", "mean_final_distance"),
        ("confidence_threshold", "statistic", "false_positive_rate"),
        ("equiconfidence", "statistic", "realised_norm"),
        ("path_validity", "statistic", "share_failing"),
        ("triangle", "statistic", "<measure>.quantity"),
        ("brittleness", "size", "sizes"),
    ],
)
def test_a_replaced_parameter_is_refused_with_its_replacement(
    measure: str, parameter: str, hint: str
) -> None:
    with pytest.raises(SpecError, match="has no such parameter") as problem:
        make("measure", measure, {parameter: 0.01})
    assert hint in problem.value.hint
