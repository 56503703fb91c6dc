"""Labels written into parts of an orthogonal code through a channel with known noise."""

import torch
from columns import filled
from torch import nn

from invspec.data import Examples, TensorSplit

D, N = 8, 2000


class Turned(nn.Module):
    """The code is an orthogonal matrix times the pixels; the first K numbers are the logits."""

    def __init__(self, classes=2, seed=0):
        super().__init__()
        turn = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(seed))).Q
        self.turn, self.classes = nn.Parameter(turn, requires_grad=False), classes

    def encode(self, x):
        z = x.flatten(1) @ self.turn.mT
        return z[:, : self.classes], z[:, self.classes :]

    def encode_with_log_det(self, x):
        return *self.encode(x), x.new_zeros(len(x))

    def decode(self, semantic, nuisance):
        return (torch.cat([semantic, nuisance], dim=1) @ self.turn).view(-1, 1, 2, D // 2)

    def forward(self, x):
        return self.encode(x)[0]


def images(model, code, y):
    """Images with that code (N, D)."""
    return TensorSplit(model.decode(code[:, : model.classes], code[:, model.classes :]), y)


def examples(split):
    return Examples(split, filled({"index": split.index, "y": split.y}), {"x_adv": split.pixels})


def channel(semantic_flips, nuisance_flips, seed, n=N, model=None):
    """Balanced labels of two classes, given by a sign in each part of the code unless flipped."""
    rng = torch.Generator().manual_seed(seed)
    y, code = torch.arange(n) % 2, 0.3 * torch.randn(n, D, generator=rng)
    for place, flips in ((0, semantic_flips), (5, nuisance_flips)):
        flipped = torch.rand(n, generator=rng) < flips
        code[:, place] = torch.where(flipped, 1.0 - 2 * y, 2.0 * y - 1) + 0.05 * torch.randn(
            n, generator=rng
        )
    return examples(images(model or Turned(), code, y))
