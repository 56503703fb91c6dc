"""Adversarial training on rotated images, both growing harder together."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.kinds import Degrees, Number, Pixels
from invspec.ops.draws import Stream
from invspec.registry.fields import AttackField


class Stage(BaseModel):
    """What a training learns from, from the share `start` of it on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    start: Number = Field(
        ge=0, lt=1, description="share of the training that is over when the stage begins"
    )
    max_degrees: Degrees = Field(
        ge=0, le=180, description="half-width of the stage's rotations, in degrees"
    )
    eps: Pixels = Field(ge=0, description="radius of the stage's ball")


class CuSP(AdversarialTraining):
    """Adversarial training whose rotations and eps grow together, stage by stage; it attacks the rotated image.

    Stages begin at shares of the training and so scale with `epochs`; milestones are epochs and do not. Within a stage
    its max_degrees and eps stand in for the training's max_degrees, which must stay 0, and for the eps of `attack`.
    The default stages are the paper's for CIFAR-10: they begin where lr drops, with epochs 75 and 90 of 120.

    The loss is the cross-entropy of the attacked images; CuSPTRADES has the paper's other one.
    """

    attack: AttackField = Field(
        default=PGD(eps=8 / 255, steps=10, step_size=0.007),
        description="what the model is trained against",
    )
    stages: tuple[Stage, ...] = Field(
        default=(
            Stage(start=0, max_degrees=120, eps=2 / 255),
            Stage(start=74 / 120, max_degrees=150, eps=4 / 255),
            Stage(start=89 / 120, max_degrees=180, eps=8 / 255),
        ),
        description="the curriculum: start, a share of the training; max_degrees; eps",
    )

    @model_validator(mode="after")
    def _stages_in_order(self) -> Self:
        starts = [stage.start for stage in self.stages]
        if starts[:1] != [0] or any(later <= earlier for earlier, later in pairwise(starts)):
            raise ValueError(f"stages start at {starts}; expected 0 and then rising shares")
        return self

    @model_validator(mode="after")
    def _stages_decide(self) -> Self:
        if self.max_degrees:
            raise ValueError(
                f"max_degrees {self.max_degrees:g} is overruled by the stages; give it there"
            )
        if "eps" not in type(self.attack).model_fields:
            raise ValueError(f"{type(self.attack).__name__} has no eps that the stages could set")
        return self

    def prepare(self, model: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        stage = self.stage(progress)
        attack = self.attack.model_copy(update={"eps": stage.eps})
        recipe = self.model_copy(update={"max_degrees": stage.max_degrees, "attack": attack})
        return super(CuSP, recipe).prepare(model, batch, progress, rng)

    def stage(self, progress: float) -> Stage:
        """The stage when the share progress, in (0, 1), of all updates is done."""
        return [stage for stage in self.stages if stage.start <= progress][-1]
