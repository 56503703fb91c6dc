"""DeepFool."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Number
from invspec.ops.draws import Draws
from invspec.ops.losses import Loss
from invspec.ops.norms import DUAL, per_example, size, steepest
from invspec.ops.types import Norm
from invspec.search.gradients import likeliest_others
from invspec.search.minimal_norm import MinimalNorm, Nearest
from invspec.search.search import Search

# Extra length of a step. Otherwise steps would dwindle where pixels at their bounds cannot move.
EXTRA = 1e-4


class DeepFool(MinimalNorm):
    """Step to the nearest face of the linearised decision boundary until the prediction changes.

    A step is the shortest one that, in linear approximation, makes the logit of another class equal
    to that of the label (Algorithm 2; section 3.4 for linf). Only the `candidates` likeliest other
    classes at x are considered. The sum of all steps, times 1 + overshoot, is added to x. An
    example stops at its first adversarial image.

    Returns x_adv (B, C, H, W): x where x is already misclassified, where `steps` updates do not
    fool the model, and where all gradients vanish.

    Deviates: every image is clamped to the box of valid pixels; every step is 1e-4 longer, as in
    the authors' code; and the result is refined (`refine`), which undoes the overshoot. With
    refine 0 the overshoot remains.
    """

    norm: Literal["l2", "linf"] = Field(
        default="l2", description="norm of the perturbation to minimise: l2 or linf"
    )
    steps: int = Field(default=50, ge=1, description="maximum number of updates")
    overshoot: Number = Field(
        default=0.02,
        ge=0,
        description="extra length of the perturbation, as a share, to cross the boundary",
    )
    candidates: int = Field(
        default=10, ge=1, description="number of likeliest other classes considered"
    )

    @property
    def gradient_loss(self) -> Loss:
        return "margin"

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        nearest = Nearest.begin(self, model, batch, rng, self.norm)
        if len(nearest.search):
            # An inner search, because `refine` returns to examples that leave it.
            inner = nearest.inner()
            self._step_out(inner)
            nearest.merge(inner)
        return nearest.refined(self.refine)

    def _step_out(self, nearest: Nearest) -> None:
        search, x_adv = nearest.search, nearest.search.x
        rivals = likeliest_others(search.logits(x_adv), search.y, self.candidates)
        total = torch.zeros_like(x_adv)
        for _ in range(self.steps):
            total = total + to_boundary(search, x_adv, rivals, self.norm)
            x_adv = nearest.valid(search.x + (1 + self.overshoot) * total)
            staying = search.narrow(~nearest.judge(x_adv))
            if staying is not None:
                x_adv, total, rivals = x_adv[staying], total[staying], rivals[staying]
            if not len(search):
                return


def to_boundary(search: Search, x: Tensor, rivals: Tensor, norm: Norm) -> Tensor:
    """The shortest step (M, C, H, W) that takes the logit of some rival just past the label's.

    rivals (M, R) are classes; the logits are linearised at x (M, C, H, W). Costs one forward and R
    backward passes. The step is 0 where the gradients of all differences of logits are 0.
    """
    leaf, step = x.detach().requires_grad_(), torch.zeros_like(x)
    shortest = x.new_full((len(x),), torch.inf)
    with torch.enable_grad():
        logits = search.forward(leaf)
        gaps = (logits.gather(1, rivals) - logits.gather(1, search.y.unsqueeze(1))).unbind(1)
    for gap in gaps:
        # one forward pass serves all rivals
        gradient = search.backward(gap, leaf, keep_graph=True)
        slope = size(gradient, DUAL[norm])
        distance = torch.where(slope > 0, gap.detach().to(x).abs() / slope, torch.inf)
        nearer = distance < shortest
        shortest = torch.where(nearer, distance, shortest)
        candidate = per_example(distance + EXTRA, x) * steepest(gradient, norm)
        step = torch.where(per_example(nearer, x), candidate, step)
    return step
