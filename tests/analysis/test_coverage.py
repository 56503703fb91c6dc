"""Intervals cover the truth and verdicts are rarely false: simulated reports with known truths."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom
from workbench import ROOT

TRIALS = 300

# A true share at its limit fails a test with this probability: 300 trials tell 0.93 from 0.88, not
# from 0.92.
BY_CHANCE = 0.001


def is_at_least(share: float, limit: float) -> bool:
    """Whether the share of the trials may be that of a true one at the limit or above."""
    return bool(binom.cdf(round(share * TRIALS), TRIALS, limit) > BY_CHANCE)


def is_at_most(share: float, limit: float) -> bool:
    """Whether the share of the trials may be that of a true one at the limit or below."""
    return is_at_least(1 - share, 1 - limit)


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("coverage_of_intervals")


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.08])
def test_a_difference_of_trained_nets_is_covered(coverage: Any, seeds: int, sigma: float) -> None:
    covered, above = coverage.difference(seeds, (sigma, sigma), TRIALS)
    assert is_at_least(covered, 0.93)
    assert is_at_most(above, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "limit"), [(2, 0.87), (3, 0.9), (5, 0.93)])
def test_nets_that_vary_far_more_than_their_pool_are_covered_almost_as_often(
    coverage: Any, seeds: int, limit: float
) -> None:
    covered, _ = coverage.difference(seeds, (0.08, 0.08) + 8 * (0.01,), TRIALS)
    assert is_at_least(covered, limit)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_paired_seeds_cover_a_difference(coverage: Any, seeds: int) -> None:
    covered, _ = coverage.difference(seeds, (0.03, 0.03), TRIALS, paired=True)
    assert is_at_least(covered, 0.93)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_flat_trend_is_rarely_decided(coverage: Any, seeds: int) -> None:
    assert is_at_most(sum(coverage.flat_trend(seeds, TRIALS)), 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sources", "targets", "spread"),
    [(50, 10, (1.0, 0.0)), (50, 10, (1.0, 1.0)), (50, 10, (0.5, 2.0)), (100, 10, (1.0, 1.0))],
)
def test_a_share_of_pairs_of_random_targets_is_covered(
    coverage: Any, sources: int, targets: int, spread: tuple[float, float]
) -> None:
    covered = coverage.pairs(sources, targets, spread, TRIALS)
    assert is_at_least(covered, 0.92)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.03])
def test_fifteen_claims_on_nothing_are_rarely_decided(
    coverage: Any, seeds: int, sigma: float
) -> None:
    corrected, _ = coverage.null_claims(seeds, sigma, TRIALS)
    assert is_at_most(corrected, 0.06)


def test_the_simulated_estimates_are_those_of_a_report(coverage: Any) -> None:
    first, second = coverage.estimates(np.random.default_rng(0), 2, (0.03, 0.03))
    assert first.df == second.df == 2
    assert first.point == pytest.approx(0.6, abs=0.15)


def test_the_limits_refuse_what_is_clearly_beyond_them() -> None:
    assert is_at_least(0.92, 0.93)
    assert not is_at_least(0.86, 0.93)
    assert is_at_most(0.07, 0.05)
    assert not is_at_most(0.12, 0.05)
