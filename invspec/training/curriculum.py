"""Rotations and eps that grow in stages."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from invspec.kinds import Attack, Degrees, Number, Pixels
from invspec.training.augmentation import Augmentation


class Stage(BaseModel):
    """Rotations and eps that apply from a share of the training onwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    start: Number = Field(ge=0, lt=1, description="share of the training before the stage begins")
    max_degrees: Degrees = Field(
        ge=0, le=180, description="half-width of the stage's rotations, in degrees"
    )
    eps: Pixels = Field(ge=0, description="radius of the stage's ball")

    def rotating(self, augmentation: Augmentation) -> Augmentation:
        """The augmentation with the stage's rotations."""
        return augmentation.model_copy(update={"max_degrees": self.max_degrees})

    def limited(self, attack: Attack) -> Attack:
        """The attack with the stage's eps."""
        return attack.model_copy(update={"eps": self.eps})


def _in_order(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    starts = [stage.start for stage in stages]
    if starts[:1] != [0] or any(later <= earlier for earlier, later in pairwise(starts)):
        raise ValueError(f"stages start at {starts}; expected increasing shares, the first 0")
    return stages


Stages = Annotated[
    tuple[Stage, ...],
    AfterValidator(_in_order),
    Field(description="the curriculum: start, a share of the training; max_degrees; eps"),
]

# Kamath et al.'s for CIFAR-10: stages begin where lr drops, at epochs 75 and 90 of 120
CIFAR10_STAGES = (
    Stage(start=0, max_degrees=120, eps=2 / 255),
    Stage(start=74 / 120, max_degrees=150, eps=4 / 255),
    Stage(start=89 / 120, max_degrees=180, eps=8 / 255),
)


def stage_at(stages: Sequence[Stage], progress: float) -> Stage:
    """The current stage; progress, in (0, 1), is the share of updates done."""
    return [stage for stage in stages if stage.start <= progress][-1]


class Staged(Protocol):
    """A training with stages that set its rotations and eps."""

    @property
    def max_degrees(self) -> float:
        """The training's own rotations, which must be 0."""
        ...

    @property
    def attack(self) -> Attack:
        """The attack whose eps is replaced."""
        ...


StagedTraining = TypeVar("StagedTraining", bound=Staged)


def require_stages_decide(training: StagedTraining) -> StagedTraining:
    """The training. Raises ValueError if the stages cannot set its rotations and eps."""
    if training.max_degrees:
        raise ValueError(
            f"max_degrees is {training.max_degrees:g}, but the stages set rotations; give it in "
            "the stages"
        )
    if "eps" not in type(training.attack).model_fields:
        raise ValueError(f"{type(training.attack).__name__} has no eps for the stages to set")
    return training
