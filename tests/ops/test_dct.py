"""The matrix of the DCT."""

from __future__ import annotations

import pytest
import torch

from invspec.ops.dct import dct_matrix


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_dct_is_orthonormal(n: int) -> None:
    matrix = dct_matrix(n)
    torch.testing.assert_close(
        matrix @ matrix.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12
    )
