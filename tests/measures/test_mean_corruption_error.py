"""The mean corruption error: weights worked out by hand, and sweeps that are refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import nn

from invspec.corruptions.severities import COMMON, Corruption
from invspec.data import Examples, Scored, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.mean_corruption_error import ALEXNET, MeanCorruptionError

Cell = tuple[Corruption, int]
ALL: list[Cell] = [(name, severity) for name in COMMON for severity in range(1, 6)]


def after(cell: Cell, wrong: Sequence[int]) -> Examples:
    """Four examples of label 0, of which some are wrong."""
    columns = {"index": [5, 6, 7, 8], "y": [0] * 4, "prediction": [0] * 4, "prediction_adv": wrong}
    judged = filled({name: torch.tensor(column) for name, column in columns.items()})
    split = TensorSplit(torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    return Examples(split, judged, {}, {"corruption": cell[0], "severity": cell[1]})


def score(of: Sequence[Examples], baseline: str | None = None) -> Scored:
    measure = MeanCorruptionError.model_validate({"baseline": baseline})
    return measure.score(nn.Identity(), *of)


def test_without_a_baseline_it_is_the_mean_error_over_severities_and_corruptions() -> None:
    found = score(
        [
            after(("fog", 1), [0, 0, 0, 0]),
            after(("fog", 5), [1, 0, 0, 1]),
            after(("snow", 1), [0, 1, 0, 1]),
            after(("snow", 5), [1, 1, 0, 1]),
        ]
    )
    assert outcomes(found).tolist() == [0.5, 0.5, 0, 0.75]
    assert index(found).tolist() == [5, 6, 7, 8]
    assert shown(found)[0].value == pytest.approx((0 + 0.5 + 0.5 + 0.75) / 4)


def test_with_a_baseline_errors_are_summed_before_they_are_divided() -> None:
    """Errors of 1/4 at severity s on all corruptions but fog, on which half are wrong."""
    found = score(
        [after(cell, [1, int(cell[0] == "fog"), 0, 0]) for cell in reversed(ALL)], "alexnet"
    )
    per_corruption = [(0.5 if name == "fog" else 0.25) / ALEXNET[name] for name in COMMON]
    assert shown(found)[0].value == pytest.approx(sum(per_corruption) / 15)


def test_a_net_that_is_as_wrong_as_alexnet_has_the_error_1() -> None:
    weights = MeanCorruptionError(baseline="alexnet")._weights(ALL)
    errors = [ALEXNET[name] for name, _ in ALL]
    assert sum(w * e for w, e in zip(weights, errors, strict=True)) == pytest.approx(1)


def test_the_largest_number_is_that_of_a_net_that_is_always_wrong() -> None:
    always = [after(cell, [1, 1, 1, 1]) for cell in ALL]
    for baseline in (None, "alexnet"):
        _, most = MeanCorruptionError.model_validate({"baseline": baseline}).range_of()
        assert shown(score(always, baseline))[0].value == pytest.approx(most)


@pytest.mark.parametrize(
    ("cells", "baseline", "message"),
    [
        ([("fog", 1), ("fog", 1)], None, "fog at severity 1 occurs twice"),
        (
            [("fog", 1), ("fog", 2), ("snow", 1)],
            None,
            "fog has the severities 1, 2, but snow has 1",
        ),
        ([("fog", s) for s in range(1, 6)], "alexnet", "those of gaussian_noise are not complete"),
        ([*ALL[:-1], ("gaussian_blur", 5)], "alexnet", "gaussian_noise has the severities"),
        ([*ALL, *(("saturate", s) for s in range(1, 6))], "alexnet", "found saturate"),
    ],
    ids=str,
)
def test_other_sweeps_are_refused(cells: list[Cell], baseline: str | None, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        score([after(cell, [0, 0, 0, 0]) for cell in cells], baseline)


def test_an_attack_without_corruptions_is_refused() -> None:
    split = TensorSplit(torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.int64))
    examples = Examples(split, after(("fog", 1), [0] * 4).judged, {}, {"eps": 0.1})
    with pytest.raises(InvspecError, match="needs an attack with a corruption and a severity"):
        score([examples, examples])


def test_a_smoke_run_has_no_baseline() -> None:
    assert MeanCorruptionError(baseline="alexnet").smoke() == MeanCorruptionError()
