"""The area under profiles whose examples fall one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from columns import filled
from shown import index, outcomes, shown
from torch import nn

from invspec.analysis.estimates import area
from invspec.analysis.resampling import Resampler
from invspec.attacks.pgd import PGD
from invspec.data import Examples, Scored, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Attack
from invspec.measures.area_under_profile import AreaUnderProfile
from invspec.registry.fields import AttackField
from invspec.registry.methods import make

PREDICTION, Y = [0, 0, 0, 1], [0, 0, 0, 0]  # the last one is wrong from the start
NEVER = 9.0
FALLS_AT = [NEVER, 0.1, 0.3, 0.3]


def after(eps: float, settings: dict[str, Any]) -> Examples:
    """Predictions that have changed from eps = FALLS_AT on; the wrong one becomes right."""
    fallen = [
        1 - label if eps >= at else label for label, at in zip(PREDICTION, FALLS_AT, strict=True)
    ]
    judged = {"index": [5, 6, 7, 8], "y": Y, "prediction": PREDICTION, "prediction_adv": fallen}
    split = TensorSplit(torch.zeros(4, 1, 1, 1), torch.tensor(Y))
    return Examples(
        split, filled({name: torch.tensor(column) for name, column in judged.items()}), {}, settings
    )


def sweep(values: Sequence[float] = (0.0, 0.1, 0.3)) -> list[Examples]:
    return [after(eps, {"eps": eps, "norm": "linf", "steps": 40}) for eps in values]


def score(of: Sequence[Examples], **fields: Any) -> Scored:
    return AreaUnderProfile(**fields).score(nn.Identity(), *of)


def test_each_example_has_the_area_below_its_own_step() -> None:
    """Between 0, 0.1 and 0.3: 1, a fall within the first third, and two falls within the rest."""
    found = score(sweep())
    torch.testing.assert_close(outcomes(found), torch.tensor([1, 0.5 / 3, 2 / 3, 2 / 3]))
    assert index(found).tolist() == [5, 6, 7, 8]
    assert shown(found)[0].value == pytest.approx(2.5 / 4)
    assert shown(found)[0].low < 2.5 / 4 < shown(found)[0].high


def test_robust_accuracy_compares_with_the_true_label() -> None:
    torch.testing.assert_close(
        outcomes(score(sweep(), share="robust_accuracy")),
        torch.tensor([1, 0.5 / 3, 2 / 3, 1 / 3]),
    )


def test_it_is_the_area_under_the_profile_of_the_means() -> None:
    of = sweep((0.0, 0.05, 0.1, 0.2, 0.3))
    kept = [(one.judged.prediction_adv == one.judged.prediction).float() for one in of]
    profile = [Resampler(8).means([each], [of[0].judged.index]) for each in kept]
    expected = area(profile, [0.0, 0.05, 0.1, 0.2, 0.3])
    assert shown(score(of))[0].value == pytest.approx(expected.point)


class Nested(Attack):
    """An attack that holds another."""

    attack: AttackField = PGD()

    def perturb(self, model: Any, batch: Any, rng: Any) -> Any:
        raise NotImplementedError


def test_a_nested_setting_is_found_and_can_be_named() -> None:
    held = [Nested(attack=PGD(eps=eps)) for eps in (0.1, 0.3)]
    as_methods = [after(one.attack.eps, {"attack": one.attack, "draw": 0}) for one in held]
    as_plain = [after(one.attack.eps, one.identity["fields"]) for one in held]
    for of in (as_methods, as_plain):
        assert shown(score(of))[0].value == shown(score(of, along="attack.eps"))[0].value == 0.5


def test_where_two_settings_differ_one_can_be_named() -> None:
    of = [after(eps, {"eps": eps, "step_size": eps / 10}) for eps in (0.0, 0.1, 0.3)]
    with pytest.raises(InvspecError, match="found eps and step_size"):
        score(of)
    assert shown(score(of, along="eps")) == shown(score(sweep()))


@pytest.mark.parametrize(
    ("of", "fields", "message"),
    [
        (sweep((0.1,)), {}, "at least two values, found one"),
        (sweep((0.1, 0.1)), {}, "found none"),
        (sweep((0.3, 0.1)), {}, "expected rising values of eps, found 0.3, 0.1"),
        (sweep(), {"along": "norm"}, "expected rising values of norm, found linf, linf, linf"),
        (sweep(), {"along": "epps"}, "(?s)no setting 'epps'.*did you mean eps"),
        (
            [after(0.1, {"norm": norm}) for norm in ("l2", "linf")],
            {},
            "expected rising values of norm, found l2, linf",
        ),
        (
            [after(0.1, {"random_start": flag}) for flag in (False, True)],
            {},
            "expected rising values of random_start, found False, True",
        ),
    ],
    ids=str,
)
def test_sweeps_that_are_not_profiles_are_refused(
    of: list[Examples], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvspecError, match=message):
        score(of, **fields)


def test_it_takes_a_whole_sweep() -> None:
    assert make("measure", "area_under_profile", {}) == AreaUnderProfile()
    assert AreaUnderProfile.takes_sweep
