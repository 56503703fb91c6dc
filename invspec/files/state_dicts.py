"""State dicts of files, checked against the net that they are loaded into."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from invspec.errors import InvspecError, suggest
from invspec.files.folder import located
from invspec.files.weights import checked, loaded
from invspec.layers.standardise import StandardisedNet


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
            raise InvspecError(
                f"{path}: {place} has no entry {step!r}", hint=suggest(step, inside, "it has")
            )
        found = inside[step]
        walked.append(step)
    if not isinstance(found, dict) or not all(
        isinstance(value, Tensor) for value in found.values()
    ):
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
    return (
        {str(i): child for i, child in enumerate(value)} if isinstance(value, list | tuple) else {}
    )


def _require_fit(net: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raises InvspecError where names or shapes differ."""
    hint = "is this the architecture of the weights?"
    if net.keys() != weights.keys():
        missing, beyond = (
            [name for name in one if name not in other]
            for one, other in ((net, weights), (weights, net))
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
