"""Numbers of nets and attacks that fail a check: which are in doubt, and by how much."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ToyStore, planned_from

from invspec.analysis import claims, hulls, readings
from invspec.analysis.claims import Verdict
from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.health import Health, health
from invspec.data import Finding, Interval
from invspec.plan.cells import Examination, Plan
from invspec.scoring.rows import mean, quantile

# finite is about a net and doubts everything; unbounded doubts attacks on a net; gradient is about
# an attack; converged warns
SPEC = """
title: Toy
seeds: SEEDS
datasets: {digits: {}}
models: {linear: {}, mlp: {}}
defences: {plain: {use: standard}}
attacks:
  none: {use: identity}
  pgd: {eps: {sweep: [0, 0.1, 0.2, 0.3]}}
  square: {eps: 0.2}
measures:
  clean: {use: accuracy, of: none}
  robust: {use: robust_accuracy, of: pgd}
  invariant: {use: rate_of_invariance, of: pgd}
  fooled: {use: fooling_rate, of: pgd}
  before: {use: accuracy, of: pgd, clean: true}
  black: {use: robust_accuracy, of: square}
  path: {use: brittleness, of: pgd}
train:
  - {dataset: digits, model: [linear, mlp], defence: plain}
checks: [finite, unbounded, gradient, converged]
claims: CLAIMS
"""

Outcomes = Callable[[Mapping[str, Any]], Any]
Broken = Callable[[Examination], Finding | None]


def right(share: float) -> Outcomes:
    return lambda coords: np.arange(100) < round(100 * share)


PASSES = Finding("passes", Interval(0.0, 0.0, 0.0, 64), 0.01)


def fails(survivors: float | None = None, reason: str = "it fails") -> Finding:
    return Finding("fails", Interval(1.0, 0.9, 1.0, 64), 0.01, reason, "mend it", survivors)


def broken(check: str, survivors: float | None = None, **net: Any) -> Broken:
    """A finding of each examination: this check fails on nets with these coordinates."""

    def finding(examination: Examination) -> Finding | None:
        is_broken = examination.check == check and net.items() <= examination.net.items()
        return fails(survivors) if is_broken else PASSES

    return finding


def made(
    found: Broken, outcomes: Outcomes, *claims: dict[str, Any], seeds: str = "[0]"
) -> tuple[Plan, ToyStore]:
    text = SPEC.replace("SEEDS", seeds).replace("CLAIMS", json.dumps(list(claims)))
    plan = planned_from(text)
    store = ToyStore(plan, outcomes)
    for examination in plan.examinations:
        if (finding := found(examination)) is not None:
            store.findings[examination.goal] = finding
    return plan, store


def summaries(
    found: Broken, outcomes: Outcomes | None = None, **options: Any
) -> dict[str, Summary]:
    """The numbers of the net linear, by measure and eps."""
    plan, store = made(found, outcomes or right(0.8), **options)
    groups = readings.groups(readings.collect(plan, store))
    numbers = health(plan, store).summaries(groups, Estimator())
    return {
        f"{group.coords['measure']} {group.coords.get('pgd.eps', '')}".strip(): number
        for group, number in numbers.items()
        if group.coords["model"] == "linear"
    }


def doubted(found: Broken, **options: Any) -> list[str]:
    return [name for name, number in summaries(found, **options).items() if number.doubts]


def with_failures(coords: Mapping[str, Any]) -> Any:
    """Distances, one of them infinite: the attack broke two of three images."""
    return [quantile(torch.tensor([1.0, 2.0, torch.inf]), torch.arange(3), 0.5)]


def test_a_median_of_distances_is_in_doubt_even_if_some_are_infinite() -> None:
    number = summaries(broken("gradient"), with_failures)["robust 0.1"]
    assert (number.value, number.low) == (2, -math.inf)


# ─ which numbers ──────────────────────────────────────────────────────────────────────────────

UNDER_PGD = {
    f"{name} {eps}" for name in ("robust", "invariant", "fooled", "path") for eps in (0.1, 0.2, 0.3)
}


def test_no_number_of_a_healthy_net_is_in_doubt() -> None:
    assert doubted(lambda examination: PASSES) == []


def test_a_failure_of_an_attack_doubts_its_numbers_at_every_eps_but_0() -> None:
    assert set(doubted(broken("gradient"))) == UNDER_PGD


def test_a_net_with_misleading_gradients_doubts_attacks_that_follow_gradients() -> None:
    # not the clean accuracy, nor that under square
    assert set(doubted(broken("unbounded"))) == UNDER_PGD


def test_a_net_that_computes_nonsense_doubts_everything() -> None:
    names = set(summaries(broken("finite")))
    assert set(doubted(broken("finite"))) == names
    assert {"clean", "black", "before 0.1"} <= names


def test_other_nets_stay_out_of_it() -> None:
    assert doubted(broken("finite", model="mlp")) == []


def test_a_warning_doubts_nothing() -> None:
    assert doubted(broken("converged")) == []


def test_what_was_not_checked_is_not_in_doubt_and_does_not_pass() -> None:
    plan, store = made(lambda examination: None, right(0.8))
    assert doubted(lambda examination: None) == []
    assert set(health(plan, store).nets.values()) == {"not checked"}


def test_a_net_passes_if_no_check_that_gates_fails() -> None:
    plan, store = made(broken("converged"), right(0.8))
    assert set(health(plan, store).nets.values()) == {"passes"}
    plan, store = made(broken("gradient", model="mlp"), right(0.8))
    nets = health(plan, store).nets
    assert {type(train.model).__name__: status for train, status in nets.items()} == {
        "Linear": "passes",
        "MLP": "fails",
    }


# ─ by how much ────────────────────────────────────────────────────────────────────────────────


def test_robust_accuracy_may_only_fall_to_zero() -> None:
    face, number = (summaries(f)["robust 0.2"] for f in (broken("none"), broken("gradient")))
    assert (number.value, number.low, number.high) == (0.8, 0.0, face.high)
    assert number.doubts == ("it fails (gradient)",)


def test_a_fooling_rate_may_only_rise_to_one() -> None:
    face, number = (summaries(f)["fooled 0.2"] for f in (broken("none"), broken("gradient")))
    assert (number.value, number.low, number.high) == (0.8, face.low, 1.0)


def test_a_rate_of_invariance_falls() -> None:
    assert summaries(broken("gradient"))["invariant 0.2"].low == 0.0


def test_the_hull_ends_at_what_a_stronger_attack_left() -> None:
    face, number = (
        summaries(f)["robust 0.2"] for f in (broken("none"), broken("gradient", survivors=0.75))
    )
    # of 0.8 that withstood the attack, a quarter fell
    assert number.low == pytest.approx(face.low - 0.2)
    assert number.high == face.high


def test_a_stronger_attack_raises_a_fooling_rate_by_the_share_that_it_fools() -> None:
    face, number = (
        summaries(f)["fooled 0.2"] for f in (broken("none"), broken("gradient", survivors=0.75))
    )
    assert number.high == pytest.approx(face.high + 0.2 * 0.25)


def test_a_failure_without_a_stronger_attack_leaves_the_end_open() -> None:
    def both(examination: Examination) -> Finding:
        survivors = {"gradient": 0.75, "unbounded": None}
        return fails(survivors[examination.check]) if examination.check in survivors else PASSES

    assert summaries(both)["robust 0.2"].low == 0.0


def test_what_a_check_tried_at_one_eps_bounds_smaller_ones_and_no_larger_one() -> None:
    face, number = (summaries(f) for f in (broken("none"), broken("gradient", survivors=0.75)))
    # eps 0.2 was examined
    assert number["robust 0.1"].low == pytest.approx(face["robust 0.1"].low - 0.2)
    assert number["robust 0.3"].low == 0.0


def test_nonsense_opens_both_ends() -> None:
    number = summaries(broken("finite"))["clean"]
    assert (number.low, number.high) == (0.0, 1.0)


def test_a_measure_without_a_direction_is_open_at_both_ends() -> None:
    def outcomes(coords: Mapping[str, Any]) -> Any:
        values = np.linspace(0.4, 0.6, 100)
        return [mean(torch.from_numpy(values), torch.arange(100), within=(0.0, 1.0))]

    number = summaries(broken("gradient"), outcomes)["path 0.2"]
    assert (number.low, number.high) == (0.0, 1.0)


def test_one_bad_seed_of_two_moves_the_mean_by_half() -> None:
    number = summaries(broken("gradient", seed=1), seeds="[0, 1]")["robust 0.2"]
    face = summaries(broken("none"), seeds="[0, 1]")["robust 0.2"]
    assert number.low == pytest.approx(face.low - 0.4)


def test_a_reading_has_the_same_hull_as_its_cell() -> None:
    plan, store = made(broken("gradient"), right(0.8))
    rows = readings.collect(plan, store)
    numbers = health(plan, store).intervals(rows, Estimator())
    lows = {
        reading.coords["measure"]: number.low
        for reading, number in numbers.items()
        if reading.coords.get("pgd.eps") == 0.2
    }
    assert lows["robust"] == 0.0
    assert lows["before"] > 0.7


# ─ verdicts ───────────────────────────────────────────────────────────────────────────────────


def judge(
    found: Broken, outcomes: Outcomes, *listed: dict[str, Any], seeds: str = "[0]"
) -> list[Verdict]:
    plan, store = made(found, outcomes, *listed, seeds=seeds)
    return claims.judge(plan, store)


def value(bound: dict[str, float], measure: str = "robust", **at: Any) -> dict[str, Any]:
    at = {"model": "linear", "pgd.eps": 0.2, **at}
    return {"says": "it", "value": {"measure": measure, "at": at}, "expect": {"value": bound}}


def compare(bound: dict[str, float], statistic: str = "difference") -> dict[str, Any]:
    sides = {"of": {"model": "linear"}, "to": {"model": "mlp"}}
    pick = {"measure": "robust", "at": {"pgd.eps": 0.2}, **sides}
    return {"says": "it", "compare": pick, "expect": {statistic: bound}}


def trend(expect: str) -> dict[str, Any]:
    pick = {"measure": "robust", "along": "pgd.eps", "at": {"model": "linear"}}
    return {"says": "it", "trend": pick, "expect": expect}


def test_robust_above_is_undecided_and_robust_below_still_holds() -> None:
    listed = value({"above": 0.6}), value({"below": 0.95}), value({"above": 0.95})
    above, below, fallen = judge(broken("gradient"), right(0.8), *listed)
    assert (above.outcome, above.doubts) == ("undecided", ("it fails (gradient)",))
    assert (above.value, above.low) == (0.8, 0.0)
    assert below.outcome == "holds"
    assert fallen.outcome == "fails"


def test_a_claim_about_a_healthy_net_is_judged_as_ever() -> None:
    listed = [value({"above": 0.6})]
    (sick,) = judge(broken("gradient", model="mlp"), right(0.8), *listed)
    (healthy,) = judge(lambda examination: PASSES, right(0.8), *listed)
    assert sick == healthy
    assert sick.outcome == "holds"


def by_model(linear: float, mlp: float) -> Outcomes:
    return lambda coords: right({"linear": linear, "mlp": mlp}[coords["model"]])(coords)


def test_a_difference_is_open_where_the_doubtful_side_may_move_it() -> None:
    outcomes = by_model(0.9, 0.2)
    (first,) = judge(broken("gradient", model="linear"), outcomes, compare({"above": 0.1}))
    (second,) = judge(broken("gradient", model="mlp"), outcomes, compare({"above": 0.1}))
    assert first.outcome == "undecided"
    assert first.low == pytest.approx(-0.2, abs=0.09)
    # a lower number of the other net makes the difference larger still
    assert second.outcome == "holds"
    assert second.high == pytest.approx(0.9, abs=0.09)


def test_both_sides_in_doubt_open_both_ends_of_a_difference() -> None:
    (verdict,) = judge(broken("gradient"), by_model(0.9, 0.6), compare({"above": 0.1}))
    assert verdict.low == pytest.approx(-0.6, abs=0.12)
    assert verdict.high == pytest.approx(0.9, abs=0.09)


def test_a_ratio_by_a_number_that_may_be_0_is_open() -> None:
    (verdict,) = judge(
        broken("gradient", model="mlp"), by_model(0.9, 0.6), compare({"below": 2}, "ratio")
    )
    assert verdict.outcome == "undecided"
    assert verdict.high == np.inf


def along_eps(slope: int) -> Outcomes:
    return lambda coords: np.arange(100) < 50 + slope * coords.get("pgd.eps", 0)


def test_a_trend_over_numbers_that_may_be_lower_is_undecided() -> None:
    (sound,) = judge(lambda examination: PASSES, along_eps(100), trend("rising"))
    (verdict,) = judge(broken("gradient"), along_eps(100), trend("rising"))
    assert (sound.outcome, verdict.outcome) == ("holds", "undecided")
    assert verdict.low is not None
    assert verdict.low < 0


def test_a_trend_that_holds_wherever_the_numbers_are_still_holds() -> None:
    # the number at eps 0 is sure, and above all that the others may be
    (verdict,) = judge(broken("gradient"), along_eps(-100), trend("falling"))
    assert (verdict.outcome, verdict.value) == ("holds", -1)
    assert verdict.high is not None
    assert verdict.high > -1


def test_many_doubtful_numbers_of_a_mean_move_together() -> None:
    pick = {"measure": "robust", "at": {"model": "linear"}, "over": {"pgd.eps": "mean"}}
    claim = {"says": "it", "value": pick, "expect": {"value": {"above": 0.5}}}
    (verdict,) = judge(broken("finite"), right(0.8), claim, seeds="[0, 1]")
    assert verdict.outcome == "undecided"
    assert verdict.low == pytest.approx(0, abs=0.05)
    assert verdict.high == pytest.approx(1, abs=0.05)


def test_the_largest_of_many_numbers_falls_only_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pick = {"measure": "robust", "at": {"model": "linear"}, "over": {"pgd.eps": "greatest"}}
    claim = {"says": "it", "value": pick, "expect": {"value": {"above": 0.5}}}
    (exact,) = judge(broken("finite"), right(0.8), claim)
    monkeypatch.setattr(hulls, "MAX_CORNERS", 1)
    (fast,) = judge(broken("finite"), right(0.8), claim)
    assert exact.low == fast.low == pytest.approx(0, abs=0.05)
    assert exact.high == fast.high == pytest.approx(1, abs=0.05)


def test_checks_none_is_known() -> None:
    plan = planned_from(
        SPEC.replace("SEEDS", "[0]")
        .replace("CLAIMS", "[]")
        .replace("checks: [finite, unbounded, gradient, converged]", "checks: none")
    )
    assert health(plan, ToyStore(plan, right(0.8))).is_off
    assert isinstance(health(plan, ToyStore(plan, right(0.8))), Health)


# ─ several attacks, and attacks on other nets ─────────────────────────────────────────────────

MANY = """
title: Toy
datasets: {digits: {}}
models: {linear: {}, mlp: {}}
defences: {plain: {use: standard}}
attacks:
  pgd: {eps: 0.2}
  climb: {use: pgd, eps: 0.2, loss: margin}
  square: {eps: 0.2, queries: QUERIES}
  moved: {use: pgd, eps: 0.2, steps: 50, from: {model: mlp, defence: plain}}
