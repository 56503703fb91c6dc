"""The statistics of claims: what each word computes, and what stays paired."""

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from toy_specs import spec, trade_off

from invspec.analysis import claims
from invspec.analysis.estimates import Estimate
from invspec.analysis.quantities import dominance
from invspec.plan.validation.claims import problems
from invspec.scoring.rows import estimated

AT = {"model": "linear", "defence": "plain"}
# a range that no number fails: these claims only show their numbers
WIDE = {"above": -9, "below": 9}


def first(right, n=1000):
    """Outcomes of which the first `right` are true."""
    return np.arange(n) < right


@pytest.fixture
def judge(planned, toy_store):
    def judged(shares, *listed):
        """Verdicts on claims; shares(coords) are the shares of true outcomes."""
        plan = planned(trade_off(*listed))
        assert all("cannot fail" in problem.message for problem in problems(plan))
        return claims.judge(plan, toy_store(plan, lambda c: first(round(1000 * shares(c)))))

    return judged


def number(operation, bound=WIDE):
    return {"value": operation, "expect": {"value": bound}}


def robustness(eps, **at):
    return {"measure": "robustness", "at": {**AT, "pgd.eps": eps, **at}}


def by_eps(coords):
    """0.9, 0.6 and 0.4 at eps 0, 0.1 and 0.2; 0.5 for measures without an eps."""
    return {0: 0.9, 0.1: 0.6, 0.2: 0.4}.get(coords.get("pgd.eps"), 0.5)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"difference": [robustness(0), robustness(0.1)]}, 0.3),
        ({"difference": [robustness(0.1), 0.25]}, 0.35),
        ({"difference": [1, robustness(0.1)]}, 0.4),
        ({"ratio": [robustness(0.1), robustness(0)]}, 0.6 / 0.9),
        ({"ratio": [robustness(0.1), 2]}, 0.3),
        ({"ratio": [2, robustness(0.2)]}, 5),
        ({"sum": [robustness(0), robustness(0.1), robustness(0.2)]}, 1.9),
        ({"sum": [robustness(0), -1]}, -0.1),
        ({"sum": [{"ratio": [robustness(0), 2]}, {"ratio": [robustness(0.2), 2]}]}, 0.65),
        ({"least": [robustness(0), robustness(0.2), 0.5]}, 0.4),
        ({"least": [robustness(0), robustness(0.1), 0.5]}, 0.5),
        ({"greatest": [robustness(0), robustness(0.2)]}, 0.9),
        ({"greatest": [robustness(0.2), 0.7, robustness(0.1)]}, 0.7),
        # half of the loss is between eps 0 and 0.1
        (
            {
                "ratio": [
                    {"difference": [robustness(0), robustness(0.1)]},
                    {"difference": [robustness(0), robustness(0.2)]},
                ]
            },
            0.6,
        ),
        (
            {
                "difference": [
                    {"difference": [robustness(0), robustness(0.1)]},
                    {"difference": [robustness(0.1), robustness(0.2)]},
                ]
            },
            0.1,
        ),
    ],
)
def test_operations_on_numbers_at_one_point(judge, operation, expected):
    (verdict,) = judge(by_eps, number(operation))
    assert verdict.value == pytest.approx(expected)
    assert verdict.low <= verdict.value <= verdict.high


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ("mean", 1.9 / 3),
        ("median", 0.6),
        ({"quantile": 0.5}, 0.6),
        ({"quantile": 0.25}, 0.5),
        ({"quantile": 0.9}, 0.84),
        ("magnitude", 0.9),
    ],
)
def test_reductions_of_a_pick(judge, over, expected):
    (verdict,) = judge(
        by_eps, number({"measure": "robustness", "at": AT, "over": {"pgd.eps": over}})
    )
    assert verdict.value == pytest.approx(expected)


