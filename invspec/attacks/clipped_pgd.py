"""PGD on standardised images, clipped to [-1, 1]."""

from __future__ import annotations

from typing import Annotated, ClassVar, cast

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Centred, Number
from invspec.kinds.units import Unit
from invspec.ops.draws import Draws
from invspec.ops.losses import LOSSES, Loss
from invspec.search.ball import eps_0_skips_model
from invspec.search.search import Search

# pixels of an image after the model has subtracted its mean and divided by its deviation
StandardisedPixels = Annotated[Number, Unit("standardised pixels")]


class ClippedPGD(Attack):
    """PGD in linf on standardised images z = (x - mean) / std, which are clipped to [-clip, clip].

    Kamath et al.'s code: a random start, then steps of a fixed length along the sign of the
    gradient of the cross-entropy, each projected onto the ball around z and then clipped. The
    clipping comes last, as if valid pixels were within [-1, 1]. So it darkens bright pixels by more
    than eps (MNIST's white is 2.82), and lets dark pixels fall below 0. Hence there is no `norm`:
    results leave the ball and the bounds of pixels, and cannot be compared with those of attacks
    that stay within. A tiny eps shows what the clipping alone does.

    A fixed step reaches no large eps: with 10 steps of 2/255, PGD moves by at most 0.08 from its
    random start.

    Needs batch.y. Returns x_adv (B, C, H, W), in pixels. eps 0 returns x without running the model.
    """

    leaves_bounds: ClassVar[bool] = True

    eps: StandardisedPixels = Field(default=8 / 255, ge=0, description="radius of the linf ball")
    steps: int = Field(default=10, ge=1, description="number of updates")
    step_size: StandardisedPixels = Field(
        default=2 / 255, gt=0, description="length of one update in linf"
    )
    clip: StandardisedPixels = Field(
        default=1.0, gt=0, description="images are clipped to [-clip, clip]"
    )

    @property
    def accepts(self) -> type:
        return Centred

    @property
    def gradient_loss(self) -> Loss:
        return "ce"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        net, search = cast(Centred, model), Search(model, batch)
        mean, std = (
            values.to(batch.x).view(1, -1, 1, 1) for values in (net.pixel_mean, net.pixel_std)
        )
        z = (batch.x - mean) / std
        z_adv = self._clipped(z + self.eps * (2 * rng.uniform(tuple(z.shape)).to(z) - 1), z)
        for _ in range(self.steps):
            # std is positive, so the gradients with respect to pixels have the same sign
            gradient = search.gradient(LOSSES["ce"], z_adv * std + mean)
            z_adv = self._clipped(z_adv + self.step_size * gradient.sign(), z)
        return search.result(z_adv * std + mean)

    def _clipped(self, z_adv: Tensor, z: Tensor) -> Tensor:
        """Projected onto the ball around z, then clipped, which may leave the ball."""
        return z_adv.clamp(z - self.eps, z + self.eps).clamp_(-self.clip, self.clip)
