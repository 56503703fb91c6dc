"""Images with the logits of one image and the nuisance of another."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Bijective
from invspec.ops.draws import Draws
from invspec.ops.precise import in_double
from invspec.search.search import Search


class Metamer(Attack):
    """Invert a bijective net at the logits of x and the nuisance of x_target.

    With z_s and z_n the logits and the nuisance of the code F(x), x_adv is
    F^-1(z_s(x), z_n(x_target)): it has exactly the logits of x, whatever it shows. There is no
    search. The path from x to x_adv keeps the logits and interpolates the nuisance,
    (1 - t) z_n(x) + t z_n(x_target) for t = 0, 1 / steps, ..., 1.

    partner self takes the nuisance from x as well and so returns x: a control that shows only the
    error of the inversion and needs no targets.

    A float64 copy of the net is used, since rounding to float32 would change the logits; exact
    holds the unrounded images. They are not clamped to the pixel bounds, which would also change
    the logits. A pass through the net in either direction counts as a forward.

    Needs a bijective model and, for partner target, batch.x_target (B, C, H, W). Returns x_adv and
    exact (B, C, H, W) and, if keep_path, the path (T, B, C, H, W) of T = steps + 1 vertices; the
    first is x, encoded and decoded.
    """

    needs_float32: ClassVar[bool] = True
    leaves_bounds: ClassVar[bool] = True

    partner: Literal["target", "self"] = Field(
        default="target",
        description="source of the nuisance: target, or self as a control of the inversion",
    )
    steps: int = Field(
        default=1, ge=1, description="number of steps of the path, equally long in the nuisance"
    )
    keep_path: bool = Field(default=False, description="return every image on the path")

    @property
    def accepts(self) -> type | None:
        return Bijective

    @property
    def wants_target(self) -> bool:
        return self.partner == "target"

    @property
    def path_vertices(self) -> int:
        return self.steps + 1 if self.keep_path else 0

    @property
    def gradient_loss(self) -> None:
        return None

    @torch.no_grad()
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        search, net = Search(model, batch), cast(Bijective, in_double(model))

        def encode(x: Tensor) -> tuple[Tensor, Tensor]:
            search.passed(forwards=1)
            return net.encode(x.double())

        def decode(semantic: Tensor, nuisance: Tensor) -> Tensor:
            search.passed(forwards=1)
            return net.decode(semantic, nuisance)

        semantic, nuisance = encode(batch.x)
        goal = encode(batch.targets)[1] if self.wants_target else nuisance
        shares = [k / self.steps for k in range(self.steps + 1)] if self.keep_path else [1.0]
        vertices = [decode(semantic, (1 - t) * nuisance + t * goal) for t in shares]
        path = torch.stack(vertices).to(batch.x.dtype) if self.keep_path else None
        result = search.result(vertices[-1].to(batch.x.dtype))
        return replace(result, exact=vertices[-1], path=path)
