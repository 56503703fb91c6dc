"""torchvision's published weights in place of training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn
from torchvision import models

from invspec.data import Curves, Journal, Split
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError, suggest
from invspec.files import folder
from invspec.files.state_dicts import fill, state_dict_at
from invspec.files.weights import checked, loaded
from invspec.kinds import Defence
from invspec.layers.torchvision import WITH_AUXILIARY_HEADS, OfTorchvision
from invspec.ops.draws import Stream

PREFIX = re.compile(
    r"-([0-9a-f]{8,})\.pth$"
)  # how the names of torchvision's files end: the start of their SHA-256


class TorchvisionWeights(Defence):
    """Load the weights that torchvision publishes for a net of its own. Nothing in the file can run code.

    The file of torchvision's name is looked for in $INVSPEC_DATA/weights, then where torch.hub keeps what it has
    downloaded, and else is downloaded there. Its name ends in the first digits of its SHA-256, which are checked
    whenever it is read; so net and weights, by name, decide every number. A smoke run leaves the net untrained and
    reads no file.

    Raises: InvspecError where the net is none of torchvision's or has no such weights, where the file cannot be
    downloaded, is another one, or does not fit, as where the data set has other classes than the weights.
    """

    weights: str = Field(
        default="IMAGENET1K_V1",
        description="which of the net's weights, a name in torchvision's list of them",
    )

    @field_validator("weights")
    @classmethod
    def _is_known(cls, weights: str) -> str:
        archs = models.list_models(module=models)
        known = {name for arch in archs for name in _urls(arch)}
        if weights not in known:
            raise ValueError(f"torchvision has no weights {weights!r}; {suggest(weights, known)}")
        return weights

    @property
    def accepts(self) -> type:
        return OfTorchvision

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        if not isinstance(model, OfTorchvision):
            raise InvspecError(
                "torchvision has weights for its own nets alone", hint="take the model torchvision"
            )
        path, digits = located(published(model.arch, self.weights))
        fill(model, _state_dict(path, digits, model.arch), path)
        return {}

    def smoke(self) -> Defence:  # pyright: ignore[reportIncompatibleMethodOverride]  # cheaper than any of its own kind
        return Untrained()


def published(arch: str, weights: str) -> str:
    """Where torchvision has them on the web. Raises InvspecError where there are no such weights."""
    known = _urls(arch)
    if weights not in known:
        raise InvspecError(
            f"torchvision has no weights {weights} for {arch}", hint=suggest(weights, known)
        )
    return known[weights]


def _urls(arch: str) -> dict[str, str]:
    """Where on the web the weights of a net are, by their names in torchvision's list of them."""
    return {each.name: each.url for each in cast(Any, models.get_model_weights(arch))}


def located(url: str) -> tuple[Path, str]:
    """The file on this machine, downloaded if need be, and the first digits of its SHA-256, from its name."""
    name = url.rpartition("/")[2]
    found = PREFIX.search(name)
    assert found is not None, f"torchvision's file {name} does not end in digits of its digest"
    kept = Path(torch.hub.get_dir()) / "checkpoints" / name
    given = folder.given()
    places = [*([given / "weights" / name] if given else []), kept]
    path = next((place for place in places if place.is_file()), None)
    return path or _downloaded(url, kept, found[1]), found[1]


def _downloaded(url: str, path: Path, digits: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digits, progress=False)
    except (
        OSError,
        RuntimeError,
    ) as problem:  # no network, no room, another file than was announced
        raise InvspecError(
            f"{path.name} is not on this machine and cannot be downloaded: {problem}",
            hint=f"fetch {url} and put it in the folder weights of the folder INVSPEC_DATA",
        ) from None
    return path


def _state_dict(path: Path, digits: str, arch: str) -> dict[str, Tensor]:
    weights = state_dict_at(
        "", loaded(checked(path, digits, hint="delete it, so that it is fetched again"), path), path
    )
    if arch not in WITH_AUXILIARY_HEADS:
        return weights
    return {name: weight for name, weight in weights.items() if not name.lower().startswith("aux")}
