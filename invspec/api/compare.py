"""Comparisons of two studies, and leaderboards of a store, as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from invspec.analysis import boards, trials
from invspec.api.results import Results, results, store_folder
from invspec.api.specs import Spec
from invspec.cli import options
from invspec.cli.sides import side
from invspec.errors import SpecError
from invspec.registry import cards
from invspec.report import arrow, columns, compared
from invspec.report import leaderboard as page

if TYPE_CHECKING:
    from pandas import DataFrame

# What has results in a store.
Study = str | Path | Mapping[str, Any] | Spec | Results


def compare(
    a: Study,
    b: Study,
    *,
    match: Sequence[str] = (),
    rows: Literal["numbers", "settings"] = "numbers",
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> DataFrame:
    """Two studies side by side; nothing is computed.

    a and b: results of `run` or `results`, each from its own store, or specs as these take them,
    whose results are in `store`. match: texts A=B, of what belongs together under two names:
    "plain=standard" (a label), "pgd.eps:0.1=0.2" (values of a sweep), "pgd.eps:0.1=" (not swept in
    b). data: the folder of data, for the rest of the process.

    Returns a row for each number that a or b has, seeds averaged: its coordinates, the outcome
    (higher, lower, not decided, equal, not comparable, missing, only in A, only in B), the paired
    difference b - a with its 95 % interval low to high, p-values, both numbers, and how they are
    paired. With rows="settings", a row for each setting, version or machine that differs.

    Raises: SpecError if a spec or a match is wrong, or there is no such store.
    """
    if rows not in ("numbers", "settings"):
        raise SpecError(f"no rows {rows!r}", where="rows", hint="expected numbers or settings")
    first, second = (_opened(study, store, data) for study in (a, b))
    comparison = compared.compared(
        side(first.plan, first.store),
        side(second.plan, second.store),
        (first.call, second.call),
        match,
    )
    if rows == "settings":
        return _frame(columns.SETTING, compared.setting_records(comparison))
    records = compared.records(comparison)
    return _frame(columns.names("contrasts", records), records)


def leaderboard(
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
    registry: str | Path | Sequence[str | Path] = (),
) -> DataFrame:
    """All nets of a store by robust accuracy: a row for each net of each data set, norm and eps.

    store: its folder (default: INVSPEC_STORE, else `store`). data: the folder of data, for the rest
    of the process. registry: folders of own cards.

    Raises: SpecError if there is no such store.
    """
    given = [registry] if isinstance(registry, str | Path) else registry
    cards.add_all(list(map(Path, given)))
    options.set_data(None if data is None else Path(data))
    held = trials.holdings(options.store_at(store_folder(store)))
    records = page.records(boards.boards(held))
    return _frame(page.columns(records), records)


def _opened(study: Study, store: str | Path | None, data: str | Path | None) -> Results:
    return study if isinstance(study, Results) else results(study, store=store, data=data)


def _frame(names: Sequence[str], records: Sequence[Mapping[str, Any]]) -> DataFrame:
    return arrow.table(names, records).to_pandas()