measures:
  robust: {use: robust_accuracy, of: pgd}
  climbed: {use: robust_accuracy, of: climb}
  black: {use: robust_accuracy, of: square}
  with_climb: {use: robust_accuracy, of: [pgd, climb]}
  with_square: {use: robust_accuracy, of: [pgd, square]}
  moved: {use: robust_accuracy, of: moved}
  before: {use: accuracy, of: moved, clean: true}
  common: {use: fooling_rate, of: pgd, correct_in_all: true}
train:
  - {dataset: digits, model: [linear, mlp], defence: plain}
checks: [default]
"""


def many(found: Broken, queries: int = 300, model: str = "linear") -> dict[str, Summary]:
    """The numbers of a net under several attacks, by measure."""
    plan = planned_from(MANY.replace("QUERIES", str(queries)))
    store = ToyStore(plan, right(0.8))
    store.findings = {e.goal: found(e) or PASSES for e in plan.examinations}
    groups = readings.groups(readings.collect(plan, store))
    numbers = health(plan, store).summaries(groups, Estimator())
    return {
        str(group.coords["measure"]): number
        for group, number in numbers.items()
        if group.coords["model"] == model
    }


def in_doubt(found: Broken, **options: Any) -> set[str]:
    return {name for name, number in many(found, **options).items() if number.doubts}


def failing(check: str, attack: str | None, model: str = "linear") -> Broken:
    """A check fails of an attack on a net, or of the net."""
    return lambda e: (
        fails(0.75) if (e.check, e.attack, e.net["model"]) == (check, attack, model) else PASSES
    )


def test_a_doubt_of_an_attack_reaches_a_worst_case_with_it() -> None:
    found = failing("black_box", "pgd")
    assert in_doubt(found) == {"robust", "with_climb", "common"}
    number, face = (many(f)["with_climb"] for f in (found, broken("none")))
    # a quarter of what withstood
    assert number.low == pytest.approx(face.low - 0.2)


def test_square_in_the_worst_case_is_what_the_check_tried() -> None:
    assert "with_square" not in in_doubt(failing("black_box", "pgd"), queries=300)
    assert "with_square" in in_doubt(failing("black_box", "pgd"), queries=299)


@pytest.mark.parametrize("check", ["gradient", "loss_gap"])
def test_the_margin_in_the_worst_case_is_what_these_checks_tried(check: str) -> None:
    assert in_doubt(failing(check, "pgd")) == {"robust", "with_square", "common"}


def test_an_attack_that_fails_itself_answers_no_doubt_of_its_own() -> None:
    assert in_doubt(failing("gradient", "climb")) == {"climbed", "with_climb"}


def test_misleading_gradients_of_a_net_are_answered_by_no_attack() -> None:
    expected = {"robust", "climbed", "with_climb", "with_square", "common"}
    assert in_doubt(failing("unbounded", None)) == expected


def test_images_made_elsewhere_owe_nothing_to_the_gradients_of_the_judged_net() -> None:
    assert "moved" not in in_doubt(failing("unbounded", None, "linear"))
    assert "moved" not in in_doubt(failing("gradient", "pgd", "linear"))


@pytest.mark.parametrize(("check", "attack"), [("unbounded", None), ("gradient", "moved")])
def test_a_source_with_misleading_gradients_makes_a_weak_transfer_attack(
    check: str, attack: str | None
) -> None:
    found = failing(check, attack, "mlp")
    assert in_doubt(found) == {"moved"}
    number, face = (many(f)["moved"] for f in (found, broken("none")))
    # what survives on the source says nothing of the judged net
    assert (number.low, number.high) == (0.0, face.high)


def test_a_source_that_computes_nonsense_makes_the_attack_weak_and_no_more() -> None:
    found = failing("repeatable", None, "mlp")
    assert in_doubt(found) == {"moved"}
    assert many(found)["moved"].high == many(broken("none"))["moved"].high


def test_images_that_leave_the_ball_on_their_source_leave_it_everywhere() -> None:
    found = failing("budget", "moved", "mlp")
    assert in_doubt(found) == {"moved"}
    assert (many(found)["moved"].low, many(found)["moved"].high) == (0.0, 1.0)


def test_on_its_source_a_transfer_attack_is_doubted_like_any_other() -> None:
    found = failing("gradient", "moved", "mlp")
    number, face = (many(f, model="mlp")["moved"] for f in (found, broken("none")))
    assert number.low == pytest.approx(face.low - 0.2)


def test_nets_that_choose_the_images_lend_no_doubts() -> None:
    """Numbers of images that all nets classify correctly are doubted for their own net alone."""
    assert "common" in in_doubt(failing("gradient", "pgd", "mlp"), model="mlp")
    for check, attack in (("gradient", "pgd"), ("repeatable", None), ("unbounded", None)):
        assert "common" not in in_doubt(failing(check, attack, "mlp"))


def test_another_setting_of_a_swept_attack_is_bounded_by_nothing() -> None:
    """The check tried its attack on images that withstood 10 steps, not 20."""
    swept = MANY.replace("pgd: {eps: 0.2}", "pgd: {eps: 0.2, steps: {sweep: [5, 10, 20]}}")
    text = swept[: swept.index("  with_climb")] + swept[swept.index("train:") :]
    plan = planned_from(text.replace("QUERIES", "300"))
    store = ToyStore(plan, right(0.8))
    store.findings = {e.goal: failing("gradient", "pgd")(e) or PASSES for e in plan.examinations}
    (examined,) = {e.swept["pgd.steps"] for e in plan.examinations if e.attack == "pgd"}
    groups = readings.groups(readings.collect(plan, store))
    lows = {
        group.coords["pgd.steps"]: number.low
        for group, number in health(plan, store).summaries(groups, Estimator()).items()
        if (group.coords["measure"], group.coords["model"]) == ("robust", "linear")
    }
    assert lows.pop(examined) > 0.4
    assert set(lows.values()) == {0.0}
