"""The notebooks run, and what their files show is what they give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import notebooks
import pytest
from nbformat import NotebookNode

# digits differ from machine to machine, and with them the widths of columns
NUMBER = re.compile(r"[-+]?\d[\d.,]*(e[-+]?\d+)?|NaN")


def shapes(notebook: NotebookNode) -> list[list[dict[str, list[str]]]]:
    """The outputs of each cell: the words in their text, without numbers, and no pictures."""
    return [
        [_shape(output) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _shape(output: Any) -> dict[str, list[str]]:
    assert output.output_type in ("display_data", "execute_result"), output
    return {
        kind: sorted({*NUMBER.sub("", text).split()} - {"\\"}) if kind == "text/plain" else []
        for kind, text in output.data.items()
    }


def test_there_are_three() -> None:
    names = {path.stem for path in notebooks.NOTEBOOKS}
    assert names == {"nspgd_and_metamers", "own_net", "quickstart"}


# the quickstart trains four nets
SLOW = {"quickstart"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] if path.stem in SLOW else [])
        for path in notebooks.NOTEBOOKS
    ],
)
def test_a_notebook_gives_what_its_file_shows(path: Path, tmp_path: Path) -> None:
    kept, made = notebooks.read(path), notebooks.executed(path, tmp_path)
    assert shapes(made) == shapes(kept)
    assert any(shapes(kept))
