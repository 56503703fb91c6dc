"""Verdicts on the claims of a paper, from the intervals of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Literal, get_args

from invspec.analysis import health, hulls, quantities, readings
from invspec.analysis.estimates import Estimate
from invspec.analysis.estimator import Estimator
from invspec.analysis.health import Health
from invspec.analysis.quantities import Side
from invspec.analysis.readings import Artifacts, Group
from invspec.analysis.scopes import Scope, across_nets, net_kind, nets_of, scope_of
from invspec.analysis.significance import LEVEL, Need, holm, need, p_value, spread
from invspec.errors import SpecError, joined
from invspec.plan import picks
from invspec.plan.cells import Plan
from invspec.spec.claims import Statement
from invspec.spec.schema import Claim, Statistic

Outcome = Literal["holds", "fails", "undecided", "not testable", "missing"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim: its statistic with a 95 % interval, or the missing scores.

    outcome is the one after Holm's correction over the report, raw the one of the interval alone,
    with their p-values. scope says what the verdict speaks of, nets how many nets it rests on.
    needs is what would decide an undecided claim; only_trend says that it is undecided because a
    trend across nets of a single seed is never decided. premises and alternatives are the verdicts
    on those of the claim; a claim with alternatives has the statistic of the one that it rests on.
    doubts are the reasons for which its numbers are in doubt; the interval then is the hull.
    problem says why it is missing although all scores are there: it does not fit their rows.
    """

    claim: Claim
    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    missing_scores: int = 0
    raw: Outcome = "missing"
    p: float | None = None
    corrected_p: float | None = None
    scope: Scope = "trainings"
    nets: int = 0
    seeds: int = 0
    df: float = math.inf
    needs: Need | None = None
    only_trend: bool = False
    premises: tuple[Verdict, ...] = ()
    alternatives: tuple[Verdict, ...] = ()
    doubts: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_decided(self) -> bool:
        """Whether it holds or fails."""
        return self.outcome in ("holds", "fails")

    @property
    def statistic(self) -> Statistic:
        """value, difference, ratio or correlation."""
        return self.claim.statistic

    @property
    def bound(self) -> tuple[float, float]:
        """The ends of the range in which the claim expects the statistic."""
        return self.claim.bound.range

    @property
    def published(self) -> float | None:
        """The value in the paper."""
        return None if self.claim.published is None else self.claim.published.value


def decide(low: float, high: float, bound: tuple[float, float]) -> Outcome:
    """The outcome of a claim that expects an open range, from the interval [low, high].

    >>> decide(0.6, 0.7, (0.5, 1.0)), decide(0.4, 0.5, (0.5, 1.0)), decide(0.4, 0.6, (0.5, 1.0))
    ('holds', 'fails', 'undecided')
    >>> decide(math.inf, math.inf, (0.5, math.inf)), decide(math.inf, math.inf, (0.5, 1.0))
    ('holds', 'fails')
    """
    least, most = bound
    # a range without an end has infinite numbers, such as distances of images that nothing breaks
    if (least < low or least == -math.inf) and (high < most or most == math.inf):
        return "holds" if low <= high else "undecided"
    return "fails" if high <= least or low >= most else "undecided"


def judge(plan: Plan, store: Artifacts) -> list[Verdict]:
    """A verdict on each claim, in the order of the spec."""
    groups = readings.groups(readings.collect(plan, store))
    estimator = Estimator(groups, plan.spec.seeds_paired)
    return judged(plan, groups, estimator, health.health(plan, store))


def judged(
    plan: Plan, groups: Sequence[Group], estimator: Estimator, health: Health
) -> list[Verdict]:
    """A verdict on each claim, from groups of readings and what the checks found.

    One that does not fit the rows of its measures, which are only known once they are computed, is
    missing, and says why.
    """
    spec = plan.spec
    statements_of = [picks.statements(spec, number) for number in range(len(spec.claims))]
    sides_of: dict[int, list[Side]] = {}
    problems: dict[int, SpecError] = {}
    for statement in chain.from_iterable(statements_of):
        try:
            sides_of[id(statement)] = quantities.sides_of(plan, statement.node, groups)
        except SpecError as problem:
            sides_of[id(statement)], problems[id(statement)] = [], problem
    # All groups at once: their replicates are computed together.
    estimator.prepare(
        group for sides in sides_of.values() for side in sides for group in side.values()
    )
    tests = {
        id(statement): _unfit(statement, problems[id(statement)])
        if id(statement) in problems
        else _tested(statement, sides_of[id(statement)], estimator, health)
        for statement in chain.from_iterable(statements_of)
    }
    return _settled(
        spec.claims,
        [[tests[id(statement)] for statement in statements] for statements in statements_of],
    )


def _settled(claims: Sequence[Claim], tests: Sequence[Sequence[_Test]]) -> list[Verdict]:
    """The verdicts on claims; alternatives are corrected for their number, premises are not."""
    counts = [len(claim.given) for claim in claims]
    alternatives = [own[count:] for own, count in zip(tests, counts, strict=True)]
    corrected = iter(_corrected([test for own in alternatives for test in own]))
    return [
        settled(
            claim,
            [*(test.verdict for test in own[:count]), *(next(corrected) for _ in own[count:])],
        )
        for claim, own, count in zip(claims, tests, counts, strict=True)
    ]


# ─ one claim ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Test:
    """A verdict before the correction, with its estimate and number of images."""

    verdict: Verdict
    estimate: Estimate | None = None
    images: int = 0


def _unfit(statement: Statement, problem: SpecError) -> _Test:
    """The test of a claim that does not fit the rows of its measures."""
    return _Test(Verdict(statement.claim, "missing", problem=joined(problem)))


