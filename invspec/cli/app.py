"""The command line: parse, call, print, exit. Each command has its own file.

Nothing heavy is imported before it is needed: help, completion and `list` answer without torch.
"""

from __future__ import annotations

import errno
import sys
from typing import Annotated

import typer

from invspec import __version__
from invspec.cli import (
    check,
    compare,
    doctor,
    leaderboard,
    plan,
    report,
    reproduce,
    run,
    samples,
    schema,
    store,
    streams,
    validate,
    view,
)
from invspec.cli import list as listing
from invspec.errors import InvspecError

# Errors of writing to a stream.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF, errno.EFBIG)

app = typer.Typer(
    help="Is this classifier too sensitive, too invariant, or both?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(run.run)
app.command()(report.report)
app.command()(view.view)
app.command(cls=compare.TwoSided)(compare.compare)
app.command()(leaderboard.leaderboard)
app.command()(check.check)
app.command()(reproduce.reproduce)
app.command()(validate.validate)
app.command()(plan.plan)
app.command("list")(listing.list_)
app.command()(schema.schema)
app.command()(doctor.doctor)
app.command()(samples.samples)
app.add_typer(store.app, name="store")


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 a task failed, 2 bad spec or option, 130 interrupted.

    With --gate also 3 if a claim fails, 4 if one is undecided.

    Also 1 if the output cannot be written: stdout or its pipe is closed, or its disk is full.
    """
    streams.prepare()
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
        streams.silence_stdout()
        sys.exit(1)
    except OSError as problem:
        if problem.errno not in UNWRITABLE or problem.filename is not None:
            raise
        streams.silence_stdout()
        print(f"error: cannot write the output: {problem.strerror}", file=sys.stderr)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def about(  # noqa: D103  # a docstring would replace the text of --help
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
