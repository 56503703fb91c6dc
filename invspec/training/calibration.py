"""Layers whose weights are computed from training images, before the first update."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.data import Split
from invspec.kinds import Calibrated

# the first images of the training, whose 2 x 2 patches number half a million on CIFAR-10
IMAGES = 512


@torch.no_grad()
def calibrate(model: nn.Module, data: Split) -> None:
    """Calibrate the layers of a model that need it, in the order in which they are called.

    Each sees what it reads in one pass of the first IMAGES images, in eval mode, after those before
    it were calibrated.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, Calibrated)]
    if not layers:
        return

    def by_inputs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, Calibrated)
        layer.calibrate(inputs[0])

    hooks = [layer.register_forward_pre_hook(by_inputs) for layer in layers]
    training = model.training
    try:
        (batch,) = data.head(IMAGES).batches(IMAGES)
        model.eval()(batch.x)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
