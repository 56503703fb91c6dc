"""Leaderboards: the nets of a store in the order of their robust accuracy, by threat model."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, cast

import torch
from torch import Tensor

from invspec.analysis.contrasts import decided
from invspec.analysis.estimator import Estimator, Summary
from invspec.analysis.readings import Group, Reading
from invspec.analysis.significance import LEVEL, holm, p_value
from invspec.analysis.trials import Holdings, Trial, Trialled
from invspec.data import Outcomes, Row
from invspec.kinds import Dataset, Measure
from invspec.ops.types import SHARES
from invspec.plan.cells import Attacked, Cell
from invspec.registry.methods import make_shipped
from invspec.spec.schema import Coords
from invspec.tasks import Score, Train, without_seed

ROBUST, CLEAN, INVARIANCE = "robust accuracy", "clean accuracy", "invariance"
MEASURES: dict[str, tuple[str, dict[str, Any]]] = {
    ROBUST: ("accuracy", {}),
    CLEAN: ("accuracy", {"clean": True}),
    INVARIANCE: ("rate_of_invariance", {}),
}
ABOVE = (0.0, float("inf"))
LACKS = "lacks an attack by which the others are ranked"


@dataclass(frozen=True, eq=False)
class Place:
    """A net on a board. rank is None for a net that stands apart, for the reason given.

    robust is the accuracy under the worst of the board's trials, alone that under each by itself.
    is_tied says that its place is not decided against some other net. doubts are the failed checks
    of the net and of the board's attacks on it, is_checked whether there were any checks.
    """

    net: Train
    seeds: tuple[int, ...]
    rank: int | None
    is_tied: bool = False
    robust: Summary | None = None
    clean: Summary | None = None
    alone: Mapping[Trial, Summary] = field(default_factory=dict[Trial, Summary])
    invariance: Mapping[Trial, Summary] = field(default_factory=dict[Trial, Summary])
    doubts: tuple[str, ...] = ()
    is_checked: bool = False
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Board:
    """The nets of one data set under one threat model.

    trials are the attacks by whose worst case nets are ranked; examples counts those they share.
    """

    dataset: Dataset
    norm: str
    eps: float
    trials: tuple[Trial, ...]
    examples: int
    places: tuple[Place, ...]


# a net from seed 0 with its trials, by seed
Entries = Mapping[Train, Mapping[Trial, Mapping[int, Trialled]]]


def boards(holdings: Holdings) -> list[Board]:
    """A board for each data set and threat model of a store, the smaller eps of a norm first."""
    by_threat: dict[tuple[Dataset, str, float], dict[Train, None]] = defaultdict(dict)
    entries = _entries(holdings.trials)
    for net, trials in entries.items():
        for trial in trials:
            if trial.threat is not None:
                by_threat[net.dataset, *trial.threat][net] = None
    places = {threat[:2]: place for place, threat in reversed([*enumerate(by_threat)])}
    ordered = sorted(by_threat.items(), key=lambda item: (places[item[0][:2]], item[0][2]))
    return [
        _Builder(dataset, norm, eps, {net: entries[net] for net in nets}, holdings).board()
        for (dataset, norm, eps), nets in ordered
    ]


def _entries(trials: Iterable[Trialled]) -> Entries:
    entries: dict[Train, dict[Trial, dict[int, Trialled]]] = defaultdict(lambda: defaultdict(dict))
    for own in trials:
        entries[without_seed(own.train)][own.trial][own.train.seed] = own
    return entries


@dataclass(frozen=True, eq=False)
class _Builder:
    """Builds the board of a data set and a threat model from the trials of its nets."""

    dataset: Dataset
    norm: str
    eps: float
    entries: Entries
    holdings: Holdings

    def board(self) -> Board:
        """The board: nets with the same trials on the same examples in order, then the others."""
        trials = self._common_trials()
        examples = self._common_examples(trials)
        reasons = {net: self._reason(net, trials, examples) for net in self.entries}
        ranked = [net for net, reason in reasons.items() if not reason]
        robust = {net: self._robust(net, trials) for net in ranked}
        others = {net: self._others(net) for net in self.entries}
        if len(trials) == 1:
            # one number, which must count once in the pool of trainings
            others |= {
                net: {**others[net], (ROBUST, trials[0]): own} for net, own in robust.items()
            }
        groups = [*robust.values(), *(group for own in others.values() for group in own.values())]
        groups = list(dict.fromkeys(groups))
        estimator = Estimator(groups)
        numbers = estimator.summaries(groups)
        better = better_nets(robust, estimator)
        places = [
            Place(
                net,
                self._seeds(net, trials if net in robust else self._own(net)),
                None if reasons[net] else 1 + len(better.above[net]),
                is_tied=bool(better.undecided.get(net)),
                robust=numbers[robust[net]] if net in robust else None,
                clean=next(iter(_of(CLEAN, others[net], numbers).values()), None),
                alone=_of(ROBUST, others[net], numbers),
                invariance=_of(INVARIANCE, others[net], numbers),
                doubts=self._doubts(net, trials),
                is_checked=any(without_seed(task.train) == net for task in self.holdings.findings),
                reason=reasons[net],
            )
            for net in self.entries
        ]
        return Board(self.dataset, self.norm, self.eps, trials, len(examples), _ordered(places))

    def _own(self, net: Train) -> tuple[Trial, ...]:
        """The trials of a net in this threat model."""
        return tuple(t for t in self.entries[net] if t.threat == (self.norm, self.eps))

    def _seeds(self, net: Train, trials: Iterable[Trial]) -> tuple[int, ...]:
        """The seeds for which a net has all of some trials."""
        seeds = [set(self.entries[net].get(trial, {})) for trial in trials]
        return tuple(sorted(set.intersection(*seeds))) if seeds else ()

    def _common_trials(self) -> tuple[Trial, ...]:
        """The largest set of trials on one sample that at least half of the nets have.

        If none is so common, that of the most nets.
        """
        candidates: dict[frozenset[Trial], tuple[Trial, ...]] = {}
        for net in self.entries:
            by_sample: dict[object, list[Trial]] = defaultdict(list)
            for trial in self._own(net):
                by_sample[trial.sample].append(trial)
            for trials in by_sample.values():
                candidates.setdefault(frozenset(trials), tuple(trials))

        def size(trials: tuple[Trial, ...]) -> tuple[bool, int, int]:
            nets = sum(bool(self._seeds(net, trials)) for net in self.entries)
            is_common = 2 * nets >= len(self.entries)
            return (is_common, len(trials), nets) if is_common else (is_common, nets, len(trials))

        return max(candidates.values(), key=size)

    def _common_examples(self, trials: Sequence[Trial]) -> frozenset[int]:
        """The examples on which most nets have all of some trials."""
        sets = Counter(self._judged(net, trials) for net in self.entries)
        return max(sets, key=lambda examples: (bool(examples), sets[examples], len(examples)))

    def _judged(self, net: Train, trials: Sequence[Trial]) -> frozenset[int]:
        """The examples on which a net has all of some trials, for all of its seeds."""
        seeds = self._seeds(net, trials)
        sets = [self.entries[net][trial][seed].examples for trial in trials for seed in seeds]
        return reduce(frozenset.intersection, sets) if sets else frozenset()

    def _reason(self, net: Train, trials: Sequence[Trial], examples: frozenset[int]) -> str:
        """Why a net is not ranked; empty if it is."""
        if not self._seeds(net, trials):
            return LACKS
        judged = self._judged(net, trials)
        if judged != examples:
            return (
                f"other examples: {len(judged):,}, of which {len(judged & examples):,} are shared"
            )
        return ""

    # ─ numbers ────────────────────────────────────────────────────────────────────────────────

    def _robust(self, net: Train, trials: Sequence[Trial]) -> Group:
        """The accuracy of a net under the worst of some trials."""
        readings: list[Reading] = []
        for seed in self._seeds(net, trials):
            own = [self.entries[net][trial][seed] for trial in trials]
            readings.append(_reading(ROBUST, own, _worst(own)))
        return Group({"measure": ROBUST}, tuple(readings))

    def _others(self, net: Train) -> dict[tuple[str, Trial], Group]:
        """The other numbers of a net: its clean accuracy, and a number for each trial."""
        groups = {(ROBUST, trial): self._robust(net, [trial]) for trial in self._own(net)}
        trials = self.entries[net]
        for trial in (trial for trial in trials if trial.is_transform):
            invariant = [_reading(INVARIANCE, [own], _same(own)) for own in trials[trial].values()]
            groups[INVARIANCE, trial] = Group({"measure": INVARIANCE}, tuple(invariant))
        unmoved = [trial for trial in trials if trial.before is None]
        if unmoved:
            largest = max(unmoved, key=lambda t: min(len(own.index) for own in trials[t].values()))
            clean = [_reading(CLEAN, [own], _clean(own)) for own in trials[largest].values()]
            groups[CLEAN, largest] = Group({"measure": CLEAN}, tuple(clean))
        return groups

    def _doubts(self, net: Train, trials: Sequence[Trial]) -> tuple[str, ...]:
        """The failed checks of a net, and of the attacks on it by which it is ranked."""
        attacks = [trial.attack for trial in trials]
        failed = (
            f"{finding.reason} ({type(task.check).__name__})"
            for task, finding in self.holdings.findings.items()
            if finding.status == "fails"
            and task.check.gates
            and without_seed(task.train) == net
            and (not task.of or task.of[0].attack in attacks)
        )
        return tuple(dict.fromkeys(failed))


def _of(
    measure: str, groups: Mapping[tuple[str, Trial], Group], numbers: Mapping[Group, Summary]
) -> dict[Trial, Summary]:
    return {trial: numbers[group] for (name, trial), group in groups.items() if name == measure}


def _reading(measure: str, trials: Sequence[Trialled], outcomes: Outcomes) -> Reading:
    """A number of one training, as a spec's measure would give it."""
    first = trials[0].train
    name, fields = MEASURES[measure]
    method = cast(Measure, make_shipped("measure", name, fields))
    goal = Score(method, tuple(own.parts for own in trials), worst_of=len(trials))
    coords: Coords = {"measure": measure, "seed": first.seed}
    attacked = tuple(Attacked(type(own.trial.attack).__name__, {}) for own in trials)
    return Reading(Cell(coords, goal, attacked), coords, Row(outcomes))


