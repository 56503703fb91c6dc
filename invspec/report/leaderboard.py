"""Leaderboards of a store: their sheets for a reader, their records for a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from invspec.analysis.boards import Board, Place
from invspec.analysis.estimator import Summary
from invspec.analysis.significance import LEVEL
from invspec.analysis.trials import Holdings, Trial
from invspec.errors import counted
from invspec.plan.coordinates import shown
from invspec.registry.nicknames import nickname
from invspec.report.columns import SIDE
from invspec.report.format import DAGGER, MISSING, measured
from invspec.report.nets import names, net_names, trial_names
from invspec.report.sheets import Sheet

Record = dict[str, Any]
# columns of attacks and of transforms in a table, at most; a file has all
MOST = 3
LEADING = ("dataset", "norm", "eps", "rank", "tied", "model", "training", "seeds")


def records(boards: Sequence[Board]) -> list[Record]:
    """One record for each net of each board, with all its numbers."""
    datasets = names((board.dataset for board in boards), lambda dataset: dataset)
    return [record for board in boards for record in _records(board, datasets[board.dataset])]


def _records(board: Board, dataset: str) -> Iterator[Record]:
    nets = [place.net for place in board.places]
    models, trainings = names(nets, lambda net: net.model), names(nets, lambda net: net.defence)
    attacks = trial_names(_trials(board.places))
    for place in board.places:
        yield {
            "dataset": dataset,
            "norm": board.norm,
            "eps": board.eps,
            "rank": place.rank,
            "tied": place.is_tied,
            "model": models[place.net],
            "training": trainings[place.net],
            "seeds": ", ".join(map(str, place.seeds)),
            **_numbers("robust accuracy", place.robust),
            "attacks": "; ".join(attacks[trial] for trial in board.trials),
            **_numbers("clean accuracy", place.clean),
            **_by_trial("robust accuracy", place.alone, attacks),
            **_by_trial("invariance", place.invariance, attacks),
            "apart": place.reason,
            "health": health(place),
            "doubts": "; ".join(place.doubts),
        }


def _numbers(name: str, number: Summary | None) -> Record:
    values = Record() if number is None else asdict(number)
    return {f"{name} {part}": values.get(part) for part in SIDE}


def _by_trial(name: str, numbers: Mapping[Trial, Summary], attacks: Mapping[Trial, str]) -> Record:
    parts = [_numbers(f"{name}: {attacks[trial]}", own) for trial, own in numbers.items()]
    return {column: value for part in parts for column, value in part.items()}


def columns(rows: Iterable[Record]) -> list[str]:
    """The columns of records: those that all have, then those of single attacks, in their order."""
    return list(dict.fromkeys([*LEADING, *(name for row in rows for name in row)]))


def health(place: Place) -> str:
    """passes, fails, or not checked."""
    if place.doubts:
        return "fails"
    return "passes" if place.is_checked else "not checked"


# ─ for a reader ───────────────────────────────────────────────────────────────────────────────────


def sheets(boards: Sequence[Board], holdings: Holdings) -> list[Sheet]:
    """A table for each board, and what is left out of all of them."""
    datasets = names((board.dataset for board in boards), lambda dataset: dataset)
    title = counted(len(boards), "board")
    return [
        *(_sheet(board, datasets[board.dataset]) for board in boards),
        Sheet(title, notes=tuple(_left_out(boards, holdings))),
    ]


def _sheet(board: Board, dataset: str) -> Sheet:
    nets = net_names(place.net for place in board.places)
    trials = _trials(board.places)
    attacks = trial_names(trials)
    attacked = [trial for trial in trials if not trial.is_transform]
    single = attacked[:MOST] if len(attacked) > 1 else []
    moved = _strongest(trial for trial in trials if trial.is_transform)
    headings = (
        *("rank", "net", "seeds", "robust accuracy", "clean accuracy"),
        *(attacks[trial] for trial in single),
        *(f"invariance under {attacks[trial]}" for trial in moved),
    )
    rows = tuple(
        (
            _rank(place),
            nets[place.net] + (f" {DAGGER}" if place.doubts else ""),
            ", ".join(map(str, place.seeds)),
            _cell(place.robust),
            _cell(place.clean),
            *(_cell(place.alone.get(trial)) for trial in single),
            *(_cell(place.invariance.get(trial)) for trial in moved),
        )
        for place in board.places
    )
    title = f"{dataset}: {board.norm}, eps {shown(board.eps)}"
    return Sheet(title, headings, rows, frozenset(headings[3:]), tuple(_notes(board, nets)))


def _trials(places: Iterable[Place]) -> list[Trial]:
    return list(
        dict.fromkeys(trial for place in places for trial in (*place.alone, *place.invariance))
    )


def _strongest(trials: Iterable[Trial]) -> list[Trial]:
    """The last trial of each transform, as sweeps run upwards."""
    return list({nickname(trial.attack): trial for trial in trials}.values())[:MOST]


def _rank(place: Place) -> str:
    if place.rank is None:
        return "apart"
    return f"{place.rank}{'=' if place.is_tied else ''}"


def _cell(number: Summary | None) -> str:
    if number is None:
        return MISSING
    return f"{measured(number.value)}\n±{measured(number.margin)}"


def _notes(board: Board, nets: Mapping[Any, str]) -> Iterator[str]:
    attacks = trial_names(board.trials)
    of = "the worst of " if len(board.trials) > 1 else ""
    listed = ", ".join(attacks[trial] for trial in board.trials)
    yield f"robust accuracy: {of}{listed}, on {counted(board.examples, 'example')}"
    if len(_trials(board.places)) > 2 * MOST:
        yield "--format csv has the numbers of all attacks and transforms"
    for place in board.places:
        if place.reason:
            yield f"apart: {nets[place.net]}: {place.reason}"
    for place in board.places:
        if place.doubts:
            yield f"{DAGGER} {nets[place.net]}: {'; '.join(place.doubts)}"
    unchecked = [nets[place.net] for place in board.places if not place.is_checked]
    if unchecked:
        yield f"not checked: {'; '.join(unchecked)}"


def _left_out(boards: Sequence[Board], holdings: Holdings) -> Iterator[str]:
    if boards:
        share = f"{100 * LEVEL:g} %"
        yield (
            "rank: 1 + the number of nets that are better by a paired difference, corrected for "
            f"all pairs of a board (Holm, {share}); = where some difference is not decided; ± is "
            "the longer arm of the 95 % interval"
        )
    elsewhere = sum(
        own.trial.threat is None and not own.trial.is_transform for own in holdings.trials
    )
    if elsewhere:
        yield f"on no board: {counted(elsewhere, 'result')} of attacks without a ball of fixed eps"
    for reason, number in holdings.unread.items():
        yield f"{counted(number, 'result')} left out: {reason}"
