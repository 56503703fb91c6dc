"""The results of a spec as data frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invspec.analysis.snapshot import Snapshot
from invspec.api.specs import Spec, spec_of
from invspec.cli import options, session
from invspec.cli.executors import Choice
from invspec.errors import InvspecError, SpecError, counted, suggest
from invspec.execution.store import Store
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.report import contents, export, samples
from invspec.report.contents import Report
from invspec.report.pages import fragments, render
from invspec.report.provenance import Call
from invspec.report.table import Table
from invspec.report.tracking import trackers

if TYPE_CHECKING:
    from pandas import DataFrame, Index


@dataclass(frozen=True, eq=False)
class Results:
    """What a store holds for a spec, as it was when the first frame was made.

    Frames are made anew for each call, so that one may be changed without harm. A notebook shows
    the health, the claims and the tables.
    """

    spec: Spec
    plan: Plan
    store: Store
    call: Call

    def __repr__(self) -> str:
        missing = f", {self.missing} of them missing" if self.missing else ""
        claims = f", {counted(len(self.report.verdicts), 'claim')}" if self.report.verdicts else ""
        cells = counted(len(self.plan.cells), "cell")
        return f"<results of {self.plan.spec.name}: {cells}{missing}{claims}>"

    def _repr_html_(self) -> str:
        return fragments.of_report(self.report)

    @property
    def missing(self) -> int:
        """The number of cells that have not been computed."""
        return self.report.missing

    @property
    def tables(self) -> list[str]:
        """The titles of the report's tables."""
        return [table.title for table in self.report.tables]

    def table(self, which: str | int | None = None) -> DataFrame:
        """A table of the report: a mean over seeds in each place, NaN where it is missing.

        which: its title, the label of a measure that has one table, or its number from 0; not
        needed where there is one table. Rows are indexed by the table's row coordinates, columns by
        the one that runs across, or by the measures; by both where a table has several measures and
        something runs across.

        Raises: SpecError if there is no such table, or several.
        """
        import pandas as pd

        table = self._table(which)
        rows = [line.labels for line in table.lines]
        index = (
            pd.MultiIndex.from_tuples(rows, names=table.rows)
            if len(table.rows) > 1
            else pd.Index([label for row in rows for label in row], name=(*table.rows, None)[0])
            if table.rows
            else pd.RangeIndex(len(rows))
        )
        by_measure = [[line.numbers for line in block.lines] for block in table.blocks]
        values = [
            [None if number is None else number.value for part in parts for number in part]
            for parts in zip(*by_measure, strict=True)
        ]
        return pd.DataFrame(values, index=index, columns=_columns(table), dtype=float)

    def numbers(self) -> DataFrame:
        """A row for each number of a table or figure, with its interval and all coordinates.

        Columns: section, kind (`table`: a mean over seeds with its 95 % interval; `curve`: of
        training, from the lowest to the highest seed; `matrix`: an entry in a figure), table,
        measure, the coordinates, value, low, high, n, seeds, planned_seeds, df, doubts.
        """
        return self._frame("numbers")

    def cells(self) -> DataFrame:
        """A row for each row of a score, each seed by itself, with its interval and its cost."""
        return self._frame("cells")

    def verdicts(self) -> DataFrame:
        """A row for each claim: its text, source, outcome, statistic with interval, p-values."""
        return self._frame("verdicts")

    def checks(self) -> DataFrame:
        """A row for each check of a net or an attack: its number, threshold, status and reason."""
        return self._frame("checks")

    def samples(self) -> DataFrame:
        """A row for each example of each attack: predictions, confidences, distances and cost."""
        import pyarrow as pa

        schema, tables = samples.tables(self.plan, self._seen)
        return pa.concat_tables([schema.empty_table(), *tables]).to_pandas()

    def page(self, folder: str | Path) -> Path:
        """Write the report as a page into a folder. Returns the path of the page."""
        return render.write(self.report, Path(folder))

    def export(self, to: str, folder: str | Path | None = None) -> str:
        """Export the report to an experiment tracker: mlflow, wandb or tensorboard.

        folder: where to write (default: `exports` in the store; for MLflow, if it is set, the
        environment variable MLFLOW_TRACKING_URI). Returns a sentence that says where it is.

        Raises: InvspecError if the tracker's library is not installed, or it cannot be written.
        """
        output = None if folder is None else Path(folder)
        return trackers.export(self.report, self._seen, to, output, self.store.root)

    @cached_property
    def _seen(self) -> Snapshot:
        return Snapshot(self.store)

    @cached_property
    def report(self) -> Report:
        """The report from which the frames are made."""
        return contents.report(self.plan, self._seen, self.call)

    def _frame(self, kind: str) -> DataFrame:
        return export.table(self.report, self._seen, kind).to_pandas()

    def _table(self, which: str | int | None) -> Table:
        tables = self.report.tables
        if isinstance(which, int):
            if not -len(tables) <= which < len(tables):
                raise SpecError(f"no table {which}, found {counted(len(tables), 'table')}")
            return tables[which]
        fitting = [table for table in tables if which in (None, table.title, *_measures(table))]
        if len(fitting) == 1:
            return fitting[0]
        titles = [table.title for table in fitting or tables]
        hint = f"name one by its title or number: {'; '.join(titles)}"
        if not fitting and which is not None:
            names = {name for table in tables for name in (table.title, *_measures(table))}
            raise SpecError(f"no table {which!r}", hint=suggest(which, names, "tables"))
        what = f"tables of {which}" if which is not None else "tables"
        raise SpecError(f"{len(fitting)} {what}, expected one", hint=hint)


