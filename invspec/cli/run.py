"""`invspec run`: compute what is missing, then report."""

from __future__ import annotations

from typing import Annotated

import typer

from invspec.cli import options
from invspec.cli.executors import LEAST, Choice
from invspec.cli.gate import Gate, JUnit, Summary, Wanted
from invspec.cli.options import (
    AS_WRITTEN,
    DEFAULT_STORE,
    Data,
    Selection,
    SpecName,
    StoreOption,
    Strict,
)

Devices = Annotated[str | None, typer.Option(help="cuda:0,cuda:1 or cpu,cpu: one worker on each")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=LEAST["workers"],
        help="number of workers (default: one per GPU, else one per core; 1 on slurm)",
    ),
]
PerDevice = Annotated[
    int, typer.Option(min=LEAST["per_device"], help="number of workers that share a GPU")
]
Engine = Annotated[
    str, typer.Option("--executor", help="local, ray: a Ray cluster, or slurm: jobs of Slurm")
]
Address = Annotated[
    str | None, typer.Option(help="host:port of a Ray cluster (default: one on this machine)")
]
Partition = Annotated[str | None, typer.Option(help="Slurm's partition (default: the site's)")]
Time = Annotated[
    str | None, typer.Option(help="time limit of a Slurm job, which then continues as another (60)")
]
Gres = Annotated[str | None, typer.Option(help="resources of a Slurm job, such as gpu:1")]
Account = Annotated[str | None, typer.Option(help="Slurm's account")]
Host = Annotated[
    str | None, typer.Option(help="name or address of this machine that Slurm's nodes can reach")
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=LEAST["batch_size"], help="number of examples that an attack gets at once"),
]
Patience = Annotated[
    int,
    typer.Option(
        min=LEAST["patience"], help="seconds without a sign of life until a worker is replaced"
    ),
]
Lease = Annotated[
    float, typer.Option(min=1, help="seconds until the tasks of another, silent run are taken over")
]


@options.selecting
def run(
    spec: SpecName,
    devices: Devices = None,
    workers: Workers = None,
    per_device: PerDevice = 1,
    executor: Engine = "local",
    address: Address = None,
    partition: Partition = None,
    time: Time = None,
    gres: Gres = None,
    account: Account = None,
    host: Host = None,
    batch_size: BatchSize = None,
    patience: Patience = 120,
    lease: Lease = 60,
    gate: Gate = False,
    junit: JUnit = None,
    summary: Summary = None,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
    strict: Strict = False,
) -> None:
    """Run what is missing, with live progress, then report."""
    folders = options.call(selection.registry, store, data)
    options.set_data(data)
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
    with options.resumable():
        from invspec.cli import last_run, session

        finished = options.store_at(store, create=True)
        plan = options.planned(spec, selection, finished)
        wanted = Wanted(gate, junit, summary)
        wanted.check(plan)
        session.doubt(plan, strict)
        engine = choice.executor()
        plan = session.settled(plan, finished, choice.first_device)
        failed = session.run(plan, finished, engine, lease)
        last_run.save(finished, last_run.Call(spec, selection, data))
        code = session.show(plan, finished, "rich", None, folders, gate=wanted)
    raise typer.Exit(1 if failed else code)
