"""Loading state dicts from files, with a check that they fit the net."""

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
    """Load the state dict at an entry of a file: see the fields of Pretrained."""
    path = located(file)
    fill(model, state_dict_at(entry, loaded(checked(path, sha256), path), path), path)


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict, read from path, into the model or the net behind its standardisation.

    Raises: InvspecError if names or shapes differ.
    """
    net = model
    # published weights start at 0.weight, the store's own at net.0.weight
    if isinstance(model, StandardisedNet) and weights.keys() != model.state_dict().keys():
        net = model.net
    _require_fit(net.state_dict(), weights, path)
    net.load_state_dict(weights)


def state_dict_at(entry: str, content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict at an entry: names in dicts and positions in lists, separated by dots.

    Raises: InvspecError if there is none, naming what is there instead.
    """
    value, steps = content, list[str]()
    for step in entry.split(".") if entry else ():
        children = _children(value)
        if step not in children:
            place = ".".join(steps) or "the file"
            raise InvspecError(
                f"{path}: {place} has no entry {step!r}", hint=suggest(step, children, "it has")
            )
        value = children[step]
        steps.append(step)
    if not isinstance(value, dict) or not all(isinstance(item, Tensor) for item in value.values()):
        kind, names = type(value).__name__, _first_names(_children(value))
        raise InvspecError(
            f"{path}: {entry or 'the file'} is not a state dict: found {kind} with {names}",
            hint="set entry to the state dict within the file, e.g. state_dict or state_dict.0",
        )
    return cast(dict[str, Tensor], dict(value))


def _children(value: Any) -> dict[str, Any]:
    """The items of a dict, list or tuple, by name or position; of other values, none."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    return {str(name): item for name, item in value.items()} if isinstance(value, dict) else {}


def _require_fit(net: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Raises InvspecError if names or shapes differ."""
    hint = "is this the architecture of the weights?"
    if net.keys() != weights.keys():
        missing = _first_names([name for name in net if name not in weights])
        extra = _first_names([name for name in weights if name not in net])
        raise InvspecError(
            f"{path} does not fit the model: names missing in the file: {missing}; names unknown "
            f"to the model: {extra}",
            hint=hint,
        )
    for name, weight in weights.items():
        if weight.shape != net[name].shape:
            shapes = f"found {tuple(weight.shape)}, the model has {tuple(net[name].shape)}"
            raise InvspecError(f"{path} does not fit the model: {name}: {shapes}", hint=hint)


def _first_names(names: Mapping[str, Any] | list[str]) -> str:
    """The first four names, for a message."""
    first = list(names)[:4]
    return ", ".join([*first, *(["..."] if len(names) > 4 else [])]) or "nothing"