def test_two_measures_meet_at_every_value_of_a_coordinate_that_both_have(judge):
    def shares(coords):
        angle = coords.get("rotation.max_degrees", 0)
        return {"rotated": 0.9 - angle / 400, "invariance": 0.95 - angle / 360}.get(
            coords["measure"], 0.5
        )

    parts = [{"measure": "rotated"}, {"measure": "invariance"}]
    reduced = [
        number({"difference": parts, "at": AT, "over": {"rotation.max_degrees": reduction}})
        for reduction in ("least", "greatest", "magnitude")
    ]
    least, greatest, magnitude = judge(shares, *reduced)
    assert least.value == pytest.approx(0.9 - 0.95)
    assert greatest.value == pytest.approx(0)
    assert magnitude.value == pytest.approx(0.05)
    assert [v.statistic for v in (least, greatest, magnitude)] == ["difference"] * 3


def test_a_part_that_lacks_a_coordinate_or_fixes_it_is_constant_along_it(judge):
    def difference(other):
        parts = [{"measure": "robustness"}, other]
        return number({"difference": parts, "at": AT, "over": {"pgd.eps": "least"}})

    lacking, fixing, reducing = judge(
        by_eps,
        difference({"measure": "accuracy"}),
        difference({"measure": "robustness", "at": {"pgd.eps": 0}}),
        difference({"measure": "robustness", "over": {"pgd.eps": "mean"}}),
    )
    assert lacking.value == pytest.approx(0.4 - 0.5)
    assert fixing.value == pytest.approx(0.4 - 0.9)
    assert reducing.value == pytest.approx(0.4 - 1.9 / 3, abs=1e-6)


def test_a_renamed_coordinate_meets_that_of_another_attack(judge):
    def shares(coords):
        return by_eps(coords) if coords["measure"] != "weaker" else 0.9

    parts = [
        {"measure": "robustness", "as": {"pgd.eps": "eps"}},
        {"measure": "weaker", "as": {"other.eps": "eps"}},
    ]
    (verdict,) = judge(shares, number({"difference": parts, "at": AT, "over": {"eps": "least"}}))
    assert verdict.value == pytest.approx(0.4 - 0.9)


# ─ steps and correlations ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("expect", "value", "outcome"),
    [
        ({"falling": {"every_step": True}}, -0.2, "holds"),
        ({"falling": {"every_step": {"below": 0.01}}}, -0.2, "holds"),
        ({"falling": {"every_step": {"below": -0.25}}}, -0.2, "fails"),
        ({"falling": {"every_step": False}}, -1, "holds"),
        ({"rising": {"every_step": True}}, -0.3, "fails"),
        ({"rising": {"every_step": {"above": -0.5}}}, -0.3, "holds"),
    ],
)
def test_every_step_is_judged_by_the_least_or_greatest_of_them(judge, expect, value, outcome):
    trend = {"measure": "robustness", "at": AT, "along": "pgd.eps"}
    (verdict,) = judge(by_eps, {"trend": trend, "expect": expect})
    assert (verdict.value, verdict.outcome) == (pytest.approx(value), outcome)


def test_steps_follow_the_order_of_the_coordinate_not_of_the_spec(planned, toy_store):
    text = trade_off(
        number({"least_step": {"measure": "robustness", "at": AT}, "along": "pgd.eps"})
    ).replace("pgd: {eps: {sweep: [0, 0.1, 0.2]}}", "pgd: {eps: {sweep: [0.2, 0, 0.1]}}")
    plan = planned(text)
    store = toy_store(plan, lambda coords: first(round(1000 * by_eps(coords))))
    (verdict,) = claims.judge(plan, store)
    assert verdict.value == pytest.approx(-0.3)


def test_a_profile_may_rise_on_the_whole_and_fall_at_a_step(judge):
    def shares(coords):
        return {0: 0.2, 0.1: 0.8, 0.2: 0.7}.get(coords.get("pgd.eps"), 0.5)

    trend = {"measure": "robustness", "at": AT, "along": "pgd.eps"}
    whole, every = judge(
        shares,
        {"trend": trend, "expect": {"correlation": {"above": 0.4}}},
        {"trend": trend, "expect": {"rising": {"every_step": True}}},
    )
    assert (whole.outcome, every.outcome) == ("holds", "fails")
    assert every.statistic == "least_step"


