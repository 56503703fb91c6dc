import json
import re
import subprocess
import sys

import numpy as np
import pytest
from toy_specs import CELL, compare, spec, trend, value

from invspec.analysis import claims
from invspec.analysis.intervals import wilson
from invspec.analysis.significance import Need
from invspec.plan.validation.claims import problems
from invspec.report import captions
from invspec.scoring.rows import estimated
from invspec.spec.schema import Bound

INF = float("inf")


def first(right, n=1000):
    """Outcomes of which the first `right` are true."""
    return np.arange(n) < right


def by_angle(*right):
    """Outcomes by the training rotation alone."""
    shares = dict(zip((0, 90, 180), right, strict=True))
    return lambda coords: first(shares.get(coords.get("rotations.max_degrees"), 500))


@pytest.fixture
def judge(planned, toy_store):
    def judged(outcomes, *listed, seeds=(0,)):
        plan = planned(spec(*listed, seeds=seeds))
        # some of these claims only show their numbers
        assert all("fail" in problem.message for problem in problems(plan))
        return claims.judge(plan, toy_store(plan, outcomes))

    return judged


def test_a_share_of_one_seed_is_judged_by_its_wilson_interval(judge):
    (verdict,) = judge(lambda coords: first(90, 100), value({"above": 0.5}))
    assert (verdict.value, verdict.low, verdict.high) == pytest.approx((0.9, *wilson(0.9, 100)))


@pytest.mark.parametrize(
    ("bound", "outcome"),
    [
        ({"above": 0.82}, "holds"),
        ({"above": 0.83}, "undecided"),
        ({"above": 0.95}, "fails"),
        ({"below": 0.95}, "holds"),
        ({"near": 0.88, "within": 0.1}, "holds"),
        ({"near": 0.98, "within": 0.05}, "undecided"),
        ({"near": 0.2, "within": 0.1}, "fails"),
    ],
)
def test_the_verdict_depends_on_both_ends_of_the_interval(judge, bound, outcome):
    # 90 of 100: Wilson's interval is 0.826 to 0.945
    (verdict,) = judge(lambda coords: first(90, 100), value(bound))
    assert verdict.outcome == outcome


def test_an_interval_that_touches_the_bound_does_not_hold():
    assert claims.decide(0.5, 0.6, (0.5, 1.0)) == "undecided"
    assert claims.decide(0.4, 0.5, (0.5, 1.0)) == "fails"


def test_a_claim_is_missing_until_all_its_scores_are_computed(judge):
    def outcomes(coords):
        return None if coords.get("rotations.max_degrees") == 180 else first(500)

    waiting, done = judge(outcomes, trend("falling"), value({"above": 0.1}), seeds=(0, 1))
    assert (waiting.outcome, waiting.value, waiting.missing_scores) == ("missing", None, 2)
    assert done.outcome == "holds"


def test_a_difference_on_the_same_examples_is_paired(judge):
    (verdict,) = judge(by_angle(480, 0, 500), compare({"above": 0}))
    # 20 of 1000 examples differ, all one way: standard error sqrt(0.02 * 0.98 / 1000)
    assert verdict.outcome == "holds"
    assert verdict.value == pytest.approx(0.02)
    assert verdict.high - verdict.low == pytest.approx(2 * 1.96 * 0.00443, rel=0.1)


def test_a_difference_of_numbers_without_outcomes_is_not_paired(judge):
    def outcomes(coords):
        share = by_angle(480, 0, 500)(coords).mean()
        return [estimated(float(share), *wilson(float(share), 1000), 1000)]

    (verdict,) = judge(outcomes, compare({"above": 0}))
    assert verdict.outcome == "undecided"
    assert verdict.high - verdict.low == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.25 / 1000), rel=0.1)


def test_a_ratio_divides_the_first_by_the_second(judge):
    (verdict,) = judge(by_angle(800, 0, 200), compare({"below": 0.5}, "ratio"))
    assert (verdict.value, verdict.outcome) == (pytest.approx(0.25), "holds")


def test_a_trend_follows_the_order_of_the_sweep(judge):
    falling, rising = judge(
        by_angle(900, 500, 100), trend("falling"), trend("rising"), seeds=(0, 1)
    )
    assert (falling.value, falling.outcome, rising.outcome) == (-1, "holds", "fails")


