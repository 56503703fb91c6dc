"""Hand-made examples of pairs, judged by the model at hand."""

from __future__ import annotations

from typing import Any

import torch
from columns import filled
from torch import Tensor, nn

from invspec.data import Examples, PathPromise, TensorSplit
from invspec.perform.pairs import PairedSplit


class Sigmoid(nn.Module):
    """Two classes: logits (w.x, 0), so that the confidence in class 0 is sigmoid(w.x)."""

    def __init__(self, w: Tensor) -> None:
        super().__init__()
        self.w = nn.Parameter(w, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        z = x.flatten(1) @ self.w
        return torch.stack([z, torch.zeros_like(z)], dim=1)


class FirstPixels(nn.Module):
    """The first K pixels are the logits."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, : self.classes]


def of_pairs(
    model: nn.Module,
    images: Tensor,
    y: Tensor,
    ends: list[tuple[int, int]],
    x_adv: Tensor,
    path: Tensor | None = None,
    settings: dict[str, Any] | None = None,
    path_promise: PathPromise | None = None,
) -> Examples:
    """Images (N, C, H, W) of classes y; ends are positions (source, target) of each pair in them.

    x_adv (P, C, H, W) and path (P, T, C, H, W) are what the attack left.
    """
    source, target = torch.tensor(ends).unbind(1)
    clean = PairedSplit(TensorSplit(images, y), source, target, torch.arange(len(ends)))
    confidence, prediction = model(images).softmax(1).max(1)
    judged = {
        "index": clean.index,
        "y": y[source],
        "prediction": prediction[source],
        "confidence": confidence[source],
        "source": source,
        "target": target,
        "y_target": y[target],
    }
    tensors = {"x_adv": x_adv} if path is None else {"x_adv": x_adv, "path": path}
    return Examples(clean, filled(judged), tensors, settings or {}, path_promise=path_promise)
