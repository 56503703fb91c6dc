"""The command line: parse, call, print, exit. Each command has its own file.

Nothing heavy is imported before it is needed: help, completion and `list` answer without torch.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from invspec import __version__
from invspec.cli import check, doctor, plan, report, run, samples, schema, store, validate
from invspec.cli import list as listing
from invspec.errors import InvspecError

app = typer.Typer(
    help="Is this classifier too sensitive, too invariant, or both?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(run.run)
app.command()(report.report)
app.command()(check.check)
app.command()(validate.validate)
app.command()(plan.plan)
app.command("list")(listing.list_)
app.command()(schema.schema)
app.command()(doctor.doctor)
app.command()(samples.samples)
app.add_typer(store.app, name="store")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 a task failed, 2 bad spec or option, 130 interrupted."""
    try:
        try:
            app(arguments, prog_name="invspec")
        finally:
            # flushed here, where a closed pipe can be caught
            sys.stdout.flush()
    except InvspecError as problem:
        for part in problem.problems:
            print(f"error: {part}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.callback(invoke_without_command=True)
def about(  # noqa: D103  # a docstring would replace the text of --help
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
