"""The worst of several attacks."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss, least_classes
from invspec.registry.fields import AttackField, defaults
from invspec.search.fields import MNIST_UNION
from invspec.search.search import Search


class UnionMax(Attack):
    """Run every attack on every example, and keep per example the image of largest loss.

    On ties the first attack wins. With loss margin the result is a misclassified image wherever any
    attack found one, so that the accuracy is worst-case over all attacks; the training of Maini et
    al. compares by cross-entropy. Each attack costs its own passes and one forward pass to judge
    its image; a single attack is not judged, and attacks with eps 0 are skipped. All attacks search
    in the precision of the spec, including those that need float32.

    The default attacks are those of Maini et al. on MNIST. Their l1 attack moves a random number of
    entries per step; MSD with only the l1 ball is that attack, except that it keeps its best image.

    Needs batch.y. Returns x_adv (B, C, H, W).

    Deviates: linf and l2 start at random, as PGD does; the authors' training starts at x.
    """

    attacks: tuple[AttackField, ...] = defaults(
        "attack",
        *MNIST_UNION,
        min_length=1,
        description="attacks that are run on every example",
    )
    loss: Loss = Field(
        default="margin",
        description="loss by which images are compared: margin, ce, dlr or confidence",
    )

    @property
    def accepts(self) -> type | None:
        return next(filter(None, (attack.accepts for attack in self.attacks)), None)

    @property
    def wants_target(self) -> bool:
        return any(attack.wants_target for attack in self.attacks)

    @property
    def wants_generator(self) -> bool:
        return any(attack.wants_generator for attack in self.attacks)

    @property
    def least_classes(self) -> int:
        compared = least_classes(self.loss) if len(self.attacks) > 1 else 2
        return max(compared, *(attack.least_classes for attack in self.attacks))

    @property
    def gradient_loss(self) -> Loss | None:
        return next((loss for attack in self.attacks if (loss := attack.gradient_loss)), None)

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search = Search(model, batch)
        attacks = [attack for attack in self.attacks if getattr(attack, "eps", None) != 0]
        if len(attacks) == 1:
            return attacks[0].perturb(model, batch, rng)
        for attack in attacks:
            inner = attack.perturb(model, batch, rng)
            search.include(inner)
            search.offer(inner.x_adv, LOSSES[self.loss](search.logits(inner.x_adv), batch.y))
        return search.result()
