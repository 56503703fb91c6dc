"""AutoAttack: attacks without parameters to tune, in sequence."""

from __future__ import annotations

from collections.abc import Mapping
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
from invspec.ops.losses import Loss, margin
from invspec.search.ball import eps_0_skips_model
from invspec.search.fields import Eot
from invspec.search.search import Search

# eot of suite rand in the authors' code
RAND_EOT = 20


class AutoAttack(Attack):
    """APGD on the cross-entropy, APGD on the targeted dlr loss, FAB and Square.

    suite rand, for nets that draw random numbers, is APGD on the cross-entropy and APGD on the dlr
    loss, both with the means of eot passes, by default 20. In the standard suite eot applies to
    both APGD attacks.

    Each attack runs on the examples that are still classified correctly after the ones before it.
    The result is, per example, a misclassified image if there is one, else the image of largest
    margin. The defaults are those of the paper's standard evaluation. A sweep over eps is
    warm-started: both APGD attacks start at batch.start, the result for the next smaller eps.

    Needs batch.y. Returns x_adv (B, C, H, W). eps 0 returns x without running the model.
    Raises: InvspecError if the model has fewer classes than the dlr loss needs: four for the
    targeted one, three for the one of suite rand.

    Deviates from the authors' code: with at most `targets` classes, all classes but y are targets;
    with eot, the logits that decide whether an image is misclassified are means, too.
    """

    sweep_field: ClassVar[str | None] = "eps"
    replaced: ClassVar[Mapping[str, str]] = {"version": "it is called suite: standard or rand"}

    eps: Pixels = Field(default=0.3, ge=0, description="radius of the ball")
    norm: Literal["linf", "l2"] = Field(default="linf", description="shape of the ball: linf or l2")
    steps: int = Field(default=100, ge=1, description="number of updates per run of APGD and FAB")
    restarts: int = Field(
        default=1, ge=1, description="runs of each attack, per target class if it is targeted"
    )
    targets: int = Field(
        default=9, ge=1, description="number of target classes of APGD and FAB, at most classes - 1"
    )
    queries: int = Field(default=5000, ge=1, description="forward passes per run of Square")
    suite: Literal["standard", "rand"] | None = Field(
        default=None,
        description="standard, or rand for nets that draw random numbers; default: standard",
    )
    eot: Eot = None

    def smoke(self) -> Self:
        return super().smoke().model_copy(update={"targets": min(self.targets, 2)})

    @property
    def least_classes(self) -> int:
        return max(attack.least_classes for attack in self.stages)

    @property
    def gradient_loss(self) -> Loss:
        # that of its strongest stage with gradients
        return "dlr"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch, eot=self._eot)
        logits = search.logits(batch.x)
        self._check_classes(logits.shape[1])
        search.narrow(logits.argmax(1) == batch.y)
        for attack in self.stages:
            if not len(search):
                break
            # draws belong to an example, whichever others are still active
            inner = attack.perturb(model, search.active, rng.take(search.rows))
            search.include(inner)
            search.judge(margin, inner.x_adv)
        return search.result()

    @property
    def stages(self) -> tuple[Attack, ...]:
        """The attacks, in order."""
        eps, norm, restarts = self.eps, self.norm, self.restarts
        climb = APGD(eps=eps, norm=norm, restarts=restarts, steps=self.steps, eot=self._eot)
        if self.suite == "rand":
            return (climb, climb.model_copy(update={"loss": "dlr"}))
        return (
            climb,
            climb.model_copy(update={"loss": "dlr_targeted", "targets": self.targets}),
            FAB(eps=eps, norm=norm, restarts=restarts, steps=self.steps, targets=self.targets),
            # the standard evaluation shrinks squares after fixed numbers of proposals
            Square(eps=eps, norm=norm, restarts=restarts, queries=self.queries, rescale=False),
        )

    @property
    def _eot(self) -> int | None:
        return self.eot or (RAND_EOT if self.suite == "rand" else None)

    def _check_classes(self, classes: int) -> None:
        if classes < self.least_classes:
            loss, least = ("dlr", "three") if self.suite == "rand" else ("targeted dlr", "four")
            raise InvspecError(
                f"the {loss} loss of autoattack needs at least {least} classes,"
                f" the model has {classes}",
                hint="run apgd with loss: ce, fab and square instead",
            )
