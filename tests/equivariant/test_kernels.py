"""Bases of equivariant kernels."""

import ast
from pathlib import Path

import pytest
import torch
from cohen_welling import SPAN

from invspec.equivariant.kernels import Source, kernel_basis


@pytest.mark.parametrize(("source", "size"), SPAN)
def test_the_bases_span_all_kernels(source: Source, size: int) -> None:
    kernels = kernel_basis("c4", source, size).kernels.flatten(1)
    strengths = torch.linalg.svdvals(kernels)[: SPAN[source, size]]
    assert torch.linalg.matrix_rank(kernels) == SPAN[source, size]
    assert strengths[0] / strengths[-1] < 7  # no kernel needs extreme coefficients


def test_one_module_imports_e2cnn() -> None:
    package = Path(__file__).parents[2] / "invspec"
    importers = [
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom) and "e2cnn" in ast.unparse(node)
    ]
    assert set(importers) == {"kernels.py"}
