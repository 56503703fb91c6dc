"""The mean corruption error."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import nn

from invspec.corruptions.severities import COMMON, Corruption
from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.ops.types import SHARES, Range
from invspec.scoring.rows import mean

SEVERITIES = (1, 2, 3, 4, 5)
# errors of AlexNet on ImageNet-C, means over the five severities, as the benchmark divides by them;
# Table 1 of the paper has them as rounded percentages
ALEXNET: Mapping[Corruption, float] = {
    "gaussian_noise": 0.886428,
    "shot_noise": 0.894468,
    "impulse_noise": 0.922640,
    "defocus_blur": 0.819880,
    "glass_blur": 0.826268,
    "motion_blur": 0.785948,
    "zoom_blur": 0.798360,
    "snow": 0.866816,
    "frost": 0.826572,
    "fog": 0.819324,
    "brightness": 0.564592,
    "contrast": 0.853204,
    "elastic_transform": 0.646056,
    "pixelate": 0.717840,
    "jpeg_compression": 0.606500,
}


class MeanCorruptionError(Measure):
    """The error on corrupted images: the mean over severities, then over corruptions.

    Needs the attack `corruption` with `severity`, `corruption` or both swept. With the baseline
    alexnet the error on each corruption, summed over the five severities, is divided by that of
    AlexNet on ImageNet-C before the mean is taken (Section 3.3): 1 means as bad as AlexNet. That
    needs all 15 corruptions of the benchmark at all severities. Without a baseline it is the mean
    error, as the literature gives it for CIFAR-10-C.

    The error is linear in those of the examples, so its outcome is one number for each example, and
    comparisons are paired.

    Raises: InvspecError where the attack has no corruptions, one occurs twice, corruptions differ
        in their severities, or those of the baseline are not complete.
    """

    takes_sweep: ClassVar[bool] = True
    wants_model: ClassVar[bool] = False

    baseline: Literal["alexnet"] | None = Field(
        default=None, description="whose errors on ImageNet-C are 1: alexnet; default: none"
    )

    def range_of(self, quantity: str = "") -> Range:
        if self.baseline is None:
            return SHARES
        return (0.0, sum(1 / error for error in ALEXNET.values()) / len(ALEXNET))

    def smoke(self) -> Self:
        """Without a baseline: a smoke run computes two severities."""
        return self.model_copy(update={"baseline": None})

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        weights = self._weights([_coordinates(attacked) for attacked in examples])
        index = examples[0].judged.index
        assert all(torch.equal(attacked.judged.index, index) for attacked in examples), (
            "a sweep over different examples"
        )
        wrong = torch.stack([~attacked.judged.correct_adv for attacked in examples]).double()
        errors = (wrong * torch.tensor(weights, dtype=torch.float64)[:, None]).sum(0)
        return Scored([mean(errors, index, within=self.range_of())])

    def _weights(self, coordinates: Sequence[tuple[Corruption, int]]) -> list[float]:
        """The weight of each error in the mean over severities and corruptions."""
        severities: dict[Corruption, list[int]] = defaultdict(list)
        for corruption, severity in coordinates:
            severities[corruption].append(severity)
        _check_grid(severities)
        if self.baseline is not None:
            _check_complete(severities)
        count = len(coordinates)
        return [
            1 / (count * (1 if self.baseline is None else ALEXNET[corruption]))
            for corruption, _ in coordinates
        ]


def _coordinates(attacked: Examples) -> tuple[Corruption, int]:
    """The corruption and severity of an attack."""
    settings = attacked.settings
    try:
        return settings["corruption"], settings["severity"]
    except KeyError:
        raise InvspecError(
            "the mean corruption error needs an attack with a corruption and a severity",
            hint="use the attack `corruption`, with `severity` swept",
        ) from None


def _check_grid(severities: Mapping[Corruption, Sequence[int]]) -> None:
    """Raises: InvspecError if a severity occurs twice, or not for all corruptions."""
    first, expected = next(iter(severities.items()))
    for corruption, listed in severities.items():
        repeated = [severity for severity, count in Counter(listed).items() if count > 1]
        if repeated:
            message = f"{corruption} at severity {repeated[0]} occurs twice"
            raise InvspecError(message, hint="sweep `corruption` and `severity` alone")
        if sorted(listed) != sorted(expected):
            there, here = (", ".join(map(str, sorted(part))) for part in (expected, listed))
            message = f"{first} has the severities {there}, but {corruption} has {here}"
            raise InvspecError(message, hint="give all corruptions the same severities")


def _check_complete(severities: Mapping[Corruption, Sequence[int]]) -> None:
    """Raises: InvspecError if these are not the 15 corruptions at five severities."""
    hint = f"sweep `severity` over 1 to 5, and `corruption` over {', '.join(COMMON)}"
    message = "the errors of AlexNet are means over five severities of 15 corruptions"
    for name in COMMON:
        if sorted(severities.get(name, ())) != list(SEVERITIES):
            raise InvspecError(f"{message}; those of {name} are not complete", hint=hint)
    if extra := sorted(severities.keys() - set(COMMON)):
        raise InvspecError(f"{message}; found {extra[0]}", hint=hint)
