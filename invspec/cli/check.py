"""`invspec check`: can the numbers of a spec be relied on?"""

from __future__ import annotations

import typer

from invspec.cli import options
from invspec.cli.executors import Choice
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, SpecName, StoreOption
from invspec.cli.run import BatchSize, Devices, Workers
from invspec.errors import SpecError


@options.selecting
def check(
    spec: SpecName,
    devices: Devices = None,
    workers: Workers = None,
    batch_size: BatchSize = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Check the nets and attacks of a spec, without its other attacks and scores."""
    options.set_data(data)
    choice = Choice(devices=devices, workers=workers, batch_size=batch_size)
    with options.resumable():
        from invspec.cli import session

        finished = options.store_at(store, create=True)
        plan = options.planned(spec, selection, finished)
        if not plan.spec.checks:
            hint = "remove `checks`, or name some"
            raise SpecError("the spec says `checks: none`", where=spec, hint=hint)
        engine = choice.executor()
        plan = session.settled(plan, finished, choice.first_device)
        failed = session.examine(plan, finished, engine)
    raise typer.Exit(1 if failed else 0)