def test_a_trend_within_the_noise_is_undecided(judge):
    rng = np.random.default_rng(0)
    noise = {
        angle: rng.permutation(first(right)) for angle, right in ((0, 500), (90, 510), (180, 490))
    }
    (verdict,) = judge(
        lambda coords: noise.get(coords.get("rotations.max_degrees"), first(500)),
        trend("falling"),
        seeds=(0, 1),
    )
    assert (verdict.value, verdict.outcome) == (pytest.approx(-0.5), "undecided")


def test_trainings_that_differ_widen_the_interval_beyond_their_range(judge):
    def outcomes(coords):
        return first(800 if coords["seed"] else 600)

    (verdict,) = judge(outcomes, value({"above": 0.65}), seeds=(0, 1))
    assert (verdict.value, verdict.outcome) == (pytest.approx(0.7), "undecided")
    assert verdict.low < 0.55
    assert verdict.high > 0.85


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean", (0.9 + 0.5 + 0.1) / 3),
        ("least", 0.1),
        ("greatest", 0.9),
        # trapezoids over 0, 8/255, 0.1, divided by the width 0.1
        ("area", (0.7 * 8 / 255 + 0.3 * (0.1 - 8 / 255)) / 0.1),
    ],
)
def test_over_reduces_a_coordinate(judge, reduction, expected):
    def outcomes(coords):
        return first({0: 900, 0.1: 100}.get(coords["pgd.eps"], 500))

    at = {"rotations.max_degrees": 90}
    (verdict,) = judge(outcomes, value({"above": 0.05}, at=at, over={"pgd.eps": reduction}))
    assert verdict.value == pytest.approx(expected)


def test_a_comparison_over_a_coordinate_reduces_the_differences(judge):
    def outcomes(coords):
        gap = {0: 0, 0.1: -300}.get(coords["pgd.eps"], 100)
        return first(500 + (gap if coords.get("rotations.max_degrees") == 180 else 0))

    asked = [
        compare(bound, at={}, over={"pgd.eps": reduction})
        for reduction, bound in (("least", {"above": -1}), ("magnitude", {"below": 1}))
    ]
    assert [verdict.value for verdict in judge(outcomes, *asked)] == pytest.approx([-0.3, 0.3])


def test_several_coordinates_are_reduced_in_the_order_they_are_given(judge):
    def outcomes(coords):
        return first(
            {(0, 0): 900, (180, 0.1): 800}.get(
                (coords.get("rotations.max_degrees"), coords["pgd.eps"]), 100
            )
        )

    over = {"pgd.eps": "greatest", "rotations.max_degrees": "least"}
    at = {"defence": "rotations"}
    swapped = dict(reversed(over.items()))
    one, other = judge(
        outcomes, value({"above": 0.05}, at, over=over), value({"above": 0.05}, at, over=swapped)
    )
    assert (one.value, other.value) == (pytest.approx(0.1), pytest.approx(0.1))


def test_fractions_and_numbers_are_the_same_coordinate(judge):
    def outcomes(coords):
        return first(900 if coords["pgd.eps"] == 8 / 255 else 100)

    (verdict,) = judge(
        outcomes, value({"above": 0.8}, {"rotations.max_degrees": "9e1", "pgd.eps": "8/255"})
    )
    assert verdict.outcome == "holds"


def test_a_claim_may_pick_a_row_of_its_measure(judge):
    def outcomes(coords):
        rows = {"mean": 0.3, "median": 0.7}
        return [
            estimated(share, share - 0.1, share + 0.1, 100, statistic=name)
            for name, share in rows.items()
        ]

    at = {**CELL, "robustness.statistic": "median"}
    (verdict,) = judge(outcomes, value({"above": 0.5}, at))
    assert (verdict.value, verdict.low, verdict.outcome) == (0.7, pytest.approx(0.6), "holds")
    (waiting,) = judge(lambda coords: None, value({"above": 0.5}, at))
    assert waiting.outcome == "missing"


