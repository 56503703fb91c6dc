"""How often do the intervals of a report cover the truth, and how often is a verdict false?

    python benchmarks/coverage_of_intervals.py [--trials 400]

Reports are simulated with known truths: nets with a true share each, which varies between trainings
by a known amount, measured on the same examples. Estimates, verdicts and the correction are those
of invspec. Prints the tables of docs/intervals.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from invspec.analysis.claims import decide
from invspec.analysis.estimates import Estimate, spearman
from invspec.analysis.estimator import Estimator
from invspec.analysis.readings import Group, Reading
from invspec.analysis.significance import LEVEL, holm, p_value
from invspec.data import JudgedPairs, Row
from invspec.kinds import Attack, Measure, Sample
from invspec.plan.cells import Cell
from invspec.registry.methods import make
from invspec.scoring.rows import share, share_of_pairs
from invspec.tasks import Perturb, Score, Train

Rng = np.random.Generator
ABOVE_0 = (0.0, np.inf)

EXAMPLES = 500
# share of the examples on which all nets agree
AGREEMENT = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=400)
    trials = parser.parse_args().trials
    for title, rows in tables(trials):
        print(f"\n{title}\n", flush=True)
        for row in rows:
            print(" | ".join(row), flush=True)


def tables(trials: int) -> Iterator[tuple[str, Iterator[tuple[str, ...]]]]:
    yield (
        "difference of two trained nets: seeds | sigma | coverage | 'above 0' falsely holds",
        (
            (str(seeds), f"{sigma}", *rates(difference(seeds, (sigma, sigma), trials)))
            for seeds in (2, 3, 5)
            for sigma in (0.01, 0.03, 0.08)
        ),
    )
    yield (
        "one net varies by 0.08, the other by 0.01: seeds | coverage | falsely holds",
        ((str(seeds), *rates(difference(seeds, (0.08, 0.01), trials))) for seeds in (2, 3, 5)),
    )
    yield (
        "two nets vary by 0.08, eight others by 0.01: seeds | coverage | falsely holds",
        (
            (str(seeds), *rates(difference(seeds, (0.08, 0.08) + 8 * (0.01,), trials)))
            for seeds in (2, 3, 5)
        ),
    )
    yield (
        "paired seeds, sigma 0.03, half of it shared: seeds | coverage | falsely holds",
        (
            (str(seeds), *rates(difference(seeds, (0.03, 0.03), trials, paired=True)))
            for seeds in (2, 3, 5)
        ),
    )
    yield (
        "trend along four nets, all alike, sigma 0.03: seeds | falsely holds | falsely fails",
        ((str(seeds), *rates(flat_trend(seeds, trials))) for seeds in (2, 3, 5)),
    )
    yield (
        "share of pairs, spread of sources and targets: sources x targets | spread | coverage",
        (
            (
                f"{sources} x {targets}",
                f"{spread}",
                *rates([pairs(sources, targets, spread, trials)]),
            )
            for sources, targets, spread in (
                (10, 10, (1.0, 0.0)),
                (50, 10, (1.0, 0.0)),
                (50, 10, (1.0, 1.0)),
                (50, 10, (0.5, 2.0)),
                (100, 10, (1.0, 1.0)),
            )
        ),
    )
    yield (
        "15 claims, all truths 0: seeds | sigma | a false verdict after correction | before it",
        (
            (str(seeds), f"{sigma}", *rates(null_claims(seeds, sigma, trials)))
            for seeds in (2, 3)
            for sigma in (0.0, 0.01, 0.03)
        ),
    )


def rates(shares: Sequence[float]) -> tuple[str, ...]:
    return tuple(f"{rate:.3f}" for rate in shares)


# ─ experiments ────────────────────────────────────────────────────────────────────────────────────


def difference(
    seeds: int, sigmas: Sequence[float], trials: int, *, paired: bool = False
) -> tuple[float, float]:
    """How often the interval of a difference of two equal nets covers 0, and is above it."""

    def trial(rng: Rng) -> tuple[bool, bool]:
        first, second, *_ = estimates(rng, seeds, sigmas, paired=paired)
        low, high = (first - second).interval()
        return low <= 0 <= high, low > 0

    return repeated(trial, trials)


def flat_trend(seeds: int, trials: int) -> tuple[float, float]:
    """How often "rising" holds and fails along four nets that are all alike."""

    def trial(rng: Rng) -> tuple[bool, bool]:
        trend = spearman([0, 1, 2, 3], estimates(rng, seeds, 4 * (0.03,)))
        outcome = decide(*trend.interval(), ABOVE_0)
        return outcome == "holds", outcome == "fails"

    return repeated(trial, trials)


def null_claims(seeds: int, sigma: float, trials: int) -> tuple[float, float]:
    """How often one of 15 claims is falsely decided, after the correction and before it.

    Three nets are compared with a fourth under five attacks.
    """

    def trial(rng: Rng) -> tuple[bool, bool]:
        base, *others = settings(rng, seeds, 4 * (sigma,), 5)
        claims = [ours - theirs for net in others for ours, theirs in zip(net, base, strict=True)]
        p_values = [p_value(claim, ABOVE_0) for claim in claims]
        return min(holm(p_values)) <= LEVEL, min(p_values) <= LEVEL

    return repeated(trial, trials)


def pairs(sources: int, targets: int, spread: tuple[float, float], trials: int) -> float:
    """How often the interval of a share of all pairs of drawn sources and targets covers it."""
    draws = np.random.default_rng(1).normal(size=1_000_000)
    truth = expit(0.4 + np.hypot(*spread) * draws).mean()
    index = torch.arange(sources).repeat_interleave(targets)
    columns = {column.name: index for column in fields(JudgedPairs)}
    judged = JudgedPairs(**{**columns, "target": torch.arange(targets).repeat(sources)})

    def trial(rng: Rng) -> tuple[bool, bool]:
        scores = spread[0] * rng.normal(size=(sources, 1)) + spread[1] * rng.normal(
            size=(1, targets)
        )
        hits = rng.random((sources, targets)) < expit(0.4 + scores)
        row = share_of_pairs(torch.from_numpy(hits.ravel()), judged)
        low, high = Estimator().estimate(group(0, 0, [row])).interval()
        return low <= truth <= high, low > truth

    return repeated(trial, trials)[0]


def repeated(trial: Callable[[Rng], tuple[bool, bool]], trials: int) -> tuple[float, float]:
    outcomes = [trial(np.random.default_rng(seed)) for seed in range(trials)]
    first, second = np.mean(outcomes, axis=0).tolist()
    return first, second


# ─ simulated reports ──────────────────────────────────────────────────────────────────────────────


def estimates(
    rng: Rng, seeds: int, sigmas: Sequence[float], *, paired: bool = False
) -> list[Estimate]:
    """The estimate of each net of a simulated report with one number a net."""
    return [net[0] for net in settings(rng, seeds, sigmas, 1, paired=paired)]


def settings(
    rng: Rng, seeds: int, sigmas: Sequence[float], count: int, *, paired: bool = False
) -> list[list[Estimate]]:
    """The estimates of each net under some attacks; all true shares are 0.6.

    A training moves the shares of its net under all attacks, half of the variance together. If
    paired, half of it is common to all nets of a seed.
    """
    shared = rng.normal(size=seeds)
    common = rng.random((count, EXAMPLES))
    groups: list[list[Group]] = []
    for net, sigma in enumerate(sigmas):
        of_net = rng.normal(size=seeds)
        moves = (shared + of_net) / np.sqrt(2) if paired else of_net
        own = rng.normal(size=(count, seeds))
        own = (moves + own) / np.sqrt(2) if count > 1 else moves[None]
        groups.append(
            [
                group(net, place, [_row(rng, 0.6 + sigma * move, common[place]) for move in line])
                for place, line in enumerate(own)
            ]
        )
    estimator = Estimator([number for line in groups for number in line], seeds_paired=paired)
    return [[estimator.estimate(number) for number in line] for line in groups]


def _row(rng: Rng, rate: float, common: NDArray[np.float64]) -> Row:
    draws = np.where(rng.random(EXAMPLES) < AGREEMENT, common, rng.random(EXAMPLES))
    return share(torch.from_numpy(draws < rate), torch.arange(EXAMPLES))


def group(net: int, setting: int, rows: Sequence[Row]) -> Group:
    """The readings of a number, one for each seed."""
    coords: dict[str, str | int | float] = {"measure": "accuracy", "net": net, "setting": setting}
    readings = tuple(
        Reading(Cell(where, score_of(net, setting, seed), ()), where, row)
        for seed, row in enumerate(rows)
        for where in [{**coords, "seed": seed}]
    )
    return Group(coords, readings)


@cache
def score_of(net: int, setting: int, seed: int) -> Score:
    """The score of a net under an attack, for one seed."""
    made: dict[str, Any] = {
        "dataset": make("dataset", "digits", {}),
        "model": make("model", "linear", {}),
        "defence": make("defence", "standard", {"lr": 0.01 * (net + 1)}),
    }
    attack = cast(Attack, make("attack", "pgd", {"eps": 0.01 * (setting + 1)}))
    perturb = Perturb(Train(**made, seed=seed), attack, Sample(), (0, EXAMPLES))
    return Score(cast(Measure, make("measure", "accuracy", {})), ((perturb,),))


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - start:.0f} s")
