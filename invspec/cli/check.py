"""`invspec check`: can the numbers of a spec be relied on?"""

from __future__ import annotations

import sys

import typer

from invspec.cli import options
from invspec.cli.executors import Choice
from invspec.cli.options import (
    DEFAULT_STORE,
    Data,
    Registry,
    Scale,
    Set,
    Smoke,
    SpecName,
    StoreOption,
)
from invspec.cli.run import BatchSize, Devices, Workers
from invspec.errors import SpecError


def check(
    spec: SpecName,
    devices: Devices = None,
    workers: Workers = None,
    batch_size: BatchSize = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    scale: Scale = None,
    set: Set = None,
    smoke: Smoke = False,
    registry: Registry = None,
) -> None:
    """Check the nets and attacks of a spec, without its other attacks and scores."""
    options.set_data(data)
    choice = Choice(devices=devices, workers=workers, batch_size=batch_size)
    try:
        from invspec.cli import session

        finished = options.store_at(store, create=True)
        plan = options.planned(spec, scale, set, smoke, registry, finished)
        if not plan.spec.checks:
            hint = "remove `checks`, or name some"
            raise SpecError("the spec says `checks: none`", where=spec, hint=hint)
        engine = choice.executor()
        plan = session.settled(plan, finished, choice.first_device)
        failed = session.examine(plan, finished, engine)
    except KeyboardInterrupt:
        message = "interrupted; finished work is kept, and the same command continues from there"
        print(message, file=sys.stderr)
        raise typer.Exit(130) from None
    raise typer.Exit(1 if failed else 0)