def test_seeds_that_measured_the_same_examples_do_not_narrow_an_interval(judge):
    def outcomes(coords):
        return [estimated(0.5, 0.4, 0.6, 100, statistic=name) for name in ("mean", "median")]

    at = {**CELL, "robustness.statistic": "median"}
    (several,) = judge(outcomes, value({"above": 0}, at), seeds=(0, 1, 2))
    assert several.high - several.low == pytest.approx(0.2, rel=0.1)


def test_a_claim_that_does_not_fit_the_rows_is_missing_and_says_why_once_they_are_computed(judge):
    def outcomes(coords):
        return [estimated(0.5, 0.4, 0.6, 100, statistic=name) for name in ("mean", "median")]

    mode, median = ({**CELL, "robustness.statistic": name} for name in ("mode", "median"))
    above = {"above": 0.3}
    several, unknown, fits = judge(
        outcomes, value(above), value(above, mode), value(above, median), seeds=(0, 1, 2)
    )
    assert [verdict.outcome for verdict in (several, unknown, fits)] == ["missing"] * 2 + ["holds"]
    assert re.match(
        r"toy.yaml:16.*several cells match, with robustness.statistic \(mean, med", several.problem
    )
    assert "no cell at robustness.statistic mode" in unknown.problem
    assert captions.reason(several) == f"not evaluated: {several.problem}"
    assert captions.missing_scores(several) == ""


def test_a_claim_whose_premise_or_alternative_does_not_fit_the_rows_says_so_too(judge):
    def outcomes(coords):
        return [estimated(0.5, 0.4, 0.6, 100, statistic=name) for name in ("mean", "median")]

    median = {**CELL, "robustness.statistic": "median"}
    fits = value({"above": 0.3}, median)
    unfit = {**value({"above": 0.3}), "says": "that"}
    for claim in ({**fits, "given": unfit}, {"says": "either", "one_of": [fits, unfit]}):
        (verdict,) = judge(outcomes, claim, seeds=(0, 1, 2))
        assert verdict.outcome == "missing"
        assert "several cells match" in verdict.problem