def _measures(table: Table) -> list[str]:
    return [block.measure for block in table.blocks]


def _columns(table: Table) -> Index:
    """The index of a table's columns."""
    import pandas as pd

    if not table.others and table.columns is not None:
        return pd.Index(list(table.column_values), name=table.columns)
    if all(block.columns is None for block in table.blocks):
        return pd.Index([block.measure for block in table.blocks], name="measure")
    places = [(block.measure, value) for block in table.blocks for value in block.column_values]
    return pd.MultiIndex.from_tuples(places, names=["measure", "value"])


def results(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> Results:
    """What a store holds for a spec; nothing is computed.

    spec: a path, the name of a spec that ships with invspec, a dictionary, or a `Spec` with a scale
    and other overlays. store: its folder (default: the environment variable INVSPEC_STORE, else
    `store`). data: the folder of data, for the rest of the process (default: INVSPEC_DATA).

    Raises: SpecError if the spec is wrong or there is no such store.
    """
    folder = store_folder(store)
    return _opened(spec_of(spec), options.store_at(folder), folder, data)


def run(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    store: str | Path | None = None,
    data: str | Path | None = None,
    devices: str | None = None,
    workers: int | None = None,
    per_device: int = 1,
    executor: str = "local",
    address: str | None = None,
    partition: str | None = None,
    time: str | None = None,
    gres: str | None = None,
    account: str | None = None,
    host: str | None = None,
    batch_size: int | None = None,
    patience: float = 120,
    lease: float = 60,
    strict: bool = False,
) -> Results:
    """Compute what a store lacks for a spec, with progress on stderr, and return the results.

    spec, store, data: as for `results`; the store is created. The others are the options of
    `invspec run`: devices="cuda:0,cuda:1", workers=4, executor="slurm".

    Raises: SpecError if the spec or an option is wrong; InvspecError if tasks failed, once all
        others are done, so that `results` has what they gave.
    """
    choice = Choice(
        engine=executor,
        devices=devices,
        workers=workers,
        per_device=per_device,
        batch_size=batch_size,
        address=address,
        patience=patience,
        partition=partition,
        time=time,
        gres=gres,
        account=account,
        host=host,
    )
    if not lease >= 1:
        raise SpecError(f"expected at least 1, found {lease}", where="lease")
    engine, folder = choice.executor(), store_folder(store)
    kept = options.store_at(folder, create=True)
    opened = _opened(spec_of(spec), kept, folder, data)
    session.doubt(opened.plan, strict)
    plan = session.settled(opened.plan, kept, choice.first_device)
    if failed := session.run(plan, kept, engine, lease):
        hint = "their reasons are above; results(spec) has what the others gave"
        raise InvspecError(f"{counted(failed, 'task')} failed", hint=hint)
    return Results(opened.spec, plan, kept, opened.call)


def store_folder(given: str | Path | None) -> Path:
    """The folder of a store as it is named: by an argument, the environment, or the default."""
    return Path(given or os.environ.get("INVSPEC_STORE") or options.DEFAULT_STORE)


def _opened(spec: Spec, kept: Store, folder: Path, data: str | Path | None) -> Results:
    """The results of a spec in a store, whose folder was named so."""
    named = None if data is None else Path(data)
    options.set_data(named)
    planned = planner.plan(spec.resolved, options.answers(kept))
    return Results(spec, planned, kept, options.call(spec.folders, folder, named))
