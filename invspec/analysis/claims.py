"""Verdicts on the claims of a paper, from the intervals of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

from invspec.analysis import health, hulls, quantities, readings
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health
from invspec.analysis.quantities import Side
from invspec.analysis.readings import Artifacts, Group
from invspec.plan import picks
from invspec.plan.cells import Plan
from invspec.spec.claims import Statement
from invspec.spec.schema import Claim, Statistic

Outcome = Literal["holds", "fails", "undecided", "not testable", "missing"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim: its statistic with a 95 % interval, or the missing scores.

    premises and alternatives are the verdicts on those of the claim. A claim with alternatives has
    the statistic of the one that it rests on. doubts are the reasons for which its numbers are in
    doubt; the interval then is the hull.
    """

    claim: Claim
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    missing_scores: int = 0
    premises: tuple[Verdict, ...] = ()
    alternatives: tuple[Verdict, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def statistic(self) -> Statistic:
        """value, difference, ratio or correlation."""
        return self.claim.statistic

    @property
    def bound(self) -> tuple[float, float]:
        """The open range in which the claim expects the statistic."""
        return self.claim.bound.range

    @property
    def published(self) -> float | None:
        """The value in the paper."""
        return None if self.claim.published is None else self.claim.published.value


def decide(low: float, high: float, bound: tuple[float, float]) -> Outcome:
    """The outcome of a claim that expects an open range, from the interval [low, high].

    >>> decide(0.6, 0.7, (0.5, 1.0)), decide(0.4, 0.5, (0.5, 1.0)), decide(0.4, 0.6, (0.5, 1.0))
    ('holds', 'fails', 'undecided')
    """
    least, most = bound
    if least < low and high < most:
        return "holds"
    return "fails" if high <= least or low >= most else "undecided"


def judge(plan: Plan, store: Artifacts) -> list[Verdict]:
    """A verdict on each claim, in the order of the spec."""
    groups = readings.groups(readings.collect(plan, store))
    return judged(plan, groups, Estimator(), health.health(plan, store))


def judged(
    plan: Plan, groups: Sequence[Group], estimator: Estimator, health: Health
) -> list[Verdict]:
    """A verdict on each claim, from groups of readings and what the checks found.

    Raises: SpecError if several rows of a measure match a claim, which is only known once they
        are computed.
    """
    spec = plan.spec
    asked = [picks.statements(spec, number) for number in range(len(spec.claims))]
    sides_of = {
        id(statement): quantities.sides_of(plan, statement.node, groups)
        for statements in asked
        for statement in statements
    }
    # All groups at once: their replicates are computed together.
    estimator.prepare(
        group for sides in sides_of.values() for side in sides for group in side.values()
    )
    return [
        settled(
            claim, [_verdict(each, sides_of[id(each)], estimator, health) for each in statements]
        )
        for claim, statements in zip(spec.claims, asked, strict=True)
    ]


def _verdict(
    statement: Statement, sides: Sequence[Side], estimator: Estimator, health: Health
) -> Verdict:
    missing = sum(group.missing for side in sides for group in side.values())
    claim = statement.claim
    if missing or not sides:
        return Verdict(claim, "missing", missing_scores=max(missing, 1))
    used = [group for side in sides for group in side.values()]
    value, low, high = hulls.hull(
        health, partial(quantities.statistic, statement.node, sides), used, estimator
    )
    outcome = decide(low, high, claim.bound.range)
    return Verdict(claim, outcome, value, low, high, doubts=health.reasons(used))


# ─ premises and alternatives ──────────────────────────────────────────────────────────────────────


def settled(claim: Claim, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim, from those on its premises and then on its alternatives.

    A claim is not testable if a premise fails, or if one is undecided and no score is missing.
    """
    premises = tuple(verdicts[: len(claim.given)])
    verdict = replace(_chosen(claim, verdicts[len(claim.given) :]), premises=premises)
    outcomes = [premise.outcome for premise in premises]
    if "fails" in outcomes:
        return replace(verdict, outcome="not testable", missing_scores=0)
    if "missing" in (verdict.outcome, *outcomes):
        missing = sum(each.missing_scores for each in (verdict, *premises))
        return Verdict(verdict.claim, "missing", missing_scores=missing, premises=premises)
    return replace(verdict, outcome="not testable") if "undecided" in outcomes else verdict


def _chosen(claim: Claim, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on exclusive alternatives: that of the only one that holds.

    It fails if all of them fail. If several hold, or none while one is undecided, it is undecided.
    """
    if claim.one_of is None:
        (verdict,) = verdicts
        return verdict
    outcomes = [verdict.outcome for verdict in verdicts]
    missing = sum(verdict.missing_scores for verdict in verdicts)
    if missing:
        outcome, chosen = "missing", verdicts[0]
    elif outcomes.count("holds") == 1:
        outcome, chosen = "holds", verdicts[outcomes.index("holds")]
    elif set(outcomes) == {"fails"}:
        outcome, chosen = "fails", verdicts[0]
    else:
        outcome, chosen = "undecided", next(v for v in verdicts if v.outcome != "fails")
    shown = chosen.claim.model_copy(update={"says": claim.says, "source": claim.source})
    return replace(
        chosen,
        claim=shown,
        outcome=outcome,
        missing_scores=missing,
        alternatives=tuple(verdicts),
    )
