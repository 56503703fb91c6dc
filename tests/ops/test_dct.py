"""The matrix of the DCT."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import fft

from invspec.ops.dct import dct_matrix


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_dct_is_orthonormal(n: int) -> None:
    matrix = dct_matrix(n)
    torch.testing.assert_close(
        matrix @ matrix.T, torch.eye(n, dtype=torch.float64), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("n", [1, 2, 7, 16])
def test_the_matrix_is_the_dct_of_scipy(n: int) -> None:
    expected = torch.from_numpy(fft.dct(np.eye(n), type=2, norm="ortho", axis=0))
    torch.testing.assert_close(dct_matrix(n), expected, rtol=0, atol=1e-12)


def test_the_matrix_is_on_the_cpu_whatever_the_device_of_the_first_caller() -> None:
    with torch.device("meta"):
        assert dct_matrix(23).device.type == "cpu"