@pytest.mark.slow
def test_claims_and_tables_need_neither_matplotlib_nor_jinja():
    code = (
        "import sys, invspec.analysis.claims, invspec.report.build; "
        "sys.exit(bool({'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ─ scope ──────────────────────────────────────────────────────────────────────────────────────────


def rising_in_eps(coords):
    return first({0: 100, 0.1: 900}.get(coords["pgd.eps"], 500))


EPS = {"along": "pgd.eps", "at": {"rotations.max_degrees": 90}}


@pytest.mark.parametrize(
    ("claim", "seeds", "scope", "nets"),
    [
        (value({"above": 0.1}), (0,), "nets", 1),
        (compare({"above": -1}), (0,), "nets", 2),
        (trend("rising", **EPS), (0,), "nets", 1),
        (value({"above": 0.1}), (0, 1), "trainings", 1),
        (compare({"above": -1}), (0, 1), "trainings", 2),
        (trend("rising", **EPS), (0, 1, 2), "trainings", 1),
    ],
)
def test_one_seed_decides_for_the_nets_at_hand_alone(judge, claim, seeds, scope, nets):
    (verdict,) = judge(rising_in_eps, claim, seeds=seeds)
    assert (verdict.outcome, verdict.scope, verdict.nets) == ("holds", scope, nets)


@pytest.mark.parametrize("along", ["rotations.max_degrees"])
@pytest.mark.parametrize("expect", ["falling", "rising", {"correlation": {"below": -0.5}}])
def test_one_seed_never_decides_a_trend_across_nets(judge, along, expect):
    (verdict,) = judge(by_angle(900, 500, 100), trend(expect, along=along))
    assert (verdict.outcome, verdict.only_trend, verdict.p) == ("undecided", True, None)
    assert verdict.needs == Need(seeds=2)


CLOSED = """
title: Toy
seeds: [0]
datasets: {points: {use: shuffled_gaussians}}
models: {sign: {use: sign_first}, net: {use: linear}}
defences: {none: {use: untrained}, plain: {use: standard}}
attacks: {clean: {use: identity}}
measures: {accuracy: {of: clean}}
train:
  - {dataset: points, model: [sign, net], defence: none}
  - {dataset: points, model: net, defence: plain}
claims:
"""


@pytest.mark.parametrize(
    ("model", "defence", "scope"),
    [("sign", "none", "trainings"), ("net", "none", "nets"), ("net", "plain", "nets")],
)
def test_a_net_without_weights_has_no_chance_of_training(planned, toy_store, model, defence, scope):
    at = {"model": model, "defence": defence}
    claim = {"says": "it", "value": {"measure": "accuracy", "at": at}, "expect": ABOVE}
    plan = planned(CLOSED + f"  - {json.dumps(claim)}\n")
    (verdict,) = claims.judge(plan, toy_store(plan, lambda coords: first(900)))
    assert (verdict.outcome, verdict.scope) == ("holds", scope)


ABOVE = {"value": {"above": 0.5}}


# ─ many claims ────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_that_holds_alone_may_be_undecided_among_many(judge):
    # 540 of 1000 is 2.5 standard errors above 0.5
    weak = value({"above": 0.5})
    (alone,) = judge(lambda coords: first(540), weak)
    among = judge(lambda coords: first(540), *[weak] * 10)
    assert (alone.raw, alone.outcome) == ("holds", "holds")
    assert {(verdict.raw, verdict.outcome) for verdict in among} == {("holds", "undecided")}
    assert among[0].p == pytest.approx(alone.p)
    assert among[0].corrected_p == pytest.approx(10 * alone.p)
    assert claims.false_verdicts(among) == pytest.approx(0.5)


def test_missing_claims_and_trends_of_one_seed_are_not_corrected_for(judge):
    def outcomes(coords):
        return None if coords.get("rotations.max_degrees") == 180 else first(540)

    tested, *_ = judge(outcomes, value({"above": 0.5}), *[compare({"above": 0})] * 9)
    assert (tested.outcome, tested.corrected_p) == ("holds", tested.p)


def test_an_undecided_claim_says_what_would_decide_it(judge):
    (images,) = judge(lambda coords: first(520), value({"above": 0.5}))
    assert images.needs == Need(images=pytest.approx(0.25 * (1.96 / 0.02) ** 2, rel=0.1))
    (seeds,) = judge(
        lambda coords: first(600 + 100 * coords["seed"]), value({"above": 0.6}), seeds=(0, 1, 2)
    )
    assert seeds.needs.seeds > 3
    assert seeds.needs.images is None


def test_paired_seeds_decide_what_independent_ones_do_not(planned, toy_store):
    """Both nets move by 0.2 from seed to seed, and their difference by 0.01."""

    def outcomes(coords):
        gap = {0: 0, 180: 100}.get(coords.get("rotations.max_degrees"), 50)
        return first(400 + 200 * coords["seed"] + gap + 10 * coords["seed"] * (gap == 100))

    text = spec(compare({"above": 0}), seeds=(0, 1))
    paired = text.replace("seeds: [0, 1]", "seeds: {paired: [0, 1]}")
    found = {}
    for name, content in (("independent", text), ("paired", paired)):
        plan = planned(content)
        (found[name],) = claims.judge(plan, toy_store(plan, outcomes))
    widths = {name: verdict.high - verdict.low for name, verdict in found.items()}
    assert widths["paired"] < 0.5 * widths["independent"]


@pytest.mark.parametrize(
    ("low", "high", "bound", "outcome"),
    [
        (2.0, INF, (0.5, INF), "holds"),
        (INF, INF, (0.5, INF), "holds"),
        (INF, INF, (-INF, 0.5), "fails"),
        (-INF, -INF, (-INF, 0.5), "holds"),
        (-INF, INF, (0.5, INF), "undecided"),
        (-INF, INF, (-INF, 0.5), "undecided"),
        (0.2, INF, (0.5, INF), "undecided"),
        (np.nan, np.nan, (0.5, INF), "undecided"),
    ],
)
def test_an_infinite_number_is_in_a_range_without_an_end(low, high, bound, outcome):
    assert claims.decide(low, high, bound) == outcome


def test_a_number_as_far_away_as_within_says_is_within():
    (verdict, beyond) = (
        claims.decide(0.5, 0.5, Bound(near=near, within=0.1).open_range) for near in (0.4, 0.39)
    )
    assert (verdict, beyond) == ("holds", "fails")
