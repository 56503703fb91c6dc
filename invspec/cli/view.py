"""`invspec view`: pages of a store in a browser, drawn again while a run goes on."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from invspec.cli import completion, options
from invspec.cli.options import AS_WRITTEN, DEFAULT_STORE, Data, Selection, StoreOption


@options.selecting
def view(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            help="specs to show (default: all of which the store has a page)",
            autocompletion=completion.specs,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="port on 127.0.0.1; 0 takes a free one", min=0, max=65535)
    ] = 8765,
    data: Data = None,
    store: StoreOption = DEFAULT_STORE,
    selection: Selection = AS_WRITTEN,
) -> None:
    """Serve the pages of a store on 127.0.0.1 until Ctrl-C, with an index; they follow a run.

    No other machine can see them.
    """
    from invspec.cli import serve, studies

    options.set_data(data)
    finished = options.store_at(store)
    print(f"reading the studies of {finished.root}", file=sys.stderr, flush=True)
    folders = options.call(selection.registry, store, data)
    shown = (
        [studies.of_spec(spec, selection, finished, folders) for spec in specs]
        if specs
        else studies.on_shelf(finished, selection, folders)
    )
    with serve.server(shown, port) as listening:
        print(f"http://127.0.0.1:{listening.server_port}/  (Ctrl-C ends it)", flush=True)
        serve.until_interrupted(listening)
