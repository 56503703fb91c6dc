"""The notebooks of docs/, run from their first cell to the last.

    uv run python website/notebooks.py

runs all of them and writes what they print and draw into their files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
# seconds of one cell
PATIENCE = 600


def read(path: Path) -> NotebookNode:
    """A notebook as it is kept."""
    return nbformat.read(path, as_version=4)


def executed(path: Path, folder: Path) -> NotebookNode:
    """A notebook with what its cells give when they run in an empty folder.

    Lines on stderr, such as those of progress, are left out: they have times in them.

    Raises: CellExecutionError if a cell fails.
    """
    notebook = read(path)
    options = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=PATIENCE, resources=options, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def main() -> None:
    """Run all notebooks and keep their outputs."""
    for path in NOTEBOOKS:
        print(path.name, file=sys.stderr)
        with TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)


if __name__ == "__main__":
    main()
