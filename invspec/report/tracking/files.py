"""The files of an exported report, and the folders that exports are written to."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from invspec.analysis.readings import Artifacts
from invspec.report import export
from invspec.report.contents import Report
from invspec.report.pages import render

# written last, so that a folder without it was left by an interrupted export
DONE = "exported.json"


@dataclass(frozen=True)
class Files:
    """The report as files in a folder: index.html, figures/*.png, report.json and tables as CSV."""

    folder: Path

    @property
    def page(self) -> Path:
        """The page, with its figures inside."""
        return self.folder / "index.html"

    @property
    def figures(self) -> list[Path]:
        """The figures as PNG."""
        return sorted(self.folder.glob("figures/*.png"))


@contextmanager
def written(report: Report, store: Artifacts) -> Generator[Files]:
    """The files of a report, in a folder that is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="invspec-") as name:
        folder = Path(name)
        render.write(report, folder)
        (folder / "report.json").write_text(export.json_text(report, store), encoding="utf-8")
        for kind in export.KINDS:
            text = export.csv_text(report, store, kind)
            (folder / f"{kind}.csv").write_text(text, encoding="utf-8")
        yield Files(folder)


def is_done(folder: Path) -> bool:
    """Whether an export is complete in this folder; what an interrupted one left is removed."""
    if (folder / DONE).exists():
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return False


def finish(folder: Path, name: str, digest: str) -> None:
    """Mark an export as complete."""
    (folder / DONE).write_text(json.dumps({"study": name, "digest": digest}), encoding="utf-8")
