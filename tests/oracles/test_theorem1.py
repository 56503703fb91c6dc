"""Theorem 1 of Kamath et al.: accuracies in closed form, and a bound that one f attains."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from statistics import NormalDist

import pytest
import torch
from columns import filled
from shown import Shown, shown
from torch import Tensor, nn

from invspec.attacks.paired_coordinates import MeanShift, PairSwap
from invspec.data import Examples, Journal, Row, TensorSplit
from invspec.datasets.shuffled_gaussians import ShuffledGaussians
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.kinds import Attack
from invspec.measures.theorem1 import Theorem1
from invspec.models.mlp import MLP
from invspec.models.sign_classifier import SignClassifier
from invspec.ops.draws import PerExample, Stream

N, D = 8_000, 64
PS = [0.5, 0.6, 0.7, 0.8, 0.9]
ROUNDING = 1e-9  # of shares in float64
PHI = NormalDist().cdf


@cache
def points(p: float) -> TensorSplit:
    return ShuffledGaussians(p=p, d=D, test=N, train=4000).load("test")


def judged(net: nn.Module, clean: TensorSplit, x_adv: Tensor) -> Examples:
    """What the machinery would hand to the measure: the columns that it reads."""
    predictions = {
        "prediction": net(clean.pixels).argmax(1),
        "prediction_adv": net(x_adv).argmax(1),
    }
    linf = (x_adv - clean.pixels).flatten(1).abs().amax(1)
    return Examples(
        clean,
        filled({"index": clean.index, "y": clean.y, "linf": linf, **predictions}),
        {"x_adv": x_adv},
    )


def changed(clean: TensorSplit, attack: Attack) -> Tensor:
    """The attack's answer, which no model has a say in."""
    (batch,) = clean.batches(len(clean))
    return attack.perturb(nn.Identity(), batch, PerExample("task", batch.index)).x_adv


@cache
def changed_points(p: float) -> list[Tensor]:
    return [changed(points(p), attack) for attack in (MeanShift(), PairSwap())]


def measured(net: nn.Module, p: float) -> dict[str, Shown]:
    rows = shown(
        Theorem1().score(net, *(judged(net, points(p), x_adv) for x_adv in changed_points(p)))
    )
    return {str(row.where["quantity"]): row for row in rows}


def test_the_two_attacks_in_the_wrong_order_are_refused() -> None:
    shifted, swapped = (
        judged(SignClassifier().build((1, 1, 2 * D + 1), 2), points(0.7), x)
        for x in changed_points(0.7)
    )
    with pytest.raises(InvspecError, match="expected mean_shift as the first attack"):
        Theorem1().score(nn.Identity(), swapped, shifted)


@cache
def of_sign(over: str, negate: bool, p: float) -> dict[str, Shown]:
    model = SignClassifier.model_validate({"over": over, "negate": negate})
    return measured(model.build((1, 1, 2 * D + 1), 2), p)


