"""Whether a net computes gradients while it classifies."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from invspec.data import Finding
from invspec.diagnostics.findings import at_most, counted
from invspec.diagnostics.image_check import Chosen, ImageCheck
from invspec.kinds import Attack


class Optimises(ImageCheck):
    """The forward pass computes no gradients of its own, as defences that optimise at test time do.

    Such nets need an attack made for them. Under `no_grad` torch saves no tensor for a backward
    pass, unless the net itself switches gradients on.
    """

    gates: ClassVar[bool] = False
    all_images: ClassVar[bool] = True

    def examine_chosen(self, model: nn.Module, attack: Attack | None, chosen: Chosen) -> Finding:
        saved: list[bool] = []

        def pack(tensor: Tensor) -> Tensor:
            saved.append(True)
            return tensor

        def unpack(tensor: Any) -> Any:
            return tensor

        x = chosen.batch.x[:1]
        with torch.no_grad(), torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            model(x)
        flags = torch.full((len(x),), bool(saved))
        return at_most(
            0.0,
            flags,
            f"the forward pass of {counted(flags)} computes gradients",
            "a net that optimises at test time needs an attack that goes through its optimisation",
        )
