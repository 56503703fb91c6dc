"""Weights from a file in place of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Curves, Journal, Split
from invspec.datasets.files import located
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError, suggest
from invspec.kinds import Defence
from invspec.models.standardise import StandardisedNet
from invspec.ops.draws import Stream
from invspec.ops.weights import checked, loaded


class Pretrained(Defence):
    """Load a state dict that was trained elsewhere. Nothing in the file can run code.

    The file is what torch.save wrote or, by its name, a .safetensors, as a training leaves in the store. Its names and
    shapes must be those of the model, one for one, or of the net behind its standardisation: published weights start at
    0.weight, not at net.0.weight. Mean and deviation, which no state dict holds, are the model's fields.

    The file must have the given SHA-256, since the weights decide every number. A smoke run leaves the net untrained
    and reads no file.

    Raises: InvspecError where the file cannot be read, is another one, or does not fit the net.
    """

    file: str = Field(min_length=1, description="path of the file, from the folder INVSPEC_DATA or absolute")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, 64 hexadecimal digits")
    entry: str = Field(
        default="", description="where in the file the state dict stands, like state_dict.0; default: it is the file"
    )

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        load_weights(model, self.file, self.sha256, self.entry)
        return {}

    def smoke(self) -> Defence:  # pyright: ignore[reportIncompatibleMethodOverride]  # cheaper than any of its own kind
        return Untrained()


def load_weights(model: nn.Module, file: str, sha256: str, entry: str = "") -> None:
    """Give the model, or the net behind its standardisation, the state dict at an entry of a file: see Pretrained."""
    path = located(file)
    fill(model, state_dict_at(entry, loaded(checked(path, sha256), path), path), path)


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give the model, or the net behind its standardisation, the state dict that was in a file.

    Raises: InvspecError where names or shapes differ.
    """
    net = model
    if isinstance(model, StandardisedNet) and weights.keys() != model.state_dict().keys():
        net = model.net
    _require_fit(net.state_dict(), weights, path)
    net.load_state_dict(weights)


def state_dict_at(entry: str, content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict at an entry: names of dicts and positions in lists, between dots.

    Raises: InvspecError where there is none, with what stands there instead.
    """
    found, walked = content, list[str]()
    for step in entry.split(".") if entry else ():
        inside = _children(found)
        if step not in inside:
            place = ".".join(walked) or "the file"
            raise InvspecError(f"{path}: {place} has no entry {step!r}", hint=suggest(step, inside, "it has"))
        found = inside[step]
        walked.append(step)
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        inside = _children(found)
        raise InvspecError(
            f"{path}: {entry or 'the file'} is no state dict: found {type(found).__name__} with {_few(inside)}",
            hint="let entry name the state dict within the file, like state_dict or state_dict.0",
        )
    return cast(dict[str, Tensor], dict(found))


def _children(value: Any) -> dict[str, Any]:
    """What can be stepped into, by name or position."""
    if isinstance(value, dict):
        return {str(name): child for name, child in value.items()}
    return {str(i): child for i, child in enumerate(value)} if isinstance(value, list | tuple) else {}


def _require_fit(net: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raises InvspecError where names or shapes differ."""
    hint = "is this the architecture of the weights?"
    if net.keys() != weights.keys():
        missing, beyond = (
            [name for name in one if name not in other] for one, other in ((net, weights), (weights, net))
        )
        message = f"names differ: the file lacks {_few(missing)} and has beside them {_few(beyond)}"
        raise InvspecError(f"{path} does not fit the model: {message}", hint=hint)
    for name, weight in weights.items():
        if weight.shape != net[name].shape:
            shapes = f"found {tuple(weight.shape)}, the model has {tuple(net[name].shape)}"
            raise InvspecError(f"{path} does not fit the model: {name}: {shapes}", hint=hint)


def _few(names: Mapping[str, Any] | list[str]) -> str:
    """The first names of many."""
    listed = list(names)
    return ", ".join([*listed[:4], *(["..."] if len(listed) > 4 else [])]) or "nothing"