def _worst(trials: Sequence[Trialled]) -> Outcomes:
    """Whether each example that all trials have withstands all of them."""
    common = sorted(reduce(frozenset.intersection, [own.examples for own in trials]))
    columns: list[Tensor] = []
    for own in trials:
        places = {example: place for place, example in enumerate(own.index.tolist())}
        rows = torch.tensor([places[example] for example in common], dtype=torch.long)
        columns.append((own.prediction_adv == own.y)[rows])
    withstood = torch.stack(columns).all(0)
    return Outcomes(withstood, torch.tensor(common, dtype=torch.int64), SHARES)


def _clean(own: Trialled) -> Outcomes:
    return Outcomes(own.prediction == own.y, own.index, SHARES)


def _same(own: Trialled) -> Outcomes:
    return Outcomes(own.prediction_adv == own.prediction, own.index, SHARES)


# ─ places ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Order:
    """For each net, those that are better beyond chance, and those of which it is not decided."""

    above: Mapping[Train, frozenset[Train]]
    undecided: Mapping[Train, frozenset[Train]]


def better_nets(robust: Mapping[Train, Group], estimator: Estimator) -> Order:
    """Which nets are better than others by their paired differences, corrected for all pairs."""
    pairs = list(itertools.combinations(robust, 2))
    outcomes = {(a, b): _decided(robust[a], robust[b], estimator) for a, b in pairs}
    levels = dict(zip(pairs, holm([p for _, p in outcomes.values()]), strict=True))
    above: dict[Train, set[Train]] = {net: set() for net in robust}
    undecided: dict[Train, set[Train]] = {net: set() for net in robust}
    for (first, second), (outcome, _) in outcomes.items():
        if levels[first, second] > LEVEL or outcome == "not decided":
            undecided[first].add(second)
            undecided[second].add(first)
        elif outcome == "higher":
            above[second].add(first)
        else:
            above[first].add(second)
    return Order(_frozen(above), _frozen(undecided))


def _decided(first: Group, second: Group, estimator: Estimator) -> tuple[str, float]:
    difference = estimator.estimate(first) - estimator.estimate(second)
    return decided(*difference.interval()), p_value(difference, ABOVE)


def _frozen(sets: Mapping[Train, set[Train]]) -> dict[Train, frozenset[Train]]:
    return {net: frozenset(own) for net, own in sets.items()}


def _ordered(places: Iterable[Place]) -> tuple[Place, ...]:
    """Ranked nets by their robust accuracy, then the others."""

    def order(place: Place) -> tuple[bool, float]:
        number = place.robust
        return place.rank is None, 0.0 if number is None else -number.value

    return tuple(sorted(places, key=order))
