"""Images with the activations of another image, found by search, for nets without an inverse."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Number
from invspec.ops.draws import Draws
from invspec.ops.norms import per_example
from invspec.scoring.preimages import activations
from invspec.search.search import Search

# Moments of adam, as it is commonly used.
BETAS = (0.9, 0.999)
TINY = 1e-12


class LayerMetamer(Attack):
    """Search an image with the activations of x at one layer, or with its logits.

    x_adv starts as uniform noise, or at x_target, and follows the gradient of
    ||F_i(x_adv) - F_i(x)|| / ||F_i(x)||, by adam with a step size that falls to 0 along a cosine;
    pixels are clamped to their range at each step. The image with the smallest distance is kept.
    So x_adv lies in the i-th layer pre-image of x (Definition 1) to within a tolerance, which
    `preimage` judges; what it shows tells what the layer is invariant to.

    For a bijective net, `metamer` computes such images without a search.

    Deviates: Feather et al. take 24,000 steps, with a step size that is halved every 3,000, and
    reject images that the net labels otherwise.

    Needs batch.x_target (B, C, H, W) for start target. Returns x_adv (B, C, H, W).

    Raises: InvspecError where the net has no such layer.
    """

    needs_float32: ClassVar[bool] = True

    layer: str = Field(
        default="logits", description="path of a module of the net, like features.0, or logits"
    )
    start: Literal["noise", "target"] = Field(
        default="noise", description="where the search starts: noise, or the target image"
    )
    steps: int = Field(default=500, ge=1, description="number of updates")
    step_size: Number = Field(default=0.05, gt=0, description="step size of adam at the first step")

    @property
    def wants_target(self) -> bool:
        return self.start == "target"

    @property
    def gradient_loss(self) -> Literal["ce"]:
        # the gradient of all activations vanishes where that of the logits does
        return "ce"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, low_high = Search(model, batch), batch.bounds
        with torch.no_grad():
            aim = self._activations(search, batch.x)
        size = aim.norm(dim=1).clamp_min(TINY)
        x = self._start(batch, rng)
        mean, square = torch.zeros_like(x), torch.zeros_like(x)
        least, best = torch.full_like(size, math.inf), x
        for step in range(self.steps + 1):
            leaf = x.detach().requires_grad_()
            with torch.enable_grad():
                distance = (self._activations(search, leaf) - aim).norm(dim=1) / size
            is_nearer = distance.detach() < least
            best = torch.where(per_example(is_nearer, x), x, best)
            least = torch.where(is_nearer, distance.detach(), least)
            if step == self.steps:
                break
            gradient = search.backward(distance, leaf)
            mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
            square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
            unbiased = mean / (1 - BETAS[0] ** (step + 1))
            scale = (square / (1 - BETAS[1] ** (step + 1))).sqrt() + TINY
            rate = self.step_size * (1 + math.cos(math.pi * step / self.steps)) / 2
            x = (x - rate * unbiased / scale).clamp(*low_high)
        return search.result(best)

    def _start(self, batch: Batch, rng: Draws) -> Tensor:
        if self.start == "target":
            return batch.targets
        low, high = batch.bounds
        noise = rng.uniform(tuple(batch.x.shape)).to(batch.x)
        # without a range, noise of the scale of pixels
        return low + (high - low) * noise if math.isfinite(high - low) else noise

    def _activations(self, search: Search, x: Tensor) -> Tensor:
        """The layer's output for x (B, C, H, W), flattened: (B, d)."""
        search.passed(forwards=1)
        layers = () if self.layer == "logits" else (self.layer,)
        outputs = activations(search.model, layers, x)
        return outputs[f"layer {self.layer}" if layers else "logits"]
