"""Data sets that are generated when they are loaded."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from invspec.kinds.dataset import Dataset, SplitName

TrainCount = Annotated[int, Field(ge=1, description="number of training examples")]
ValCount = Annotated[int, Field(ge=1, description="number of validation examples")]
TestCount = Annotated[int, Field(ge=1, description="number of test examples")]


class Generated(Dataset):
    """Base class of generated data sets, whose fields give their numbers of examples."""

    train: TrainCount
    val: ValCount
    test: TestCount

    def count(self, split: SplitName) -> int:
        """Number of examples in a split."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]
