"""AutoAttack, standard version: four attacks without parameters to tune, each on what the ones before have left."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field
from torch import nn

from invspec.attacks.apgd import APGD
from invspec.attacks.fab import FAB
from invspec.attacks.square import Square
from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.kinds import Attack, Pixels
from invspec.ops.draws import Draws
from invspec.ops.losses import margin
from invspec.search.gradients import logits_of
from invspec.search.survivors import Survivors


class AutoAttack(Attack):
    """APGD on the cross-entropy, APGD on the targeted dlr loss, FAB and Square, each on the survivors of those before.

    The answer is, per example, a misclassified image before any other, then the one of largest margin. The defaults
    are those of the paper's standard evaluation. A sweep over eps is warm-started: both APGD set out from
    batch.start, what a smaller ball gave.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 does not ask the model.
    Raises: InvspecError where the model has fewer than four classes, for which the targeted dlr loss is not defined.

    Deviates from the authors' code: with fewer than targets + 1 classes, all others are aimed at.
    """

    sweep_field: ClassVar[str | None] = "eps"

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    steps: int = Field(default=100, ge=1, description="number of updates of a run of APGD or FAB")
    restarts: int = Field(
        default=1, ge=1, description="runs of each attack, for each target class if it has any"
    )
    targets: int = Field(
        default=9, ge=1, description="classes that APGD and FAB aim at, at most all others"
    )
    queries: int = Field(
        default=5000, ge=1, description="images of a run that Square asks the model about"
    )

    def smoke(self) -> Self:
        return (
            super()
            .smoke()
            .model_copy(update={"queries": min(self.queries, 10), "targets": min(self.targets, 2)})
        )

    @property
    def stages(self) -> tuple[Attack, ...]:
        """The attacks in their order."""
        eps, norm, restarts = self.eps, self.norm, self.restarts
        return (
            APGD(eps=eps, norm=norm, restarts=restarts, steps=self.steps),
            APGD(
                eps=eps,
                norm=norm,
                restarts=restarts,
                steps=self.steps,
                loss="dlr_targeted",
                targets=self.targets,
            ),
            FAB(eps=eps, norm=norm, restarts=restarts, steps=self.steps, targets=self.targets),
            Square(eps=eps, norm=norm, restarts=restarts, queries=self.queries, rescale=False),
        )

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        logits = logits_of(model, batch.x)
        if logits.shape[1] < 4:
            raise InvspecError(
                f"the targeted dlr loss of autoattack compares four logits, the model has {logits.shape[1]}",
                hint="use apgd with loss: ce, fab and square, one by one",
            )
        survivors = Survivors(batch, logits)
        for stage in self.stages:
            rows = survivors.rows
            if not len(rows):
                break
            left = batch.take(rows)
            found = stage.perturb(model, left, rng.take(rows))
            logits = logits_of(model, found.x_adv)
            survivors.asked(rows, found.forwards + 1, found.backwards)
            survivors.offer(rows, found.x_adv, margin(logits, left.y), logits.argmax(1) != left.y)
        return survivors.found()
