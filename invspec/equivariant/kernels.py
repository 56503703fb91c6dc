"""Bases of equivariant kernels, computed by e2cnn. The only module that imports e2cnn."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

# With this cutoff the basis spans every equivariant 3 x 3 kernel; e2cnn's default leaves out a
# third of them. It must be a float.
CUTOFF = 4.0

Source = Literal["trivial", "regular"]


class KernelBasis(NamedTuple):
    """kernels (M, G, R, k, k) from one field of R channels to one of G channels.

    std (M,) is the standard deviation of the initial coefficients.
    """

    kernels: Tensor
    std: Tensor


def order_of(group: str) -> int:
    """Number of elements of c<n> or d<n>."""
    return int(group[1:]) * (2 if group[0] == "d" else 1)


@cache
def kernel_basis(group: str, source: Source, size: int = 3) -> KernelBasis:
    """e2cnn's kernels from an image, or from a field over the group, to such a field.

    They are in float64 on the CPU. Each kernel is a ring times a harmonic. The rings of an odd
    kernel are 0, 1, ... pixels from its centre, as in e2cnn's default. An even kernel has no pixel
    at its centre, so its rings are at 1/2, 3/2, ... With CUTOFF the kernels of size 3 and 4 span
    all kernels that commute with quarter-turns.
    """
    with _e2cnn_compatibility():
        # Importing e2cnn takes seconds, so only nets that need a basis pay for it.
        from e2cnn import nn as steerable

        space = _space(group)
        source_repr = space.trivial_repr if source == "trivial" else space.regular_repr
        conv = steerable.R2Conv(
            steerable.FieldType(space, [source_repr]),
            steerable.FieldType(space, [space.regular_repr]),
            size,
            rings=[ring + (size + 1) % 2 / 2 for ring in range((size + 1) // 2)],
            frequencies_cutoff=CUTOFF,
            initialize=False,
            recompute=True,
        )
        expand = conv.basisexpansion
        # each basis kernel is the expansion of a unit coefficient vector
        kernels = torch.stack([expand(unit) for unit in torch.eye(expand.dimension())])
        std = _he_std(list(expand.get_basis_info()))
        return KernelBasis(kernels.unflatten(-1, (size, size)), std)


def _he_std(kernels: list[dict[str, Any]]) -> Tensor:
    """Weiler and Cesa's generalised He initialisation for one field in and one field out: (M,).

    The variance of each output irrep is divided equally among its input irreps, then among the
    kernels of each.
    """
    parts = [(kernel["in_irrep"], kernel["out_irreps_position"]) for kernel in kernels]
    kernels_of_part = Counter(parts)
    irreps_of_place = Counter(place for _, place in set(parts))
    return torch.tensor(
        [
            1 / math.sqrt(irreps_of_place[place] * kernels_of_part[irrep, place])
            for irrep, place in parts
        ]
    )


def _space(group: str) -> Any:
    """e2cnn's object for the plane on which c<n> or d<n> acts."""
    from e2cnn import gspaces

    n = int(group[1:])
    if group[0] == "c":
        return gspaces.Rot2dOnR2(n) if n > 1 else gspaces.TrivialOnR2()
    return gspaces.FlipRot2dOnR2(n) if n > 1 else gspaces.Flip2dOnR2()


@contextmanager
def _e2cnn_compatibility() -> Generator[None, None, None]:
    """Make e2cnn 0.2.3 work with newer versions of torch and numpy, and compute in float64.

    - It indexes by uint8 and has invalid escapes in docstrings; the warnings are silenced.
    - It makes tensors of the default dtype; float64 makes the kernels as exact as they can be.
    - numpy 2 refuses np.array(0.0, copy=False), which it uses for the d groups; their phase is
      passed as an array instead.
    """
    default = torch.get_default_dtype()
    # the basis is cached, so it must not depend on the device or dtype of the first caller
    with warnings.catch_warnings(), torch.device("cpu"):
        warnings.filterwarnings("ignore", "indexing with dtype torch.uint8", UserWarning)
        warnings.filterwarnings("ignore", ".*invalid escape sequence", DeprecationWarning)
        warnings.filterwarnings("ignore", ".*invalid escape sequence", SyntaxWarning)
        from e2cnn.kernels import irreps_basis

        psichi = irreps_basis.psichi
        try:
            torch.set_default_dtype(torch.float64)
            irreps_basis.psichi = lambda *arguments, gamma, **named: psichi(
                *arguments,
                **named,
                gamma=np.asarray(gamma),  # pyright: ignore[reportArgumentType]
            )
            yield
        finally:
            irreps_basis.psichi = psichi
            torch.set_default_dtype(default)
