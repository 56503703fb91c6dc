"""Whether a net gives an image the same logits every time."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.gradients import logits_at
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack
from invspec.kinds.check import Doubts


class Repeatable(ImageCheck):
    """Logits stay the same in a second pass, in another order and in smaller batches.

    A change is measured relative to the range of the image's logits, and counts if it is also
    larger than what float32 rounds off the largest logit.
    """

    doubts: ClassVar[Doubts] = "everything"
    all_images: ClassVar[bool] = True

    tolerance: float = Field(
        default=1e-4, gt=0, description="largest change of a logit, relative to the logits' range"
    )
    batch_size: int = Field(default=16, ge=1, description="images in each of the smaller batches")

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        x = chosen.batch.x
        logits = logits_at(model, x)
        again = (
            logits_at(model, x),
            logits_at(model, x.flip(0)).flip(0),
            torch.cat([logits_at(model, part) for part in x.split(self.batch_size)]),
        )
        changed = [self._differ(logits, others) for others in again]
        flags = torch.stack(changed).any(0)
        circumstance = (
            "from one pass to the next" if changed[0].any() else "with the other images of a batch"
        )
        return at_most(
            0.0,
            flags,
            f"the logits of {counted(flags)} change {circumstance}",
            "put the net in eval mode; look for dropout, noise or batch statistics in it",
        )

    def _differ(self, logits: Tensor, others: Tensor) -> Tensor:
        """Which rows of logits (B, K) differ by more than rounding, (B,) bool."""
        extent = logits.amax(1) - logits.amin(1)
        rounding = 8 * torch.finfo(torch.float32).eps * logits.abs().amax(1)
        change = (logits - others).abs().amax(1)
        # NaN is the business of another check
        return change > torch.maximum(self.tolerance * extent, rounding)
