"""Splits whose images are transformed before they are attacked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed, Split
from invspec.errors import InvspecError
from invspec.kinds import Attack
from invspec.ops.draws import PerExample, Stream
from invspec.ops.generators import seeded
from invspec.ops.types import Bounds
from invspec.perform.results import checked
from invspec.perform.splits import require_in_bounds
from invspec.perform.words import words


class NoModel(nn.Module):
    """In place of the net, for attacks that say that they ignore it."""

    def __init__(self, attack: Attack) -> None:
        super().__init__()
        self.__dict__["attack"] = attack

    def forward(self, x: Tensor) -> Tensor:
        """Refuse to compute."""
        raise self._refusal("calls the model")

    def __getattr__(self, name: str) -> Any:
        """Refuse attributes of nets. An AttributeError would look as if the net had none."""
        raise self._refusal(f"reads {name} of the model")

    def _refusal(self, use: str) -> InvspecError:
        return InvspecError(
            f"{words(self.__dict__['attack'])} {use}, which it says it ignores",
            hint="set ignores_model = False in its class",
        )


@dataclass(frozen=True)
class Transformed:
    """A split whose images an attack that ignores the model has transformed; labels stay.

    Random draws depend on the transform and the example, so that all nets, attacks and seeds get
    the same images: those that the transform gives as an attack on its own. It runs on the CPU,
    so that its rounding is the same for every device.
    """

    images: Split
    transform: Attack
    device: torch.device | str = "cpu"

    @property
    def bounds(self) -> Bounds:
        """Least and largest value that a pixel may have."""
        return self.images.bounds

    @property
    def index(self) -> Tensor:
        """The numbers of the examples in the whole split, (N,) int64 on the CPU."""
        return self.images.index

    def __len__(self) -> int:
        return len(self.images)

    def head(self, n: int) -> Transformed:
        """The first n examples."""
        return replace(self, images=self.images.head(n))

    def take(self, positions: Tensor) -> Transformed:
        """The examples at positions (M,) int64, which keep their index."""
        return replace(self, images=self.images.take(positions))

    def labels(self) -> Tensor:
        """y (N,) int64."""
        return self.images.labels().to(self.device)

    def to(self, device: torch.device | str) -> Transformed:
        """The same examples; their batches are on another device."""
        return replace(self, device=device)

    def batches(self, size: int, shuffle: Stream | None = None) -> Iterator[Batch]:
        """Batches of at most size examples, in order, or in an order drawn from shuffle."""
        for batch in self.images.batches(size, shuffle):
            x = self._transformed(batch) if len(batch) else batch.x
            yield replace(batch, x=x.to(self.device), y=batch.y.to(self.device))

    def _transformed(self, batch: Batch) -> Tensor:
        """The images of a batch on the CPU after the transform, (B, C, H, W)."""
        name = f"before {type(self.transform).__name__}"
        rng, copy = PerExample(name, batch.index), replace(batch, x=batch.x.clone())
        with seeded(name) as moved:
            result = self.transform.perturb(NoModel(self.transform), copy, rng)
            made = checked(result, Perturbed, self.transform)
            if drawn_from := moved():
                raise InvspecError(
                    f"{words(self.transform)} draws from the global generator of "
                    f"{', '.join(drawn_from)}, so that its images depend on the batch",
                    hint="draw from rng, which perturb is given",
                )
        return _images(made.x_adv.detach(), batch, self.transform)


def _images(x: Tensor, batch: Batch, transform: Attack) -> Tensor:
    """Images that can be attacked. Raises: InvspecError if a transform made no such images."""
    if (x.shape, x.dtype) != (batch.x.shape, batch.x.dtype):
        found, wanted = (f"{tuple(of.shape)} {of.dtype}" for of in (x, batch.x))
        raise InvspecError(f"{words(transform)} returned images {found}, expected {wanted}")
    try:
        require_in_bounds(x, batch.bounds)
    except InvspecError as problem:
        raise InvspecError(f"{words(transform)}: {problem.message}", hint=problem.hint) from None
    return x
