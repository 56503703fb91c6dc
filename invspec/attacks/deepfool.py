"""DeepFool."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number
from invspec.ops.norms import DUAL, per_example, size, steepest
from invspec.ops.types import Norm
from invspec.search.gradients import logits_of
from invspec.search.minimal_norm import MinimalNorm, Nearest, Searched
from invspec.search.survivors import likeliest_others

EXTRA = (
    1e-4  # by how much a step is longer, so that steps into pixels that cannot move do not dwindle
)


class DeepFool(MinimalNorm):
    """Step to the nearest face of the linearised decision boundary until the prediction leaves the label.

    A step is the shortest one that brings some other class, among the `candidates` likeliest at x, level with the
    label, in linear approximation (Algorithm 2; section 3.4 for linf). Their sum, stretched by overshoot, is added to
    x. An example leaves the batch with its first adversarial image.

    Returns x_adv (B, C, H, W), which is x for examples that are misclassified already, where `steps` did not do and
    where every gradient vanishes.

    Deviates: every image is brought into the box of valid pixels; every step is 1e-4 longer, as in the authors' code;
    and the answer is refined (`refine`), which takes back what overshoot added. refine 0 leaves it there.
    """

    norm: Literal["l2", "linf"] = Field(
        default="l2", description="how distance is measured: l2 or linf"
    )
    steps: int = Field(default=50, ge=1, description="most updates of an example")
    overshoot: Number = Field(
        default=0.02, ge=0, description="share of the perturbation that is added to cross over"
    )
    candidates: int = Field(
        default=10, ge=1, description="likeliest other classes that are considered"
    )

    def _search(self, model: nn.Module, batch: Batch, fallback: Tensor) -> Searched:
        nearest, x_adv = Nearest.to(batch.x, self.norm), batch.x.clone()
        total, rivals = (
            torch.zeros_like(batch.x),
            likeliest_others(logits_of(model, batch.x), batch.y, self.candidates),
        )
        rounds = torch.zeros_like(batch.y)
        for _ in range(self.steps):
            rows = (~nearest.found).nonzero().squeeze(1)
            if not len(rows):
                break
            active = batch.take(rows)
            total[rows] += to_boundary(model, x_adv[rows], active.y, rivals[rows], self.norm)
            x_adv[rows] = self._valid(active, active.x + (1 + self.overshoot) * total[rows])
            left = torch.zeros_like(nearest.found)
            left[rows] = logits_of(model, x_adv[rows]).argmax(1) != active.y
            nearest.offer(x_adv, left)
            rounds[rows] += 1
        return Searched(nearest, forwards=1 + 2 * rounds, backwards=rivals.shape[1] * rounds)


def to_boundary(model: nn.Module, x: Tensor, y: Tensor, rivals: Tensor, norm: Norm) -> Tensor:
    """The shortest step (B, C, H, W) to just past where a rival's logit, of rivals (B, M), equals that of y.

    Both are linearised at x. One forward and M backward passes. Where no gradient tells them apart the step is 0.
    """
    leaf, shortest, step = (
        x.detach().requires_grad_(),
        x.new_full((len(x),), torch.inf),
        torch.zeros_like(x),
    )
    with torch.enable_grad():
        logits = model(leaf)
        gaps = (logits.gather(1, rivals) - logits.gather(1, y.unsqueeze(1))).unbind(1)
    for gap in gaps:
        (gradient,) = torch.autograd.grad(gap.sum(), leaf, retain_graph=True)
        slope = size(gradient, DUAL[norm])
        distance = torch.where(slope > 0, gap.detach().to(x).abs() / slope, torch.inf)
        nearer = distance < shortest
        shortest = torch.where(nearer, distance, shortest)
        step = torch.where(
            per_example(nearer, x),
            per_example(distance + EXTRA, x) * steepest(gradient, norm),
            step,
        )
    return step
