"""The nets of the models' cards, slim where they are large."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from invspec.kinds import Model
from invspec.models.firevnet import FiRevNet
from invspec.models.irevnet import IRevNet
from invspec.ops.types import Shape
from invspec.registry import methods
from invspec.registry.cards import names
from invspec.registry.methods import resolve

FITS: tuple[tuple[Shape, int], ...] = (
    ((1, 28, 28), 10),
    ((3, 32, 32), 10),
    ((1, 1, 16), 10),
    ((1, 1, 17), 2),
)

LARGE = ("resnet18_imagenet", "resnet50_imagenet", "vgg19")
GENERATORS = tuple(name for name in names("model") if resolve("model", name).makes == "images")
ELSEWHERE = (
    "exported",
    "robustbench",
    "timm",
)  # what a file or an extra package holds: tests/models has them


@cache
def made(name: str) -> tuple[Model, Shape, int]:
    """The card's model, with the first shape and number of classes of FITS that it takes."""
    given, problems = methods.make("model", name, {}), []
    assert isinstance(given, Model)
    model = slim(given)
    for shape, classes in FITS:
        try:
            model.sketch(shape, classes)
        except ValueError as problem:
            problems.append(str(problem))
        else:
            return model, shape, classes
    pytest.fail(f"{name} takes none of {FITS}: {problems}")


def slim(model: Model) -> Model:
    """A quarter of the width where a net is wide, few blocks of a deep one: the tests cost less and
    say the same.
    """
    widths: tuple[int, ...] = getattr(model, "widths", ())
    if sum(widths) > 1000:
        return model.model_copy(update={"widths": tuple(width // 4 for width in widths)})
    if isinstance(model, IRevNet):
        return model.model_copy(update={"blocks": (2, 1, 1, 1), "bottleneck": 16})
    return (
        model.model_copy(update={"blocks": 2, "width": 16})
        if isinstance(model, FiRevNet)
        else model
    )


def built(name: str, seed: int = 0) -> nn.Module:
    model, shape, classes = made(name)
    torch.manual_seed(seed)
    return model.build(shape, classes)


def images(name: str, n: int = 8) -> Tensor:
    """Images, or for a generator pairs of a source and a target."""
    channels, *sides = made(name)[1]
    channels *= 2 if name in GENERATORS else 1
    return torch.rand(n, channels, *sides, generator=torch.Generator().manual_seed(1))
