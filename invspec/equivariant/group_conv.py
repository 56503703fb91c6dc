"""Layers that commute with rotations and reflections."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.equivariant.kernels import KernelBasis

# how initial weights are drawn, other than by e2cnn's generalised He initialisation
Initialisation = Literal["conv2d", "groupy"]


class GroupConv(nn.Module):
    """e2cnn's R2Conv as a plain layer: from fields of R channels to fields of G channels.

    G is the number of group elements. weight (out_fields, in_fields, M) holds R2Conv's
    coefficients, bias one number per field.

    The kernel is expanded in every forward pass; R2Conv caches it in eval mode, where it enters the
    state dict and can be stale. The basis is in the state dict, because the weights mean nothing
    without it; R2Conv shares one copy among nets.

    initialisation: None draws the coefficients by e2cnn's generalised He initialisation, and biases
    are 0. Otherwise each entry of the ordinary kernel, and each bias, is uniform within
    1 / sqrt(n). n counts the entries that one output reads, as in nn.Conv2d (conv2d), or is smaller
    by the factor R (groupy), as in the PyTorch version of Cohen and Welling's code. A basis that
    spans only some kernels keeps the variance of an entry, not its distribution.
    """

    basis: Tensor

    def __init__(
        self,
        basis: KernelBasis,
        in_fields: int,
        out_fields: int,
        padding: int = 0,
        initialisation: Initialisation | None = None,
    ) -> None:
        super().__init__()
        self.padding = padding
        if initialisation is None:
            normal = torch.randn(out_fields, in_fields, len(basis.std))
            # e2cnn's generalised He initialisation
            weight = normal * basis.std.to(normal) / math.sqrt(in_fields)
            bias = torch.zeros(out_fields)
        else:
            _, _, channels, *sizes = basis.kernels.shape
            read = in_fields * math.prod(sizes) * (channels if initialisation == "conv2d" else 1)
            bound = 1 / math.sqrt(read)
            weight = bound * uniform_coefficients(basis, in_fields, out_fields)
            bias = torch.empty(out_fields).uniform_(-bound, bound)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.register_buffer("basis", basis.kernels.to(weight, copy=True))

    def expanded(self) -> tuple[Tensor, Tensor]:
        """The ordinary kernel (out_fields * G, in_fields * R, k, k) and bias (out_fields * G,)."""
        # o, i: fields; m: the basis; g, r: group elements of output and input; h, w: pixels
        kernel = torch.einsum("oim,mgrhw->ogirhw", self.weight, self.basis)
        return kernel.flatten(2, 3).flatten(0, 1), self.bias.repeat_interleave(self.basis.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.expanded(), padding=self.padding)

    def export(self) -> nn.Conv2d:
        """The same map as an ordinary convolution, on the same device."""
        kernel, bias = self.expanded()
        fan_out, fan_in, size, _ = kernel.shape
        # On the meta device, so that no initial weights are drawn.
        conv = nn.Conv2d(fan_in, fan_out, size, padding=self.padding, device="meta")
        conv.weight, conv.bias = nn.Parameter(kernel.detach()), nn.Parameter(bias.detach())
        return conv


def uniform_coefficients(basis: KernelBasis, in_fields: int, out_fields: int) -> Tensor:
    """Coefficients (out_fields, in_fields, M) of kernels with entries uniform in [-1, 1).

    Kernels that the basis does not span are replaced by the nearest ones that it spans, scaled so
    that the mean variance of their entries over all group elements stays.
    """
    # the kernel of the first group element determines those of the others
    fit = torch.linalg.pinv(basis.kernels[:, 0].flatten(1))
    fitted = fit @ basis.kernels.flatten(1)
    # 1 where the basis spans all kernels
    scale = math.sqrt(fitted.shape[1]) / fitted.norm().item()
    kernels = 2 * torch.rand(out_fields, in_fields, len(fit)) - 1
    return scale * kernels @ fit.to(kernels)


class GroupBatchNorm(nn.BatchNorm2d):
    """Batch norm of fields over a group, (B, C * G, H, W), as e2cnn's InnerBatchNorm.

    Mean, variance, weight and bias are per field. Statistics per channel would treat the group
    elements differently and so break the symmetry.
    """

    def __init__(self, fields: int, order: int) -> None:
        super().__init__(fields)
        self.order = order

    def forward(self, input: Tensor) -> Tensor:
        # (B, C, G * H, W): the G channels of a field as one
        fields = input.unflatten(1, (-1, self.order)).flatten(2, 3)
        return super().forward(fields).reshape(input.shape)

    def export(self) -> nn.BatchNorm2d:
        """The same map as an ordinary batch norm, on the same device."""
        channels = self.num_features * self.order
        norm = nn.BatchNorm2d(channels, self.eps, self.momentum).to(self.weight)
        norm.load_state_dict(
            {name: self._per_channel(value) for name, value in self.state_dict().items()}
        )
        return norm

    def _per_channel(self, value: Tensor) -> Tensor:
        """A number per field as a number per channel; the count of batches stays as it is."""
        return value.repeat_interleave(self.order) if value.ndim else value


class GroupMax(nn.Module):
    """Maximum over the group: (B, C * G, H, W) to (B, C, H, W).

    amax shares the gradient among ties, which keeps it equivariant.
    """

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.order)).amax(2)


def exported(net: nn.Module) -> nn.Module:
    """The net with ordinary layers in place of equivariant ones; other layers are shared."""
    if isinstance(net, nn.Sequential):
        return nn.Sequential(*(exported(layer) for layer in net))
    return net.export() if isinstance(net, GroupConv | GroupBatchNorm) else net
