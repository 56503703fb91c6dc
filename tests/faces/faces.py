"""One net behind ten faces, of which six mislead PGD. Only the plain one is honest."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.kinds import Model
from invspec.ops.types import Shape

Name = Literal[
    "plain",
    "logits x 1000",
    "T 0.01",
    "T 1e6",
    "noise",
    "quantised",
    "softmax(50 z)",
    "detached",
    "one-hot",
    "NaN",
]


class Masked(nn.Module):
    def __init__(self, face: Name, shape: Shape, classes: int) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        self.face: Name = face
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        match self.face:
            case "quantised":
                return self.net((x * 15).round() / 15)
            case "detached":
                return self.net(x.detach()) + 0 * x.flatten(1).sum(1, keepdim=True)
            case _:
                return self._behind(self.net(x), x)

    def _behind(self, logits: Tensor, x: Tensor) -> Tensor:
        match self.face:
            case "logits x 1000":
                return 1000 * logits
            case "T 0.01":
                return logits / 0.01
            case "T 1e6":
                return logits / 1e6
            case "noise":
                return logits + logits.detach().std() * torch.randn_like(logits)
            case "softmax(50 z)":
                return (50 * logits).softmax(1)
            case "one-hot":
                return F.one_hot(logits.argmax(1), logits.shape[1]) + 0 * logits
            case "NaN":
                # images of 256 grey levels are answered; attacked ones are not
                off = (x * 255 - (x * 255).round()).abs().flatten(1).amax(1) > 1e-2
                return logits.masked_fill(off[:, None], torch.nan)
            case _:
                return logits


class Face(Model):
    """A perceptron of two layers behind a face."""

    face: Name = "plain"

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return Masked(self.face, shape, classes)
