"""torchvision's published weights instead of training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torchvision import models

from invspec.data import Curves, Journal, Split
from invspec.errors import InvspecError, suggest
from invspec.files import folder
from invspec.files.state_dicts import fill, state_dict_at
from invspec.files.weights import checked, loaded
from invspec.layers.torchvision import WITH_AUXILIARY_HEADS, OfTorchvision
from invspec.ops.draws import Stream
from invspec.training.loaded import LoadedWeights

# the names of torchvision's files end in the first digits of their SHA-256
DIGITS = re.compile(r"-([0-9a-f]{8,})\.pth$")


class TorchvisionWeights(LoadedWeights):
    """Load torchvision's published weights for one of its nets. Nothing in the file can run code.

    The file is looked for in $INVSPEC_DATA/weights, then in torch.hub's cache, and otherwise
    downloaded to that cache. Its name ends in the first digits of its SHA-256, which are checked at
    every read, so that the names of net and weights decide every number. A smoke run leaves the net
    untrained and reads no file.

    Raises: InvspecError if the net is not one of torchvision's or has no such weights, or if the
    file cannot be downloaded, has another SHA-256 or does not fit, e.g. because the data set has
    another number of classes.
    """

    weights: str = Field(
        default="IMAGENET1K_V1",
        description="which of the net's weights, a name in torchvision's list of them",
    )

    @field_validator("weights")
    @classmethod
    def _is_known(cls, weights: str) -> str:
        known = {name for arch in models.list_models(module=models) for name in _urls(arch)}
        if weights not in known:
            raise ValueError(f"torchvision has no weights {weights!r}; {suggest(weights, known)}")
        return weights

    @property
    def accepts(self) -> type:
        return OfTorchvision

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        if not isinstance(model, OfTorchvision):
            raise InvspecError(
                f"torchvision has weights only for its own nets; found {type(model).__name__}",
                hint="use the model torchvision",
            )
        path, digits = located(published(model.arch, self.weights))
        fill(model, _state_dict(path, digits, model.arch), path)
        return {}


def published(arch: str, weights: str) -> str:
    """The URL of a net's weights. Raises InvspecError if there are no such weights."""
    urls = _urls(arch)
    if weights not in urls:
        raise InvspecError(
            f"torchvision has no weights {weights} for {arch}", hint=suggest(weights, urls)
        )
    return urls[weights]


def _urls(arch: str) -> dict[str, str]:
    """The URLs of a net's weights, by their names in torchvision's list."""
    return {weights.name: weights.url for weights in cast(Any, models.get_model_weights(arch))}


def located(url: str) -> tuple[Path, str]:
    """The local file of a URL, downloaded if necessary, and the first digits of its SHA-256."""
    name = url.rpartition("/")[2]
    digits = DIGITS.search(name)
    assert digits is not None, f"torchvision's file {name} does not end in digits of its SHA-256"
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    data = folder.given()
    places = [*([data / "weights" / name] if data else []), cached]
    path = next((place for place in places if place.is_file()), None)
    return path or _downloaded(url, cached, digits[1]), digits[1]


def _downloaded(url: str, path: Path, digits: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digits, progress=False)
    # OSError: no network or no space; RuntimeError: another file than the name promises
    except (OSError, RuntimeError) as problem:
        raise InvspecError(
            f"{path.name} is not on this machine and cannot be downloaded: {problem}",
            hint=f"download {url} to the folder weights in INVSPEC_DATA",
        ) from None
    return path


def _state_dict(path: Path, digits: str, arch: str) -> dict[str, Tensor]:
    content = checked(path, digits, hint="delete it, so that it is downloaded again")
    weights = state_dict_at("", loaded(content, path), path)
    # published files hold auxiliary heads, which our nets are built without
    if arch not in WITH_AUXILIARY_HEADS:
        return weights
    return {name: weight for name, weight in weights.items() if not name.lower().startswith("aux")}
