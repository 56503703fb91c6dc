"""Images that keep the logits of one image and take all else from another."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Bijective
from invspec.ops.draws import Draws
from invspec.ops.precise import in_double


class Metamer(Attack):
    """The image whose code has the logits of x and the nuisance of x_target, found by running the net backwards.

    With z_s and z_n the two parts of the code F(x) it is F^-1(z_s(x), z_n(x_target)): the net gives it the very logits
    of x, whatever it shows. Nothing is searched for. The path to it keeps the logits and takes the nuisance in a
    straight line, (1 - t) z_n(x) + t z_n(x_target) for t = 0, 1 / steps, ..., 1.

    partner self takes the nuisance from x too, so that all of this gives x back: a control, which shows the error of
    the inversion alone, and needs no targets.

    It is done in float64 by a copy of the net, as rounding to float32 would change the logits; exact has the images
    before it. Nothing is clipped to the pixels' bounds, which changes the logits too. A pass through the net in either
    direction counts as a forward.

    Needs a bijective model and, for partner target, batch.x_target (B, C, H, W). Returns x_adv and exact
    (B, C, H, W) and, if keep_path, the path (T, B, C, H, W) of T = steps + 1 vertices, whose first is x, decoded.
    """

    needs_float32: ClassVar[bool] = True
    leaves_bounds: ClassVar[bool] = True

    partner: Literal["target", "self"] = Field(
        default="target",
        description="whose nuisance it takes: the target's, or self, a control of the inversion",
    )
    steps: int = Field(default=1, ge=1, description="of the path, of equal length in the nuisance")
    keep_path: bool = Field(default=False, description="return every image on the way")

    @property
    def accepts(self) -> type | None:
        return Bijective

    @property
    def wants_target(self) -> bool:
        return self.partner == "target"

    @torch.no_grad()
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        net = cast(Bijective, in_double(model))
        semantic, nuisance = net.encode(batch.x.double())
        goal = net.encode(batch.targets.double())[1] if self.wants_target else nuisance
        shares = [k / self.steps for k in range(self.steps + 1)] if self.keep_path else [1.0]
        vertices = [net.decode(semantic, (1 - t) * nuisance + t * goal) for t in shares]
        exact, path = (
            vertices[-1],
            torch.stack(vertices).to(batch.x.dtype) if self.keep_path else None,
        )
        found = Perturbed.costing(
            exact.to(batch.x.dtype), 1 + self.wants_target + len(shares), backwards=0
        )
        return replace(found, exact=exact, path=path)