@cache
def of_mlp(p: float) -> dict[str, Shown]:
    """A small net, trained as any other."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = MLP(hidden=(16,)).build((1, 1, 2 * D + 1), 2)
    recipe = Standard(epochs=3, batch_size=100, optimiser="adam", lr=0.01)
    recipe.train(
        net, ShuffledGaussians(p=p, d=D, train=4000).load("train"), Stream("key"), Journal()
    )
    return measured(net.eval().requires_grad_(False), p)


Found = Callable[[float], dict[str, Shown]]
CLASSIFIERS: dict[str, Found] = {
    f"{'negated ' if negate else ''}{over}": (
        lambda p, over=over, negate=negate: of_sign(over, negate, p)
    )
    for over in ("first", "sum_odd", "odd_minus_even")
    for negate in (False, True)
} | {"mlp": of_mlp}
every_classifier = pytest.mark.parametrize("found", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
every_p = pytest.mark.parametrize("p", PS)


def within(row: Row, expected: float, deviations: float = 4) -> bool:
    """Whether a share is within some standard errors (and one example) of the expected one."""
    return (
        abs(row.value - expected)
        <= deviations * math.sqrt(expected * (1 - expected) / row.n) + 1 / row.n
    )


@pytest.mark.parametrize(
    ("over", "accuracy"),
    [("sum_odd", PHI(3)), ("odd_minus_even", PHI(6 / math.sqrt(2))), ("first", 0.7)],
)
def test_clean_accuracies_have_a_closed_form(over: str, accuracy: float) -> None:
    assert within(of_sign(over, False, 0.7)["accuracy"], accuracy)


@pytest.mark.parametrize("over", ["sum_odd", "odd_minus_even"])
def test_the_shift_turns_accuracy_into_error_and_the_swap_leaves_a_coin(over: str) -> None:
    found = of_sign(over, False, 0.7)
    assert within(found["shifted_accuracy"], 1 - PHI(3 if over == "sum_odd" else 6 / math.sqrt(2)))
    assert within(found["swapped_accuracy"], 0.5)


def test_the_accuracy_of_sum_odd_is_0_99865_to_three_decimals() -> None:
    data = ShuffledGaussians(d=8, test=200_000).load("test")
    (batch,) = data.batches(200_000)
    right = SignClassifier(over="sum_odd").build((1, 1, 17), 2)(batch.x).argmax(1) == batch.y
    assert right.double().mean().item() == pytest.approx(0.99865, abs=4e-4)  # five standard errors


@every_p
def test_sign_first_attains_the_bound(p: float) -> None:
    found = of_sign("first", False, p)
    shares = [
        found[name].value for name in ("p", "accuracy", "shifted_accuracy", "swapped_accuracy")
    ]
    assert len(set(shares)) == 1
    assert within(found["p"], p)
    assert abs(found["slack"].value) < ROUNDING
    assert found["slack"].high - found["slack"].low < ROUNDING


@every_classifier
@every_p
def test_every_classifier_obeys_the_theorem_up_to_sampling_error(found: Found, p: float) -> None:
    rows = found(p)
    for name in ("error_slack", "slack", "lesser_slack"):
        half = rows[name].high - rows[name].value
        assert rows[name].value >= -2 * half - ROUNDING  # four standard errors
    assert rows["slack"].value == pytest.approx(rows["bound"].value - rows["left"].value)


@every_classifier
def test_the_swap_is_as_hard_as_no_shift_and_shift_on_average(found: Found) -> None:
    gap = found(0.7)["swap_gap"]
    assert abs(gap.value) <= 2 * (gap.high - gap.value) + ROUNDING  # four standard errors


def test_a_trained_net_learns_more_than_the_first_coordinate() -> None:
    assert of_mlp(0.7)["accuracy"].value > 0.9


def test_the_interval_of_the_slack_covers_its_truth_as_often_as_it_says() -> None:
    net = SignClassifier(over="odd_minus_even", negate=True).build((1, 1, 5), 2)
    p, b = 0.7, PHI(6 / math.sqrt(2))
    truth = p / (2 * (1 - p)) - 0.5 - (2 * p - 1) / (2 * (1 - p)) * b
    covered = 0
    for seed in range(100):
        clean = ShuffledGaussians(p=p, d=2, test=100, seed=seed).load("test")
        clean = replace(
            clean, index=torch.arange(100 * seed, 100 * (seed + 1))
        )  # an example's coin goes by its index
        examples = [
            judged(net, clean, changed(clean, attack)) for attack in (MeanShift(), PairSwap())
        ]
        (slack,) = (
            row
            for row in shown(Theorem1().score(net, *examples))
            if row.where["quantity"] == "slack"
        )
        covered += slack.low <= truth <= slack.high
    assert 88 <= covered <= 99  # 95 are expected, give or take 2.2


def test_what_breaks_the_bound_is_said_to() -> None:
    clean = points(0.7)
    y = clean.labels()
    right = {"prediction": y, "prediction_adv": y}  # after both changes
    examples = Examples(
        clean,
        filled({"index": clean.index, "y": y, "linf": torch.ones(len(y)), **right}),
        {"x_adv": Tensor()},
    )
    rows = {
        row.where["quantity"]: row.value
        for row in shown(Theorem1().score(nn.Identity(), examples, examples))
    }
    assert rows["holds"] == 0
    assert rows["slack"] == pytest.approx(
        -0.5, abs=0.03
    )  # p / (2 (1 - p)) - 1 - (2p - 1) / (2 (1 - p))


def test_both_changes_are_of_the_same_examples() -> None:
    net = SignClassifier(over="first").build((1, 1, 2 * D + 1), 2)
    whole, few = points(0.7), points(0.7).head(9)
    with pytest.raises(InvspecError, match="expected both attacks on the same examples"):
        Theorem1().score(net, judged(net, whole, whole.pixels), judged(net, few, few.pixels))
    one = judged(net, whole, whole.pixels)
    turned = replace(one, settings={"before": {"class": "attack:PairSwap"}})
    with pytest.raises(InvspecError, match="expected both attacks on the same examples"):
        Theorem1().score(net, one, turned)


@pytest.mark.parametrize("d", [1, 16, 400])
def test_the_shift_has_the_length_that_the_paper_states(d: int) -> None:
    clean = ShuffledGaussians(d=d, test=20).load("test")
    net = SignClassifier(over="first").build((1, 1, 2 * d + 1), 2)
    shifted, swapped = (
        judged(net, clean, changed(clean, attack)) for attack in (MeanShift(), PairSwap())
    )
    rows = {
        row.where["quantity"]: row.value for row in shown(Theorem1().score(net, shifted, swapped))
    }
    assert rows["shift_length_stated"] == pytest.approx(6 / math.sqrt(d))
    assert rows["shift_length"] == pytest.approx(6 / math.sqrt(d), rel=1e-4)  # float32 images


@pytest.mark.parametrize("count", [1, N])
def test_a_shift_of_another_length_is_reported_if_one_example_has_it(count: int) -> None:
    clean = points(0.7)
    net = SignClassifier(over="first").build((1, 1, 2 * D + 1), 2)
    x_adv = changed_points(0.7)[0].clone()
    x_adv[:count] = (0.5 * (x_adv + clean.pixels))[:count]
    short = judged(net, clean, x_adv)
    rows = {
        row.where["quantity"]: row.value
        for row in shown(Theorem1().score(net, short, judged(net, clean, changed_points(0.7)[1])))
    }
    assert rows["shift_length"] == pytest.approx(0.5 * rows["shift_length_stated"], rel=1e-4)
