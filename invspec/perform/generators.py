"""Generators as attacks use them: a deployed net that makes an image of each source and target."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from invspec.data import Batch
from invspec.errors import InvspecError
from invspec.ops.operations import forward_operations
from invspec.perform.proxies import Padded, deployed
from invspec.perform.runtime import Runtime
from invspec.perform.words import words
from invspec.tasks import Train


class Generator:
    """The trained generator of a task."""

    def __init__(self, task: Train, net: Padded) -> None:
        self.task, self.net = task, net

    @classmethod
    def of(cls, task: Train, runtime: Runtime) -> Self:
        """The deployed generator, on the device of the runtime."""
        return cls(task, deployed(task, runtime))

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Tensor:
        """What it makes of sources and targets, (B, C, H, W), within the bounds of pixels.

        Raises: InvspecError if these are no such images, or have pixels that are not finite.
        """
        images = self.net(torch.cat([batch.x, batch.targets], dim=1))
        if not isinstance(images, Tensor) or images.shape != batch.x.shape:
            form = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InvspecError(
                f"generator {words(self.task.model)} returned {form}, expected images of shape "
                f"{tuple(batch.x.shape)}"
            )
        # NaN and infinities spread to the sum
        if not math.isfinite(images.double().sum().item()):
            raise InvspecError(
                f"generator {words(self.task.model)} returned pixels that are not finite",
                hint="lower the lr of its training",
            )
        return images.to(batch.x.dtype).clamp(*batch.bounds)

    def operations(self, batch: Batch) -> Tensor:
        """Its arithmetic operations for each example, (B,) int64."""
        return torch.full((len(batch),), self._operations, dtype=torch.int64)

    @cached_property
    def _operations(self) -> int:
        channels, *sides = self.task.dataset.shape
        return forward_operations(self.net, torch.zeros(1, 2 * channels, *sides))