def test_a_correlation_along_a_coordinate_is_that_of_a_trend(judge):
    pick = {"measure": "robustness", "at": AT}
    nested, short = judge(
        by_eps,
        number({"correlation": pick, "along": "pgd.eps"}),
        {"trend": {**pick, "along": "pgd.eps"}, "expect": "falling"},
    )
    assert (nested.value, nested.low, nested.high) == (short.value, short.low, short.high)


NETS = [(model, degrees) for model in ("linear", "lenet") for degrees in (0, 180, None)]
INVARIANCE = dict(zip(NETS, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7), strict=True))


def of_nets(robust):
    """Shares of nets, by measure; robust are those of robustness."""
    robustness = dict(zip(NETS, robust, strict=True))

    def shares(coords):
        net = coords["model"], coords.get("rotations.max_degrees")
        return (INVARIANCE if coords["measure"] == "invariance" else robustness)[net]

    return shares


def across(word, kinds=("model", "defence"), bound=WIDE):
    parts = [
        {"measure": "invariance", "at": {"rotation.max_degrees": 180}},
        {"measure": "robustness", "over": {"pgd.eps": "area"}},
    ]
    return number({word: parts, "across": list(kinds)}, bound)


@pytest.mark.parametrize(
    ("robust", "expected"),
    [
        ((0.7, 0.6, 0.5, 0.4, 0.3, 0.2), -1),
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 1),
        ((0.5,) * 6, 0),
        # ranks 1 2 3 4 6 5
        ((0.1, 0.2, 0.3, 0.4, 0.6, 0.5), 1 - 6 * 2 / (6 * 35)),
    ],
)
def test_two_measures_are_correlated_across_nets(judge, robust, expected):
    (verdict,) = judge(of_nets(robust), across("correlation"))
    assert verdict.value == pytest.approx(expected)


def test_across_one_kind_of_label_includes_its_swept_fields(judge):
    claim = across("correlation", ["defence"])
    claim["value"]["at"] = {"model": "linear"}
    (verdict,) = judge(of_nets((0.7, 0.6, 0.65, 0, 0, 0)), claim)
    # three nets: ranks 1 2 3 against 3 1 2
    assert verdict.value == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("robust", "expected"),
    [
        # each net gains 0.1 of one and loses 0.1 of the other against its neighbour
        ((0.7, 0.6, 0.5, 0.4, 0.3, 0.2), -0.1),
        # the last exceeds the first by 0.5 in both
        ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 0.5),
        # equal in one
        ((0.5,) * 6, 0),
        # the last exceeds the fifth by 0.1 in one and 0.05 in the other
        ((0.8, 0.7, 0.6, 0.5, 0.3, 0.35), 0.05),
    ],
)
def test_dominance_is_the_margin_by_which_one_net_is_better_in_both(judge, robust, expected):
    (verdict,) = judge(of_nets(robust), across("dominance"))
    assert verdict.value == pytest.approx(expected)
    assert verdict.statistic == "dominance"


@given(arrays.arrays(float, (3, 4), elements=st.floats(0, 1)))
def test_dominance_is_zero_exactly_where_no_point_is_better_in_all(values):
    columns = [[Estimate(value, np.full(2, value)) for value in column] for column in values]
    better = any(
        (values[:, one] > values[:, other]).all() for one, other in permutations(range(4), 2)
    )
    assert (dominance(columns).point > 0) == better


# ─ pairing ────────────────────────────────────────────────────────────────────────────────────────


