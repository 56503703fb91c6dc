"""Export to TensorBoard: a folder of events for each run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from invspec.report.tracking import files
from invspec.report.tracking.files import Files
from invspec.report.tracking.runs import Run, Study

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAME, PACKAGE = "TensorBoard", "tensorboard"


def export(study: Study, report_files: Files, output: Path) -> str:
    """Write events below output/STUDY-DIGEST. Returns what to tell the user.

    Every run has its numbers as scalars and its settings as hyperparameters; the report has
    verdicts and provenance as text, and figures as images. Events that are there already stay.
    """
    from torch.utils.tensorboard import SummaryWriter

    folder = output / f"{study.name}-{study.digest}"
    if files.is_done(folder):
        return f"already exported: {folder}"
    for run in (study.summary, *study.nets):
        with SummaryWriter(str(folder / _file_name(run.name))) as writer:
            _write(writer, run)
            if run is study.summary:
                writer.add_text("report", _markdown(study.facts))
                _add_figures(writer, report_files.figures)
    files.finish(folder, study.name, study.digest)
    return f"exported: {folder}\nsee it with: tensorboard --logdir {output}"


def _write(writer: SummaryWriter, run: Run) -> None:
    # it writes the numbers as scalars, too
    writer.add_hparams(dict(run.params), dict(run.metrics), run_name=".")
    for name, curve in run.curves.items():
        for epoch, value in enumerate(curve, 1):
            writer.add_scalar(f"training/{name}", value, epoch)


def _add_figures(writer: SummaryWriter, figures: Iterable[Path]) -> None:
    for path in figures:
        with Image.open(path) as image:
            writer.add_image(path.stem, np.asarray(image.convert("RGB")), dataformats="HWC")


def _markdown(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- **{name}**: {text}" for name, text in facts.items() if text)


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)
