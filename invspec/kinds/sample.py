"""Which examples or pairs an attack runs on."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from invspec.kinds.dataset import SplitName


class Targets(BaseModel):
    """Target images from the same split, never of the source's class.

    They are given by index, or drawn, either for all sources together or for each source.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    per_class: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="this many per class, shared by all sources",
    )
    indices: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(
        default=(), description="positions in the split, shared by all sources"
    )
    nth_of_class: tuple[Annotated[int, Field(ge=0, strict=True)], ...] | None = Field(
        default=None,
        min_length=1,
        description="one per class, shared by all sources: the n-th image of each class in the "
        "split, counted from 0",
    )
    each: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="this many for each source, from all other classes",
    )
    seed: int = Field(default=0, ge=0, strict=True, description="seed of the draw")

    @model_validator(mode="after")
    def _chosen_one_way(self) -> Self:
        known = ("per_class", "indices", "nth_of_class", "each")
        ways = [way for way in known if getattr(self, way)]
        if len(ways) != 1:
            listed = " and ".join(ways) or "none"
            raise ValueError(
                f"expected one of per_class, indices, nth_of_class and each, found {listed}"
            )
        if len(set(self.indices)) < len(self.indices):
            duplicate, _ = Counter(self.indices).most_common(1)[0]
            raise ValueError(f"expected distinct indices, found {duplicate} more than once")
        return self


class Sample(BaseModel):
    """Which examples of a split an attack runs on; with targets, which pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    split: SplitName = "test"
    limit: int | None = Field(
        default=None, ge=1, strict=True, description="first examples of the split"
    )
    per_class: int | None = Field(
        default=None, ge=1, strict=True, description="first examples of each class"
    )
    targets: Targets | None = Field(
        default=None, description="target images, for attacks that need them"
    )

    @model_validator(mode="after")
    def _counted_one_way(self) -> Self:
        if self.limit is not None and self.per_class is not None:
            both = f"limit {self.limit} and per_class {self.per_class}"
            raise ValueError(f"expected one of limit and per_class, found both: {both}")
        return self
