"""Bases of equivariant kernels."""

import ast
from pathlib import Path

import pytest
import torch
from cohen_welling import SPAN

from invspec.equivariant.kernels import Source, kernel_basis, order_of


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


@pytest.mark.parametrize("group", ["c4", "d4"])
@pytest.mark.parametrize("source", ["trivial", "regular"])
def test_a_basis_has_the_shape_of_its_group_and_is_computed_once(
    group: str, source: Source
) -> None:
    order = order_of(group)
    basis = kernel_basis(group, source)
    assert basis.kernels.shape[1:] == (order, 1 if source == "trivial" else order, 3, 3)
    assert basis.std.shape == basis.kernels.shape[:1]
    assert (basis.std > 0).all()
    assert (basis.kernels.dtype, basis.kernels.device.type) == (torch.float64, "cpu")
    assert kernel_basis(group, source) is basis


def test_every_kernel_of_a_basis_commutes_with_quarter_turns() -> None:
    kernels = kernel_basis("c4", "regular").kernels
    # a quarter-turn of the kernel moves both group elements one place on
    turned = kernels.rot90(1, (-2, -1)).roll((1, 1), dims=(1, 2))
    torch.testing.assert_close(turned, kernels, rtol=0, atol=1e-12)


def test_a_basis_does_not_change_the_default_precision_or_device() -> None:
    with torch.device("meta"):
        assert kernel_basis("c2", "trivial", 4).kernels.device.type == "cpu"
    assert torch.get_default_dtype() == torch.float32
