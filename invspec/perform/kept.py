"""Results of attacks that keep their images: what is stored, and what is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from invspec.data import Split, rows_of
from invspec.kinds import Attack


def stored(attack: Attack, columns: dict[str, Tensor]) -> dict[str, Tensor]:
    """The columns to store: without images, if they are those of the data set."""
    if not attack.keeps_images:
        return columns
    return {name: column for name, column in columns.items() if name != "x_adv"}


def with_images(tensors: Mapping[str, Tensor], clean: Split) -> Mapping[str, Tensor]:
    """The stored tensors of an attack, with x_adv from its clean images if it is not stored.

    Stores of earlier versions hold the images of every attack.
    """
    # `name in tensors` may read the tensor
    return tensors if "x_adv" in tuple(tensors) else WithImages(tensors, clean)


class WithImages(Mapping[str, Tensor]):
    """Tensors of an attack that kept its images; x_adv is read from the data set on access."""

    def __init__(self, tensors: Mapping[str, Tensor], clean: Split) -> None:
        self.tensors, self.clean = tensors, clean

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; reads no other images."""
        if name != "x_adv":
            return rows_of(self.tensors, name, start, stop)
        # at least one, for the shape
        positions = torch.arange(start, max(stop, start + 1))
        batches = self.clean.take(positions).batches(len(positions))
        return torch.cat([batch.x.cpu() for batch in batches])[: stop - start]

    def __contains__(self, name: object) -> bool:
        return name == "x_adv" or name in self.tensors

    def __getitem__(self, name: str) -> Tensor:
        return self.rows(name, 0, len(self.clean)) if name == "x_adv" else self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        yield from self.tensors
        yield "x_adv"

    def __len__(self) -> int:
        return len(self.tensors) + 1