def test_measures_of_the_same_examples_are_paired(judge):
    def shares(coords):
        return 0.52 if coords["measure"] == "rotated" else 0.5

    parts = [{"measure": "rotated"}, {"measure": "invariance"}]
    at = {**AT, "rotation.max_degrees": 90}
    (verdict,) = judge(shares, number({"difference": parts, "at": at}, {"above": 0}))
    # 20 of 1000 examples differ, all one way
    assert verdict.high - verdict.low == pytest.approx(2 * 1.96 * 0.00443, rel=0.1)
    assert verdict.outcome == "holds"


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=3, max_size=3))
def test_a_difference_of_differences_is_their_arithmetic(counts):
    """On every replicate, not only at the point."""
    from conftest import ToyStore, planned_from  # fixtures cannot be used with given

    def outcomes(coords):
        return first(
            dict(zip((0, 0.1, 0.2), counts, strict=True)).get(coords.get("pgd.eps"), 20), 40
        )

    gaps = [{"difference": [robustness(0), robustness(eps)]} for eps in (0.1, 0.2)]
    plan = planned_from(
        trade_off(
            number({"difference": gaps}), number({"difference": [robustness(0.2), robustness(0.1)]})
        )
    )
    nested, direct = claims.judge(plan, ToyStore(plan, outcomes))
    assert (nested.value, nested.low, nested.high) == pytest.approx(
        (direct.value, direct.low, direct.high), abs=1e-6
    )


def test_short_forms_are_the_nested_ones(judge):
    place = {"pgd.eps": 0.1, "model": "linear"}
    sides = [{"defence": "rotations", "rotations.max_degrees": 180}, {"defence": "plain"}]
    short = {"measure": "robustness", "at": place, "of": sides[0], "to": sides[1]}
    nested = [{"measure": "robustness", "at": {**place, **side}} for side in sides]

    def shares(coords):
        return 0.3 + 0.001 * coords.get("rotations.max_degrees", 50)

    one, two, three, four = judge(
        shares,
        {"compare": short, "expect": {"difference": WIDE}},
        number({"difference": nested}),
        {"compare": short, "expect": {"ratio": WIDE}},
        number({"ratio": nested}),
    )
    assert (one.value, one.low, one.high) == (two.value, two.low, two.high)
    assert (three.value, three.low, three.high) == (four.value, four.low, four.high)


def test_a_ratio_of_nothing_to_nothing_is_never_decided(judge):
    parts = [robustness(0), robustness(0.1)]
    (verdict,) = judge(lambda coords: 0, number({"ratio": parts}, {"below": 0.5}))
    assert np.isnan(verdict.value)
    assert verdict.outcome == "undecided"


def test_a_nested_claim_is_missing_until_all_its_scores_are_computed(planned, toy_store):
    plan = planned(trade_off(number({"difference": [robustness(0), robustness(0.2)]})))

    def outcomes(coords):
        return None if coords.get("pgd.eps") == 0.2 else first(500)

    (verdict,) = claims.judge(plan, toy_store(plan, outcomes))
    assert (verdict.outcome, verdict.missing_scores) == ("missing", 1)


def test_the_mean_over_a_swept_field_averages_its_scores(planned, toy_store):
    pick = {
        "measure": "robustness",
        "at": {"defence": "plain", "pgd.eps": 0.1},
        "over": {"pgd.restarts": "mean"},
    }
    text = spec({"says": "it", **number(pick)})
    plan = planned(text.replace("pgd: {eps:", "pgd: {restarts: {sweep: [1, 2]}, eps:"))
    store = toy_store(plan, lambda coords: first(400 * coords["pgd.restarts"]))
    (verdict,) = claims.judge(plan, store)
    assert verdict.value == pytest.approx(0.6)


