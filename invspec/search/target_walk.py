"""Target walks: steps from x towards a target image, each judged by the model's confidence."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, PathPromise, Perturbed
from invspec.kinds import Attack, Confidence
from invspec.ops.losses import Loss, log_odds
from invspec.ops.norms import per_example, size
from invspec.search.search import Search

# A walk has arrived once at most this share of the l2 distance to its target is left.
ARRIVED = 0.01


class TargetWalk(Attack):
    """Base class of target walks: their shared fields, and what their paths promise."""

    needs_float32: ClassVar[bool] = True

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
        if not self.keep_path:
            return 0
        assert self.most_steps is not None, "a path that is kept has a limit"
        # x, possibly a start, and the image after each step
        return self.most_steps + 2

    @property
    @abstractmethod
    def most_steps(self) -> int | None:
        """The number of steps that every pair may try; None if it depends on the pair."""

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

    Each example may try most_steps steps of the attack or, after `limit`, a number of its own.

    With clamp_input, x may leave the pixel bounds, and the model, the path and the result use
    visible (M, C, H, W), which is x clamped. Otherwise every step is clamped, and visible is x.
    """

    def __init__(
        self, attack: TargetWalk, model: nn.Module, batch: Batch, *, clamp_input: bool = False
    ) -> None:
        steps = attack.most_steps or 0
        vertices = 1 + attack.path_promise.jumps + steps if attack.keep_path else None
        self.search = Search(model, batch, vertices=vertices)
        self.attack, self.clamp_input, self.steps_left = attack, clamp_input, steps
        self.tried, self._limit = 0, None
        # of all examples: the active ones, those that have not stopped, and refused starts
        self._rows = self.search.rows
        self._walking = torch.ones_like(batch.y, dtype=torch.bool)
        self._start_refused: Tensor | None = None
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

    def limit(self, steps: Tensor) -> None:
        """Let each active example try its own number of steps (M,) int64, at least 1."""
        self._limit, self.steps_left = steps, int(steps.max())

    def jump(self, x: Tensor) -> None:
        """Start the walk at x (B, C, H, W) where the confidence allows it, else at the source."""
        self._start_refused = ~self._judge(x, wants_gradient=True)

    def attempt(self, x: Tensor) -> Tensor:
        """Step to x (M, C, H, W) where the confidence allows it; returns whether, (M,) bool.

        x is clamped in place. The pass that judges it also gives the gradient for the next step;
        the last step needs none, if it is the last one of all examples.
        """
        self.steps_left, self.tried = self.steps_left - 1, self.tried + 1
        if not self.clamp_input:
            x.clamp_(*self.search.batch.bounds)
        # an example's passes must not depend on the limits of others
        return self._judge(x, wants_gradient=self.steps_left > 0 or self._limit is not None)

    def narrow(self, stay: Tensor, memory: Tensor) -> Tensor:
        """Keep the examples where stay (M,) bool, and that may try another step.

        Returns their rows of memory (M, ...).
        """
        may_stay = stay if self._limit is None else stay & (self._limit > self.tried)
        staying = self.search.narrow(may_stay, self.visible)
        if staying is None:
            return memory
        self._walking[self._rows] = stay
        self._rows = self._rows[staying]
        if self._limit is not None:
            self._limit = self._limit[staying]
        self.x, self.x_target = self.x[staying], self.x_target[staying]
        self.confidence, self.doubt = self.confidence[staying], self.doubt[staying]
        self.gradient, self.visible = self.gradient[staying], self._clamped(self.x)
        return memory[staying]

    def result(self) -> Perturbed:
        """The last images, how the walks ended, and the path if one is kept."""
        result, batch = self.search.result(self.visible), self.search.batch
        ran_out = self._walking & ~has_arrived(batch.x, result.x_adv, batch.targets)
        return replace(result, ran_out=ran_out, start_refused=self._start_refused)

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


def has_arrived(x: Tensor, x_adv: Tensor, x_target: Tensor) -> Tensor:
    """Whether at most 1 % of the l2 distance from x to x_target is left from x_adv, (B,) bool."""
    return size(x_target - x_adv, "l2") <= ARRIVED * size(x_target - x, "l2")


def confidence_in(logits: Tensor, label: Tensor) -> Tensor:
    """The probability of a label (B,): logits (B, K) to (B,)."""
    return logits.softmax(1).gather(1, label.unsqueeze(1)).squeeze(1)
