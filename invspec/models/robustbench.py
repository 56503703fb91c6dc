"""Nets of RobustBench's zoo, with their published weights."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from invspec.errors import Hinted, InvspecError, first_line, suggest
from invspec.files import weights
from invspec.files.folder import located
from invspec.kinds import Model
from invspec.ops.types import Shape

Benchmark = Literal["cifar10", "cifar100", "imagenet"]
Threat = Literal["Linf", "L2", "corruptions"]
CLASSES: Mapping[Benchmark, int] = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}


class RobustBenchModel(Model):
    """A net of RobustBench's zoo, by its name there, with its published weights.

    Architectures come from the package robustbench. Weights are read from where its `load_model`
    keeps them: models/cifar10/Linf/NAME.pt in INVSPEC_DATA, and NAME.pt_m0.pt and so on of an
    ensemble. Nothing is downloaded, and nothing in the files can run code; their SHA-256 is part of
    the key. The defence untrained keeps the weights. Nets for CIFAR take images of 32 x 32, those
    for ImageNet of any size, and each normalises inside.

    Raises: ValueError if the zoo has no such net, or it takes other images or classes; InvspecError
        if the package is not installed, or a file is missing or does not fit.
    """

    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "published"

    name: str = Field(min_length=1, description="name in the zoo, such as Carmon2019Unlabeled")
    dataset: Benchmark = Field(
        default="cifar10", description="data set of the net: cifar10, cifar100 or imagenet"
    )
    threat: Threat = Field(
        default="Linf", description="what the net is to withstand: Linf, L2 or corruptions"
    )

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        known = zoo()[self.dataset, self.threat]
        if self.name not in known:
            message = f"RobustBench has no net {self.name!r} for {self.dataset} and {self.threat}"
            raise Hinted(message, suggest(self.name, known) or "see the names on its leaderboard")
        # its load_model ignores files of these, and downloads
        if self.dataset == "imagenet" and "Standard" in self.name:
            hint = "use the model torchvision with the defence torchvision_weights"
            raise Hinted(f"{self.name} is a net of torchvision", hint)
        return self

    @property
    def reads(self) -> dict[str, str]:
        return {name: weights.sha256(self._located(name)) for name in self._files}

    @property
    def _files(self) -> list[str]:
        """The files of weights, relative to INVSPEC_DATA."""
        path = f"models/{self.dataset}/{self.threat}/{self.name}.pt"
        sources = zoo()[self.dataset, self.threat][self.name]["gdrive_id"]
        if not isinstance(sources, list):
            return [path]
        return [f"{path}_m{place}.pt" for place in range(len(sources))]

    def _located(self, name: str) -> Path:
        """The path of a file that is there. Raises: InvspecError that says how to get it."""
        path = located(name)
        if not path.is_file():
            call = f"load_model({self.name!r}, 'models', {self.dataset!r}, {self.threat!r})"
            hint = (
                "copy the file there, or let RobustBench download it: in INVSPEC_DATA, run "
                f'python -c "from robustbench.utils import load_model; {call}"'
            )
            raise InvspecError(f"no file {path}", hint=hint)
        return path

    def build(self, shape: Shape, classes: int) -> nn.Module:
        self._require(shape, classes)
        paths = [self._located(name) for name in self._files]
        for path in paths:
            # refuses what is more than weights before torch.load reads it
            weights.loaded(weights.content_of(path), path)
        root = located("models")
        utils = library("robustbench.utils")
        try:
            with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()):
                return utils.load_model(self.name, root, self.dataset, self.threat)
        except (RuntimeError, KeyError, AttributeError, TypeError) as problem:
            message = f"{paths[0]} does not fit {self.name}: {first_line(problem)}"
            raise InvspecError(message, hint="is it the file of this net?") from None

    def sketch(self, shape: Shape, classes: int) -> nn.Module:
        self._require(shape, classes)
        for name in self._files:
            self._located(name)
        entry = zoo()[self.dataset, self.threat][self.name]
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            return entry["model"]()

    def _require(self, shape: Shape, classes: int) -> None:
        """Raises: ValueError if the net takes other images, or tells other classes apart."""
        if classes != CLASSES[self.dataset]:
            expected = CLASSES[self.dataset]
            raise ValueError(f"{self.name} has {expected} classes, the data set has {classes}")
        sizes = "3x32x32" if self.dataset != "imagenet" else "3xHxW"
        if shape[0] != 3 or (self.dataset != "imagenet" and shape != (3, 32, 32)):
            found = "x".join(map(str, shape))
            raise ValueError(f"{self.name} takes images of {sizes}, found {found}")


def library(module: str) -> Any:
    """A module of robustbench, an optional dependency. Raises: InvspecError if it is missing."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return import_module(module)
    except ImportError as problem:
        raise NotInstalled(
            f"robustbench cannot be imported: {first_line(problem)}",
            hint="pip install 'invspec[robustbench]'",
        ) from None


class NotInstalled(InvspecError, ValueError):
    """Also a ValueError, so that pydantic names the spec entry that needs robustbench."""


@cache
def zoo() -> dict[tuple[str, str], Mapping[str, Any]]:
    """The nets of the zoo by name, for each data set and threat."""
    entries = library("robustbench.model_zoo").model_dicts
    return {
        (dataset.value, threat.value): nets
        for dataset, threats in entries.items()
        for threat, nets in threats.items()
    }
