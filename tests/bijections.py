"""Small bijections and data that the tests of flows and of independence cross-entropy share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.data import TensorSplit

CLASSES = 2


class LinearBijection(nn.Module):
    """z = W x of the D flattened pixels, of which the first two are the logits."""

    def __init__(self, weight: Tensor, shape: tuple[int, int, int] = (1, 2, 2)) -> None:
        super().__init__()
        self.weight, self.shape = nn.Parameter(weight.clone()), shape

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)[0]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        code = x.flatten(1) @ self.weight.T
        return code[:, :CLASSES], code[:, CLASSES:]

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return *self.encode(x), torch.linalg.slogdet(self.weight).logabsdet.expand(len(x))

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        code = torch.cat([semantic, nuisance], dim=1)
        return (code @ torch.linalg.inv(self.weight).T).view(-1, *self.shape)


def orthogonal(seed: int = 0, size: int = 4) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size, generator=torch.Generator().manual_seed(seed))).Q


def told_twice(n: int, seed: int = 0) -> TensorSplit:
    """Both pixels of the first row tell the label, -1 or 1, with noise of deviation 1; the second
    row is all noise.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % CLASSES
    x = torch.randn(n, 1, 2, 2, generator=generator)
    x[:, :, 0] += (2.0 * y - 1).view(-1, 1, 1)
    return TensorSplit(x, y, bounds=(-float("inf"), float("inf")))
