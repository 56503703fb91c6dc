"""Checks that look at a few images."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Examples, Finding
from invspec.diagnostics.findings import skipped
from invspec.kinds import Attack, Check
from invspec.ops.draws import Draws
from invspec.ops.modules import device_of


@dataclass(frozen=True)
class Chosen:
    """The images that a check looks at: a batch on the device of the net, with its draws.

    x_adv (B, C, H, W) is what the attack made of them, others are what it made on other nets, and
    standing (B,) bool are those that it left correctly classified.
    """

    batch: Batch
    x_adv: Tensor
    standing: Tensor
    rng: Draws
    others: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: Tensor) -> Chosen:
        """Some of the images, rows (B,) bool."""
        return Chosen(
            self.batch.take(rows),
            self.x_adv[rows],
            self.standing[rows],
            self.rng.take(rows),
            tuple(x_adv[rows] for x_adv in self.others),
        )

    @property
    def survivors(self) -> Chosen:
        """The images that withstood the attack."""
        return self.take(self.standing)


class ImageCheck(Check):
    """Base class of checks that look at a few images, the first that the net classifies correctly.

    all_images: it looks at the first images, whatever their predictions.
    """

    all_images: ClassVar[bool] = False

    images: int = Field(default=64, ge=1, description="largest number of images to look at")

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        """Examine the model on the chosen images; skipped if there are none."""
        correct = examples.judged.correct.cpu()
        rows = (torch.ones_like(correct) if self.all_images else correct).nonzero().squeeze(1)
        if not len(rows):
            return skipped(f"none of {len(correct)} images is classified correctly")
        chosen = choose(examples, rows[: self.images], device_of(model), rng)
        return self.examine_chosen(model, attack, chosen)

    @abstractmethod
    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        """Examine the model on at least one image."""


def choose(examples: Examples, rows: Tensor, device: torch.device, rng: Draws) -> Chosen:
    """The examples at rows (B,) int64, on a device."""
    (batch,) = examples.clean.take(rows).to(device).batches(len(rows))
    x_adv, standing = examples.x_adv[rows], examples.judged.correct_adv[rows.cpu()]
    others = tuple(made[rows.to(made.device)].to(device) for made in examples.others)
    return Chosen(batch, x_adv.to(device), standing.to(device), rng.take(rows), others)
