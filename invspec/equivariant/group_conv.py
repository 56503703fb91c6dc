"""Layers that commute with rotations and reflections. The only module that knows e2cnn."""

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
from torch import Tensor, nn
from torch.nn import functional as F

CUTOFF = 4.0  # spans every equivariant 3 x 3 kernel; e2cnn's default leaves out a third of them (and 4 is not a float)


Source = Literal["trivial", "regular"]


class KernelBasis(NamedTuple):
    """kernels (M, G, R, k, k) from one field of R channels to one of G; std (M,) of a fresh layer's coefficients."""

    kernels: Tensor
    std: Tensor


class GroupConv(nn.Module):
    """e2cnn's R2Conv as one plain layer: from fields of R channels to fields of G, one per group element.

    weight (out_fields, in_fields, M) holds R2Conv's coefficients, bias one number a field. The kernel is expanded
    whenever it is needed; R2Conv keeps an expanded one in eval mode, which then is in its state dict and can be out of
    date, and shares one copy of the basis among nets. Here the basis is in the state dict, since the weights mean
    nothing without it.
    """

    basis: Tensor

    def __init__(
        self, basis: KernelBasis, in_fields: int, out_fields: int, padding: int = 0
    ) -> None:
        super().__init__()
        self.padding = padding
        fresh = torch.randn(out_fields, in_fields, len(basis.std))
        self.weight = nn.Parameter(
            fresh * basis.std.to(fresh) / math.sqrt(in_fields)
        )  # e2cnn's generalised He
        self.bias = nn.Parameter(torch.zeros(out_fields))
        self.register_buffer("basis", basis.kernels.to(fresh, copy=True))

    def expanded(self) -> tuple[Tensor, Tensor]:
        """The ordinary kernel (out_fields * G, in_fields * R, k, k) and bias (out_fields * G,)."""
        kernel = torch.einsum("oim,mgrhw->ogirhw", self.weight, self.basis)
        return kernel.flatten(2, 3).flatten(0, 1), self.bias.repeat_interleave(self.basis.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.expanded(), padding=self.padding)

    def export(self) -> nn.Conv2d:
        """The same map as an ordinary convolution, on the same device."""
        kernel, bias = self.expanded()
        fan_out, fan_in, size, _ = kernel.shape
        conv = nn.Conv2d(fan_in, fan_out, size, padding=self.padding, device="meta")
        conv.weight, conv.bias = nn.Parameter(kernel.detach()), nn.Parameter(bias.detach())
        return conv


class GroupBatchNorm(nn.BatchNorm2d):
    """Batch norm of fields over a group, (B, C * G, H, W): one mean, variance, weight and bias a field.

    What e2cnn's InnerBatchNorm does. Statistics of each channel would tell the group elements apart.
    """

    def __init__(self, fields: int, order: int) -> None:
        super().__init__(fields)
        self.order = order

    def forward(self, input: Tensor) -> Tensor:
        fields = input.unflatten(1, (-1, self.order)).flatten(
            2, 3
        )  # (B, C, G * H, W): G channels as one
        return super().forward(fields).reshape(input.shape)

    def export(self) -> nn.BatchNorm2d:
        """The same map as an ordinary batch norm, on the same device."""
        norm = nn.BatchNorm2d(self.num_features * self.order, self.eps, self.momentum).to(
            self.weight
        )
        repeated = {name: self._to_each_channel(value) for name, value in self.state_dict().items()}
        norm.load_state_dict(repeated)
        return norm

    def _to_each_channel(self, value: Tensor) -> Tensor:
        """A number a field as one a channel; the count of batches stays as it is."""
        return value.repeat_interleave(self.order) if value.ndim else value


class GroupMax(nn.Module):
    """Maximum over the group: (B, C * G, H, W) to (B, C, H, W). Ties share the gradient, which keeps it equivariant."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.order)).amax(2)


class SpatialMax(nn.Module):
    """Maximum over all positions: (B, C, H, W) to (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.amax((-2, -1))


def written_out(net: nn.Module) -> nn.Module:
    """The net with its equivariant layers exported; every other layer is the same object."""
    if isinstance(net, nn.Sequential):
        return nn.Sequential(*(written_out(layer) for layer in net))
    return net.export() if isinstance(net, GroupConv | GroupBatchNorm) else net


def order_of(group: str) -> int:
    """Number of elements of c<n> or d<n>."""
    return int(group[1:]) * (2 if group[0] == "d" else 1)


@cache
def kernel_basis(group: str, source: Source, size: int = 3) -> KernelBasis:
    """e2cnn's kernels, in float64 on the CPU, from an image or from a field over the group to such a field.

    They are rings times harmonics. The rings of an odd kernel lie at 0, 1, ... pixels from its centre, as by default.
    An even one has no pixel there, and its rings lie at 1/2, 3/2, .... With CUTOFF the kernels of size 3 and 4 span all
    that commute with quarter-turns.
    """
    with _e2cnn_as_it_expects():
        from e2cnn import nn as steerable  # seconds to import, so only where a net is built

        space = _space(group)
        reads = space.trivial_repr if source == "trivial" else space.regular_repr
        one, other = (
            steerable.FieldType(space, [fields]) for fields in (reads, space.regular_repr)
        )
        rings = [ring + (size + 1) % 2 / 2 for ring in range((size + 1) // 2)]
        conv = steerable.R2Conv(
            one,
            other,
            size,
            rings=rings,
            frequencies_cutoff=CUTOFF,
            initialize=False,
            recompute=True,
        )
        expand = conv.basisexpansion
        kernels = torch.stack([expand(unit) for unit in torch.eye(expand.dimension())])
        return KernelBasis(
            kernels.unflatten(-1, (size, size)), _he_std(list(expand.get_basis_info()))
        )


def _he_std(kernels: list[dict[str, Any]]) -> Tensor:
    """Weiler and Cesa's generalised He initialisation for one field in, one field out: (M,).

    A kernel from one irrep to one place shares its variance with the others of that irrep, and with the other irreps.
    """
    parts = [(kernel["in_irrep"], kernel["out_irreps_position"]) for kernel in kernels]
    alike, irreps = Counter(parts), Counter(place for _, place in set(parts))
    return torch.tensor(
        [1 / math.sqrt(irreps[place] * alike[irrep, place]) for irrep, place in parts]
    )


def _space(group: str) -> Any:
    """e2cnn's name for the plane on which c<n> or d<n> acts."""
    from e2cnn import gspaces

    n = int(group[1:])
    if group[0] == "c":
        return gspaces.Rot2dOnR2(n) if n > 1 else gspaces.TrivialOnR2()
    return gspaces.FlipRot2dOnR2(n) if n > 1 else gspaces.Flip2dOnR2()


@contextmanager
def _e2cnn_as_it_expects() -> Generator[None, None, None]:
    """Run e2cnn 0.2.3 on a torch and a numpy that are younger than it: without their warnings, and with its numbers.

    It indexes by uint8 and has stray backslashes in docstrings; torch and Python warn. It makes tensors of the default
    type, here float64, so that kernels are as exact as they can be. numpy 2 no longer lets np.array(0.0, copy=False)
    pass, which the kernels of the d groups need: they get their phase as an array.
    """
    default = torch.get_default_dtype()
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
