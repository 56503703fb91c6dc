"""Nets that draw random numbers, as a function of the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from invspec.ops.draws import digest
from invspec.ops.generators import seed_torch
from invspec.ops.proxy import ModelProxy


class Averaged(ModelProxy):
    """The mean probabilities of several passes of a net that draws from torch's global generator.

    The draws are seeded by the image, one image at a time. So the same image always gets the same
    logits, whatever is beside it in a batch, and the draws of different images are independent.
    """

    def __init__(self, net: nn.Module, passes: int) -> None:
        super().__init__(net)
        self.passes = passes

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to the logarithms (B, K) of the mean probabilities."""
        return torch.cat([self._image(image) for image in x.split(1)])

    def _image(self, x: Tensor) -> Tensor:
        devices = [x.device] if x.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            seed_torch(seed_of(x))
            log_probs = torch.stack([self.net(x).log_softmax(1) for _ in range(self.passes)])
        return log_probs.logsumexp(0) - torch.tensor(self.passes, device=x.device).log()


def seed_of(x: Tensor) -> int:
    """A seed that depends on every bit of an image (1, C, H, W)."""
    content = x.detach().cpu().contiguous().numpy().tobytes()
    return int.from_bytes(digest(content.hex())[:8], "big") >> 1
