"""GCNN: convolutions that commute with rotations and reflections. The only module that knows e2cnn."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.data import Shape
from invspec.models.standardise import StandardisedNet
from invspec.models.stdcnn import KERNEL, TableOne, features

CUTOFF = 4.0  # spans every equivariant 3 x 3 kernel; e2cnn's default leaves out a third of them (and 4 is not a float)


class GCNN(TableOne):
    """StdCNN with every convolution equivariant under a group of rotations, or rotations and reflections (Table 1).

    Every channel becomes one channel per group element. The group's quarter-turns and mirrorings hold to rounding if 4
    divides height and width, so that max-pooling meets no odd map; its other rotations hold approximately.

    The heads: `flatten`, the paper's, reads position and group element, so the net is *not* invariant. `group_flatten`
    first takes the maximum over the group, and still reads the position. `invariant` takes it over the positions too.

    Deviates: kernels are spanned by e2cnn's basis. For c4 it spans what Cohen and Welling's P4 convolutions can be, but
    with 38 coefficients where 36 would do (26,750 parameters in the convolutions for their 25,350).
    """

    group: str = Field(
        default="c4", pattern=r"^[cd][1-9]\d?$", description="c<n>: n rotations; d<n>: and their reflections"
    )
    head: Literal["flatten", "group_flatten", "invariant"] = Field(
        default="flatten", description="what the linear layers read; only invariant makes the net invariant"
    )

    @property
    def order(self) -> int:
        """Number of group elements."""
        return int(self.group[1:]) * (2 if self.group[0] == "d" else 1)

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        lifting, deeper = kernel_basis(self.group, "trivial"), kernel_basis(self.group, "regular")
        (channels, narrow), *fans = self.fans(shape[0])
        convs = [GroupConv(lifting, channels, narrow), *(GroupConv(deeper, *fan) for fan in fans)]
        return self._assemble(convs, shape, classes)

    def sketch(self, shape: Shape, classes: int) -> StandardisedNet:
        """The deployed net, which needs no basis and so no e2cnn, without numbers."""
        (channels, narrow), *fans = [(fan_in, fan_out * self.order) for fan_in, fan_out in self.fans(shape[0])]
        with torch.device("meta"):
            convs = [nn.Conv2d(channels, narrow, KERNEL)]
            convs += [nn.Conv2d(fan_in * self.order, fan_out, KERNEL) for fan_in, fan_out in fans]
            return self._assemble(convs, shape, classes)

    def deploy(self, net: nn.Module) -> nn.Module:
        """The trained net with every equivariant convolution written out as an ordinary one."""
        assert isinstance(net, StandardisedNet), f"GCNN built a StandardisedNet, found {type(net).__name__}"
        return super().deploy(StandardisedNet(net.standardise, written_out(net.net)))

    def _assemble(self, convs: Sequence[nn.Module], shape: Shape, classes: int) -> StandardisedNet:
        height, width = self.pooled(shape)
        if self.head == "invariant" and (shape[1] % 4 or shape[2] % 4):
            raise ValueError(f"an invariant head needs height and width that 4 divides, found {shape[1]}x{shape[2]}")
        kept = {"flatten": self.order * height * width, "group_flatten": height * width, "invariant": 1}[self.head]
        net = nn.Sequential(features(*convs), self._head(), self.classifier(self.widths[1] * kept, classes))
        return self.standardised(net, shape[0])

    def _head(self) -> nn.Sequential:
        """What stands between the last map (B, C * G, H, W) and the linear layers."""
        group = [] if self.head == "flatten" else [GroupMax(self.order)]
        space = [SpatialMax()] if self.head == "invariant" else []
        return nn.Sequential(*group, *space, nn.Flatten())


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


class KernelBasis(NamedTuple):
    """kernels (M, G, R, k, k) from one field of R channels to one of G; std (M,) of a fresh layer's coefficients."""

    kernels: Tensor
    std: Tensor


class GroupConv(nn.Module):
    """e2cnn's R2Conv as one plain layer: from fields of R channels to fields of G, one per group element, unpadded.

    weight (out_fields, in_fields, M) holds R2Conv's coefficients, bias one number a field. The kernel is expanded
    whenever it is needed; R2Conv keeps an expanded one in eval mode, which then is in its state dict and can be out of
    date, and shares one copy of the basis among nets. Here the basis is in the state dict, since the weights mean
    nothing without it.
    """

    basis: Tensor

    def __init__(self, basis: KernelBasis, in_fields: int, out_fields: int) -> None:
        super().__init__()
        fresh = torch.randn(out_fields, in_fields, len(basis.std))
        self.weight = nn.Parameter(fresh * basis.std.to(fresh) / math.sqrt(in_fields))  # e2cnn's generalised He
        self.bias = nn.Parameter(torch.zeros(out_fields))
        self.register_buffer("basis", basis.kernels.to(fresh, copy=True))

    def expanded(self) -> tuple[Tensor, Tensor]:
        """The ordinary kernel (out_fields * G, in_fields * R, k, k) and bias (out_fields * G,)."""
        kernel = torch.einsum("oim,mgrhw->ogirhw", self.weight, self.basis)
        return kernel.flatten(2, 3).flatten(0, 1), self.bias.repeat_interleave(self.basis.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.expanded())

    def export(self) -> nn.Conv2d:
        """The same map as an ordinary convolution, on the same device."""
        kernel, bias = self.expanded()
        conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], KERNEL, device="meta")
        conv.weight, conv.bias = nn.Parameter(kernel.detach()), nn.Parameter(bias.detach())
        return conv


def written_out(net: nn.Module) -> nn.Module:
    """The net with its GroupConvs exported; every other layer is the same object."""
    if isinstance(net, nn.Sequential):
        return nn.Sequential(*(written_out(layer) for layer in net))
    return net.export() if isinstance(net, GroupConv) else net


@cache
def kernel_basis(group: str, source: Literal["trivial", "regular"]) -> KernelBasis:
    """e2cnn's kernels, in float64 on the CPU, from an image or from a field over the group to such a field."""
    with _e2cnn_as_it_expects():
        from e2cnn import nn as steerable  # seconds to import, so only where a net is built

        space = _space(group)
        reads = space.trivial_repr if source == "trivial" else space.regular_repr
        one, other = (steerable.FieldType(space, [fields]) for fields in (reads, space.regular_repr))
        conv = steerable.R2Conv(one, other, KERNEL, frequencies_cutoff=CUTOFF, initialize=False, recompute=True)
        expand = conv.basisexpansion
        kernels = torch.stack([expand(unit) for unit in torch.eye(expand.dimension())])
        return KernelBasis(kernels.unflatten(-1, (KERNEL, KERNEL)), _he_std(list(expand.get_basis_info())))


def _he_std(kernels: list[dict[str, Any]]) -> Tensor:
    """Weiler and Cesa's generalised He initialisation for one field in, one field out: (M,).

    A kernel from one irrep to one place shares its variance with the others of that irrep, and with the other irreps.
    """
    parts = [(kernel["in_irrep"], kernel["out_irreps_position"]) for kernel in kernels]
    alike, irreps = Counter(parts), Counter(place for _, place in set(parts))
    return torch.tensor([1 / math.sqrt(irreps[place] * alike[irrep, place]) for irrep, place in parts])


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
            irreps_basis.psichi = lambda *given, gamma, **rest: psichi(*given, **rest, gamma=np.asarray(gamma))  # pyright: ignore[reportArgumentType]
            yield
        finally:
            irreps_basis.psichi = psichi
            torch.set_default_dtype(default)
