"""What a verdict speaks of, wherever its trend stands in a claim."""

from __future__ import annotations

import numpy as np
import pytest
from toy_specs import trade_off
from workbench import train

from invspec.analysis import claims, scopes
from invspec.models.mlp import MLP
from invspec.plan import planner
from invspec.registry.cards import shipped
from invspec.report import captions
from invspec.spec import overlay
from invspec.tasks import without_seed

AT = {"model": "linear", "defence": "rotations"}
PLAIN = {"model": "linear", "defence": "plain"}
ANY = {"above": -9}

# 0.9, 0.5 and 0.4 along the swept radius, and likewise along the swept training rotation
BY_EPS = {0: 900, 0.1: 500, 0.2: 400}
BY_ANGLE = {0: 0, 180: -300}


def outcomes(coords):
    right = BY_EPS.get(coords.get("pgd.eps"), 600)
    right += BY_ANGLE.get(coords.get("rotations.max_degrees"), 0)
    return np.arange(1000) < right


@pytest.fixture
def judge(planned, toy_store):
    def judged(*listed, seeds=(0,)):
        plan = planned(trade_off(*listed).replace("seeds: [0]", f"seeds: {list(seeds)}"))
        return claims.judge(plan, toy_store(plan, outcomes))

    return judged


def number(operation, bound=ANY, **claim):
    return {"value": operation, "expect": {"value": bound}, **claim}


def robustness(**at):
    return {"measure": "robustness", "at": at}


def ranks(along, **at):
    return {"correlation": robustness(**at), "along": along}


ANGLES = ranks("rotations.max_degrees", **AT, **{"pgd.eps": 0.1})
STEPS = {"least_step": ANGLES["correlation"], "along": ANGLES["along"]}
EPS = ranks("pgd.eps", **PLAIN)
NETS = {
    "correlation": [robustness(**{"pgd.eps": 0}), robustness(**{"pgd.eps": 0.1})],
    "across": ["model", "defence"],
}
PARETO = {"dominance": NETS["correlation"], "across": ["defence"], "at": {"model": "linear"}}


@pytest.mark.parametrize(
    "operation",
    [
        ANGLES,
        STEPS,
        NETS,
        {"difference": [0, PARETO]},
        {"difference": [ANGLES, 0.5]},
        {"difference": [EPS, ANGLES]},
        {"sum": [EPS, {"ratio": [STEPS, 2]}]},
        {"least": [NETS, EPS]},
        {"greatest": [{"difference": [0, PARETO]}, EPS]},
    ],
)
def test_one_seed_never_decides_what_rests_on_an_order_of_nets(judge, operation):
    (single,) = judge(number(operation))
    assert (single.outcome, single.only_trend, single.p) == ("undecided", True, None)
    (several,) = judge(number(operation), seeds=(0, 1))
    assert (several.outcome, several.only_trend, several.scope) == ("holds", False, "trainings")


@pytest.mark.parametrize(
    "operation",
    [
        EPS,
        {"difference": [EPS, ranks("pgd.eps", model="lenet", defence="plain")]},
        {"difference": [robustness(**PLAIN, **{"pgd.eps": 0}), EPS]},
        {"least_step": robustness(**PLAIN), "along": "pgd.eps"},
    ],
)
def test_a_trend_along_a_field_of_an_attack_holds_for_the_nets_at_hand(judge, operation):
    (verdict,) = judge(number(operation))
    assert (verdict.outcome, verdict.scope, verdict.only_trend) == ("holds", "nets", False)
    words = "holds for this net" if verdict.nets == 1 else "holds for these nets"
    assert captions.outcome(verdict) == words


def test_a_trend_across_published_nets_is_decided_for_these_nets(toy_store):
    plan = planner.plan(overlay.load(shipped("specs") / "tramer_human_labels.yaml"))
    better = {"standard": 100, "provable_01": 300, "pgd_trained": 500, "provable_03": 700}

    def right(coords):
        if coords.get("pgd.eps") == 0:
            # the premise: every net is accurate on clean images
            return np.ones(1000, dtype=bool)
        share = better[coords["defence"]]
        return np.arange(1000) < (share if coords["measure"] == "robust_accuracy" else 1000 - share)

    *_, verdict = claims.judge(plan, toy_store(plan, right))
    assert verdict.statistic == "correlation"
    assert (verdict.outcome, verdict.scope, verdict.only_trend) == ("holds", "nets", False)


def test_a_premise_on_a_trend_of_single_nets_is_undecided(judge):
    (verdict,) = judge(number(EPS, given=[number(ANGLES)]))
    assert verdict.outcome == "not testable"
    assert verdict.premises[0].only_trend


def test_premises_decide_on_their_own_interval_whatever_the_number_of_claims(planned, toy_store):
    """540 of 1000 is 2.5 standard errors above 0.5: too few among many claims."""
    accurate = {"measure": "accuracy", "at": PLAIN}
    weak = number(accurate, {"above": 0.5})
    sure = number(accurate, {"above": 0.3}, given=[weak])
    plan = planned(trade_off(*[weak] * 10, sure))
    *alone, verdict = claims.judge(plan, toy_store(plan, lambda coords: np.arange(1000) < 540))
    assert {one.outcome for one in alone} == {"undecided"}
    assert (verdict.outcome, verdict.premises[0].outcome) == ("holds", "holds")


def test_nets_that_differ_only_in_their_feature_net_have_names_of_their_own() -> None:
    own, first, other = (
        train(features=net) for net in (None, train(seed=5), train(seed=5, model=MLP(hidden=(4,))))
    )
    assert len({scopes.net_name(net) for net in (own, first, other)}) == 3
    assert scopes.net_name(first) == scopes.net_name(train(seed=1, features=train(seed=6)))


def test_a_net_of_several_seeds_is_one_whatever_the_seed_of_its_feature_net() -> None:
    nets = {without_seed(train(seed=seed, features=train(seed=seed))) for seed in range(3)}
    assert len(nets) == 1
