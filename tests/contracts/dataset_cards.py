"""The data sets of the cards that say all that their class requires."""

from __future__ import annotations

from typing import get_args

from invspec.kinds import Dataset, SplitName
from invspec.registry import cards, methods

SPLITS: tuple[SplitName, ...] = get_args(SplitName)


def complete(name: str) -> bool:
    """Whether a card says all that its class requires: image_folder is nothing without a folder."""
    fields = methods.resolve("dataset", name).model_fields
    return {field for field, about in fields.items() if about.is_required()} <= set(
        cards.card("dataset", name).params
    )


def made(name: str) -> Dataset:
    dataset = methods.make("dataset", name, {})
    assert isinstance(dataset, Dataset)
    return dataset
