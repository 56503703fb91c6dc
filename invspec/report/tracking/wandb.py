"""Export to Weights & Biases, offline: a folder for each run, which `wandb sync` uploads."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from invspec.report.tracking import files
from invspec.report.tracking.files import Files
from invspec.report.tracking.runs import Run, Study

NAME, PACKAGE = "Weights & Biases", "wandb"
# those without rows would be tables without columns
TABLES = ("numbers", "verdicts", "checks")


def export(study: Study, report_files: Files, output: Path) -> str:
    """Write offline runs below output/STUDY-DIGEST. Returns what to tell the user.

    Nothing is sent. Every run has its numbers in its summary and its settings in its config; the
    report has the page, the figures, and tables of numbers and verdicts. Runs are named by their
    content, so that uploading them twice makes no second run. Runs that are there already stay.
    """
    folder = output / f"{study.name}-{study.digest}"
    if files.is_done(folder):
        return f"already exported: {folder}"
    with _alone(folder) as wandb:
        for place, run in enumerate((*study.nets, study.summary)):
            with _begun(wandb, study, run, f"{study.digest}-{place}", folder) as begun:
                _write(begun, run)
                if run is study.summary:
                    begun.log(_media(wandb, report_files))
    files.finish(folder, study.name, study.digest)
    return f"exported: {folder}\nupload it with: wandb sync {folder}/wandb/offline-run-*"


@contextmanager
def _alone(folder: Path) -> Generator[ModuleType]:
    """The module wandb, which reports no errors and keeps all of its files in a folder."""
    places = {"WANDB_DATA_DIR": "staged", "WANDB_CACHE_DIR": "cache", "WANDB_CONFIG_DIR": "config"}
    values = {name: str((folder / place).resolve()) for name, place in places.items()}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values, WANDB_ERROR_REPORTING="false")
    try:
        yield import_module("wandb")
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _begun(wandb: ModuleType, study: Study, run: Run, name: str, folder: Path) -> Any:
    config: dict[str, Any] = dict(run.params)
    if run is study.summary:
        config |= {"report": {name: text for name, text in study.facts.items() if text}}
    settings = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_code=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
    )
    return wandb.init(
        mode="offline",
        dir=str(folder),
        project=re.sub(r"[/\\#?%:]", "-", study.name)[:128],
        group=study.digest,
        job_type="report" if run is study.summary else "net",
        id=name,
        name=run.name,
        config=config,
        settings=settings,
    )


def _write(begun: Any, run: Run) -> None:
    epochs = max((len(curve) for curve in run.curves.values()), default=0)
    for epoch in range(epochs):
        curves = {name: curve for name, curve in run.curves.items() if epoch < len(curve)}
        values = {f"training/{name}": curve[epoch] for name, curve in curves.items()}
        begun.log(values, step=epoch + 1)
    begun.summary.update(dict(run.metrics))


def _media(wandb: ModuleType, report_files: Files) -> Mapping[str, Any]:
    """The page, the figures and the tables of a report."""
    frames = {name: pd.read_csv(report_files.folder / f"{name}.csv") for name in TABLES}
    return {
        "page": wandb.Html(report_files.page.read_text(encoding="utf-8"), inject=False),
        **{f"figures/{path.stem}": wandb.Image(str(path)) for path in report_files.figures},
        **{name: wandb.Table(dataframe=frame) for name, frame in frames.items() if len(frame)},
    }