def test_rows_of_a_measure_can_be_parts(planned, toy_store):
    """Their coordinates are unknown until they are computed."""
    rows = [
        {"measure": "robustness", "at": {**AT, "pgd.eps": 0, "robustness.part": part}}
        for part in ("a", "b")
    ]
    plan = planned(trade_off(number({"difference": rows})))
    assert all("cannot fail" in problem.message for problem in problems(plan))

    def outcomes(coords):
        if coords["measure"] != "robustness":
            return first(500)
        return [
            estimated(value, value - 0.1, value + 0.1, 100, part=part)
            for part, value in (("a", 0.7), ("b", 0.4))
        ]

    (waiting,) = claims.judge(plan, toy_store(plan, lambda coords: None))
    (verdict,) = claims.judge(plan, toy_store(plan, outcomes))
    assert (waiting.outcome, verdict.value) == ("missing", pytest.approx(0.3))
    wrong = planned(trade_off(number({"difference": [rows[0], robustness(0)]})))
    (unfit,) = claims.judge(wrong, toy_store(wrong, outcomes))
    assert re.search(r"value\.difference\.1: ambiguous.*robustness\.part", unfit.problem)


# ─ premises and alternatives ──────────────────────────────────────────────────────────────────────


def accurate(bound):
    return {
        "value": {"measure": "accuracy", "at": AT},
        "expect": {"value": bound},
    }


@pytest.mark.parametrize(
    ("premises", "outcome"),
    [
        (accurate({"above": 0.4}), "holds"),
        ([accurate({"above": 0.4}), accurate({"below": 0.6})], "holds"),
        (accurate({"above": 0.6}), "not testable"),
        ([accurate({"above": 0.4}), accurate({"above": 0.6})], "not testable"),
        # undecided: 0.5 is within its interval
        (accurate({"above": 0.5}), "not testable"),
    ],
)
def test_a_claim_is_tested_only_if_its_premises_hold(judge, premises, outcome):
    claim = number(robustness(0.1), {"above": 0.5}) | {"given": premises}
    (verdict,) = judge(by_eps, claim)
    assert verdict.outcome == outcome
    assert verdict.value == pytest.approx(0.6)


def test_a_missing_premise_makes_a_claim_missing_unless_another_fails(planned, toy_store):
    claim = number(robustness(0.1), {"above": 0.5})
    plan = planned(
        trade_off(
            claim | {"given": accurate({"above": 0.1})},
            claim | {"given": [accurate({"above": 0.1}), number(robustness(0), {"above": 0.9})]},
        )
    )

    def outcomes(coords):
        return None if coords["measure"] == "accuracy" else first(600)

    missing, failed = claims.judge(plan, toy_store(plan, outcomes))
    assert (missing.outcome, missing.missing_scores) == ("missing", 1)
    assert failed.outcome == "not testable"


def one_of(*bounds, **claim):
    alternatives = [
        {"says": name, "expect": {"value": bound}}
        for name, bound in zip("abc", bounds, strict=False)
    ]
    return {"one_of": alternatives, "value": robustness(0.1), **claim}


@pytest.mark.parametrize(
    ("bounds", "outcome", "expected"),
    [
        (({"above": 0.7}, {"below": 0.65}), "holds", (-np.inf, 0.65)),
        (({"above": 0.55}, {"below": 0.3}), "holds", (0.55, np.inf)),
        (({"above": 0.7}, {"below": 0.3}), "fails", (0.7, np.inf)),
        (({"above": 0.7}, {"above": 0.6, "below": 0.65}, {"below": 0.3}), "undecided", (0.6, 0.65)),
    ],
)
def test_the_only_alternative_that_holds_is_the_verdict(judge, bounds, outcome, expected):
    (verdict,) = judge(by_eps, one_of(*bounds))
    assert (verdict.outcome, verdict.bound) == (outcome, expected)
    assert verdict.claim.says == "it"
    assert len(verdict.alternatives) == len(bounds)


def test_alternatives_with_numbers_of_their_own_are_undecided_if_several_hold(judge):
    first_, second = (
        {"says": name, "value": robustness(eps), "expect": {"value": {"above": 0.5}}}
        for name, eps in (("a", 0), ("b", 0.1))
    )
    third = {"says": "c", "value": robustness(0.2), "expect": {"value": {"above": 0.5}}}
    both, one = judge(by_eps, {"one_of": [first_, second]}, {"one_of": [third, second]})
    assert (both.outcome, one.outcome) == ("undecided", "holds")
    assert one.value == pytest.approx(0.6)
