"""Target walks: steps from x towards a target image, each judged by the model's confidence."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, PathPromise, Perturbed
from invspec.kinds import Attack, Confidence
from invspec.ops.losses import Loss, log_odds
from invspec.ops.norms import per_example
from invspec.search.search import Search


class TargetWalk(Attack):
    """Base class of target walks: their shared fields, and what their paths promise."""

    needs_float32: ClassVar[bool] = True

    steps: int = Field(default=100, ge=1, description="number of steps tried")
    max_drop: Confidence = Field(
        default=0.05, ge=0, le=1, description="largest loss of confidence along the walk"
    )
    strict: bool = Field(default=False, description="also refuse a loss of exactly max_drop")
    keep_path: bool = Field(default=False, description="return every image of the walk")

    @property
    def gradient_loss(self) -> Loss | None:
        return "confidence"

    @property
    def wants_target(self) -> bool:
        return True

    @property
    def path_vertices(self) -> int:
        # x, possibly a start, and the image after each step
        return self.steps + 2 if self.keep_path else 0

    @property
    @abstractmethod
    def path_promise(self) -> PathPromise:
        """What holds for every path of this walk."""


class Walk:
    """The state of a target walk on one batch.

    For the M active examples, x and x_target (M, C, H, W) are the current images and the targets;
    label and confidence (M,) are the model's prediction for the source; doubt (M,) is 1 minus the
    confidence in that label at x; and gradient (M, C, H, W) is that of the label's log-odds at x,
    which is parallel to the gradient of the confidence, but does not vanish where the confidence
    rounds to 1.

    With clamp_input, x may leave the pixel bounds, and the model, the path and the result use
    visible (M, C, H, W), which is x clamped. Otherwise every step is clamped, and visible is x.
    """

    def __init__(
        self, attack: TargetWalk, model: nn.Module, batch: Batch, *, clamp_input: bool = False
    ) -> None:
        vertices = 1 + attack.path_promise.jumps + attack.steps if attack.keep_path else None
        self.search = Search(model, batch, vertices=vertices)
        self.attack, self.clamp_input, self.steps_left = attack, clamp_input, attack.steps
        self.x, self.visible, self.x_target = batch.x, batch.x, batch.targets
        # the label is known only after this pass, so the objective takes the predicted one
        logits, self.gradient = self.search.logits_and_gradient(
            lambda z, _: log_odds(z, z.argmax(1)), batch.x
        )
        self.search.relabel(logits.argmax(1))
        self.confidence = confidence_in(logits, self.label)
        self.doubt = 1 - self.confidence

    @property
    def label(self) -> Tensor:
        return self.search.y

    @property
    def active(self) -> bool:
        """Whether steps and active examples are left."""
        return self.steps_left > 0 and len(self.search) > 0

    def jump(self, x: Tensor) -> None:
        """Start the walk at x (B, C, H, W) where the confidence allows it, else at the source."""
        self._judge(x, wants_gradient=True)

    def attempt(self, x: Tensor) -> Tensor:
        """Step to x (M, C, H, W) where the confidence allows it; returns whether, (M,) bool.

        x is clamped in place. The pass that judges it also gives the gradient for the next step;
        the last step needs none.
        """
        self.steps_left -= 1
        if not self.clamp_input:
            x.clamp_(*self.search.batch.bounds)
        return self._judge(x, wants_gradient=self.steps_left > 0)

    def narrow(self, stay: Tensor, memory: Tensor) -> Tensor:
        """Keep the examples where stay (M,) bool; returns their rows of memory (M, ...)."""
        staying = self.search.narrow(stay, self.visible)
        if staying is None:
            return memory
        self.x, self.x_target = self.x[staying], self.x_target[staying]
        self.confidence, self.doubt = self.confidence[staying], self.doubt[staying]
        self.gradient, self.visible = self.gradient[staying], self._clamped(self.x)
        return memory[staying]

    def result(self) -> Perturbed:
        """The last images, and the path if one is kept."""
        return self.search.result(self.visible)

    def _clamped(self, x: Tensor) -> Tensor:
        return x.clamp(*self.search.batch.bounds) if self.clamp_input else x

    def _judge(self, x: Tensor, *, wants_gradient: bool) -> Tensor:
        """Move to x where the confidence allows it, and add a vertex to the path."""
        visible, gradient = self._clamped(x), self.gradient
        if wants_gradient:
            logits, gradient = self.search.logits_and_gradient(log_odds, visible)
            if self.clamp_input:
                # the model does not depend on pixels that were clamped
                gradient = gradient.masked_fill(visible != x, 0)
        else:
            logits = self.search.logits(visible)
        confidence = confidence_in(logits, self.label)
        drop = self.confidence - confidence
        # NaN is refused: it compares false either way
        strict, max_drop = self.attack.strict, self.attack.max_drop
        accepted = drop < max_drop if strict else drop <= max_drop
        self._move(accepted, x, 1 - confidence, gradient)
        self.visible = self._clamped(self.x)
        self.search.vertex(self.visible)
        return accepted

    def _move(self, accepted: Tensor, x: Tensor, doubt: Tensor, gradient: Tensor) -> None:
        # in most steps all are accepted, and nothing has to be selected; but to ask a device is to
        # wait for it
        if accepted.device.type != "cpu" or not accepted.all():
            where = per_example(accepted, x)
            x = torch.where(where, x, self.x)
            gradient = torch.where(where, gradient, self.gradient)
            doubt = torch.where(accepted, doubt, self.doubt)
        self.x, self.doubt, self.gradient = x, doubt, gradient


def confidence_in(logits: Tensor, label: Tensor) -> Tensor:
    """The probability of a label (B,): logits (B, K) to (B,)."""
    return logits.softmax(1).gather(1, label.unsqueeze(1)).squeeze(1)
