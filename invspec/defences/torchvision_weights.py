"""torchvision's published weights instead of training."""

from __future__ import annotations

from typing import Any, cast

from pydantic import Field, field_validator
from torch import Tensor, nn
from torchvision import models

from invspec.data import Curves, Journal, Split
from invspec.errors import InvspecError, suggest
from invspec.files.entries import state_dict_at
from invspec.files.published import FETCH_AGAIN, local_file, published_weights
from invspec.files.state_dicts import fill, outline_of, require_fit
from invspec.layers.torchvision import WITH_AUXILIARY_HEADS, HasTorchvisionArch
from invspec.ops.draws import Stream
from invspec.ops.types import Shape
from invspec.training.loaded import LoadedWeights


class TorchvisionWeights(LoadedWeights):
    """Load torchvision's published weights for one of its nets. Nothing in the file can run code.

    The file is looked for in $INVSPEC_DATA/weights, then in torch.hub's cache, and otherwise
    downloaded to that cache. Its name ends in the first digits of its SHA-256, which are checked at
    every read, so the names of net and weights identify the weights. A smoke run leaves the net
    untrained and reads no file.

    Raises: InvspecError if the net is not one of torchvision's or has no such weights, or if the
    file cannot be downloaded, has another SHA-256 or does not fit, e.g. because the data set has
    another number of classes.
    """

    weights: str = Field(
        default="IMAGENET1K_V1",
        description="name of the net's weights in torchvision",
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
        return HasTorchvisionArch

    def require_files(self, sketch: nn.Module, shape: Shape, classes: int) -> None:
        # `accepts` refuses other nets
        if not isinstance(sketch, HasTorchvisionArch):
            return
        if (local := local_file(published(sketch.arch, self.weights))) is not None:
            path, digits = local
            weights = outline_of(path, digits, hint=FETCH_AGAIN).weights
            require_fit(sketch, _without_auxiliary_heads(weights, sketch.arch), path)

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        if not isinstance(model, HasTorchvisionArch):
            raise InvspecError(
                f"torchvision has weights only for its own nets; found {type(model).__name__}",
                hint="use the model torchvision",
            )
        content, path = published_weights(published(model.arch, self.weights))
        weights = state_dict_at("", content, path)
        fill(model, _without_auxiliary_heads(weights, model.arch), path)
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


def _without_auxiliary_heads(weights: dict[str, Tensor], arch: str) -> dict[str, Tensor]:
    # published files include auxiliary heads; our nets are built without them
    if arch not in WITH_AUXILIARY_HEADS:
        return weights
    return {name: weight for name, weight in weights.items() if not name.lower().startswith("aux")}