def _tested(
    statement: Statement, sides: Sequence[Side], estimator: Estimator, health: Health
) -> _Test:
    claim = statement.claim
    groups = [group for side in sides for group in side.values()]
    missing = sum(group.missing for group in groups)
    if missing or not groups:
        return _Test(Verdict(claim, "missing", missing_scores=max(missing, 1)))
    statistic = partial(quantities.statistic, statement.node, sides)
    ways = hulls.extremes(health, statistic, groups, estimator)
    estimate, (low, high) = ways[0], hulls.ends(ways)
    scope = scope_of(groups, estimator.deviations)
    only_trend = _has_single_training(across_nets(statement.node, sides), estimator)
    raw = "undecided" if only_trend else decide(low, high, claim.bound.open_range)
    p = None if only_trend else _p(claim, ways, raw)
    verdict = Verdict(
        claim,
        raw,
        estimate.point,
        low,
        high,
        raw=raw,
        p=p,
        scope=scope,
        nets=len(nets_of(groups)),
        seeds=min(len(group.present) for group in groups),
        df=spread(estimate).total_df,
        only_trend=only_trend,
        doubts=health.reasons(groups),
    )
    readings_of = [reading for group in groups for reading in group.present]
    return _Test(verdict, estimate, min(reading.unit_count for reading in readings_of))


def _p(claim: Claim, ways: Sequence[Estimate], raw: Outcome) -> float:
    """The p-value where the numbers that may be are least favourable; 1 if they decide nothing."""
    if raw == "undecided" and len(ways) > 1:
        return 1.0
    by_ranks = claim.statistic == "correlation"
    return max(p_value(way, claim.bound.open_range, by_ranks=by_ranks) for way in ways)


def _has_single_training(groups: Sequence[Group], estimator: Estimator) -> bool:
    """Whether some net is one training of many. Published nets have no others."""
    return any(
        net_kind(net) == "trained" and group not in estimator.deviations
        for group in groups
        for net in nets_of([group])
    )


# ─ all claims ─────────────────────────────────────────────────────────────────────────────────────


def _corrected(tests: Sequence[_Test]) -> list[Verdict]:
    """The verdicts after Holm's correction for the number of claims that were tested."""
    tested = [place for place, test in enumerate(tests) if test.verdict.p is not None]
    corrected = dict(
        zip(tested, holm([tests[place].verdict.p or 0.0 for place in tested]), strict=True)
    )
    decided = sum(p <= LEVEL for p in corrected.values())
    level = LEVEL / max(len(tested) - decided, 1)
    return [_headline(test, corrected.get(place), level) for place, test in enumerate(tests)]


def _headline(test: _Test, corrected_p: float | None, level: float) -> Verdict:
    verdict = test.verdict
    if test.estimate is None:
        return verdict
    is_sure = corrected_p is not None and corrected_p <= LEVEL
    outcome = verdict.raw if is_sure else "undecided"
    needs = None
    # more images or seeds cannot lift a doubt
    if outcome == "undecided" and not verdict.doubts:
        needs = _needs(test, level)
    return replace(verdict, outcome=outcome, corrected_p=corrected_p, needs=needs)


def _needs(test: _Test, level: float) -> Need | None:
    assert test.estimate is not None, "a projection needs a number"
    if test.verdict.only_trend:
        return Need(seeds=2)
    bound = test.verdict.claim.bound.open_range
    return need(test.estimate, bound, test.verdict.seeds, test.images, level)


def false_verdicts(verdicts: Sequence[Verdict]) -> float:
    """How many false verdicts to expect at most before the correction: 5 % of those tested."""
    return LEVEL * sum(verdict.p is not None for verdict in verdicts)


# ─ premises and alternatives ──────────────────────────────────────────────────────────────────────


def settled(claim: Claim, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on a claim, from those on its premises and then on its alternatives.

    A claim is not testable if a premise fails, or if one is undecided and no score is missing.
    """
    premises = tuple(verdicts[: len(claim.given)])
    verdict = replace(_chosen(claim, verdicts[len(claim.given) :]), premises=premises)
    outcomes = [premise.outcome for premise in premises]
    if "fails" in outcomes:
        return replace(verdict, outcome="not testable", missing_scores=0, needs=None)
    if "missing" in (verdict.outcome, *outcomes):
        parts = (verdict, *premises)
        return Verdict(
            verdict.claim,
            "missing",
            missing_scores=sum(part.missing_scores for part in parts),
            premises=premises,
            problem=next((part.problem for part in parts if part.problem), ""),
        )
    if "undecided" in outcomes:
        return replace(verdict, outcome="not testable", needs=None)
    return verdict


def _chosen(claim: Claim, verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on exclusive alternatives: that of the only one that holds.

    It fails if all of them fail. If several hold, or none while one is undecided, it is undecided.
    """
    if claim.one_of is None:
        (verdict,) = verdicts
        return verdict
    outcomes = [verdict.outcome for verdict in verdicts]
    missing = sum(verdict.missing_scores for verdict in verdicts)
    if "missing" in outcomes:
        outcome, chosen = "missing", min(verdicts, key=lambda verdict: not verdict.problem)
    elif outcomes.count("holds") == 1:
        outcome, chosen = "holds", verdicts[outcomes.index("holds")]
    elif set(outcomes) == {"fails"}:
        outcome, chosen = "fails", verdicts[0]
    else:
        outcome, chosen = "undecided", next(v for v in verdicts if v.outcome != "fails")
    renamed = chosen.claim.model_copy(update={"says": claim.says, "source": claim.source})
    return replace(
        chosen,
        claim=renamed,
        outcome=outcome,
        missing_scores=missing,
        alternatives=tuple(verdicts),
    )
