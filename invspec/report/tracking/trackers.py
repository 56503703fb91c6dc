"""The experiment trackers that a report can be exported to."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from invspec.analysis.readings import Artifacts
from invspec.errors import InvspecError, SpecError, first_line, suggest
from invspec.report.contents import Report
from invspec.report.tracking import files, mlflow, runs, tensorboard, wandb

TRACKERS = {"mlflow": mlflow, "tensorboard": tensorboard, "wandb": wandb}


def export(report: Report, store: Artifacts, to: str, output: Path | None, root: Path) -> str:
    """Export a report to a tracker. Returns what to tell the user.

    output: the folder to write to. Without one, MLflow goes where MLFLOW_TRACKING_URI says, if that
    is set, and everything else to root/exports/TRACKER, where root is the folder of the store.

    Raises: SpecError if there is no such tracker; InvspecError if its library is not installed,
        nothing is computed yet, or the folder or the server cannot be written to.
    """
    if to not in TRACKERS:
        raise SpecError(f"no tracker {to!r}", where="--to", hint=suggest(to, TRACKERS, "trackers"))
    tracker = TRACKERS[to]
    if find_spec(tracker.PACKAGE) is None:
        hint = f"pip install 'invspec[{to}]'"
        raise InvspecError(f"{tracker.NAME} is not installed", where=f"--to {to}", hint=hint)
    study = runs.study(report, store)
    if not study.nets:
        message = f"nothing of {study.name} is computed yet"
        raise InvspecError(message, where=f"--to {to}", hint="invspec run computes it")
    folder = output or root / "exports" / to
    try:
        with files.written(report, store) as report_files:
            if tracker is mlflow and output is None and os.environ.get(mlflow.VARIABLE):
                return mlflow.export(study, report_files, None)
            return tracker.export(study, report_files, folder)
    except OSError as problem:
        message = f"cannot write {folder}: {first_line(problem)}"
        raise InvspecError(message, where=f"--to {to}", hint="choose another --output") from None
