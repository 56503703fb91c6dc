"""Loading state dicts from files, with a check that they fit the net."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.files import weights as files
from invspec.files.entries import listed, state_dict_at
from invspec.files.folder import located
from invspec.files.names import Match, match, match_as_written
from invspec.files.weights import checked, loaded
from invspec.layers.standardise import StandardisedNet

ANOTHER_NET = "is this the architecture of the weights? its code may have changed since"


def load_weights(model: nn.Module, file: str, sha256: str, entry: str = "") -> None:
    """Load the state dict at an entry of a file: see the fields of Pretrained."""
    path = located(file)
    fill(model, state_dict_at(entry, loaded(checked(path, sha256), path), path), path)


def require_weights(model: nn.Module, file: str, sha256: str, entry: str = "") -> None:
    """Check, before anything runs, that `load_weights` can fill this sketch of a model.

    A file is read once, however often it is checked, until its time or size changes.

    Raises: InvspecError that `load_weights` would raise.
    """
    path = located(file)
    outline = outline_of(path, sha256, entry)
    require_fit(model, outline.weights, path)
    if outline.nan:
        raise _not_finite(path, outline.nan)
    net = _target(model, outline.weights)
    names = match(outline.weights, net.state_dict()).renamed(
        {name: name for name in outline.weights}
    )
    # masks of a net, which are buffers, may be infinite by design
    for name, _ in net.named_parameters():
        if names.get(name) in outline.infinite:
            raise _not_finite(path, name)


class Outline(NamedTuple):
    """The state dict in a file with shapes only, on the meta device, and names that are not finite.

    nan is the first that has NaN, infinite are those that have infinite values.
    """

    weights: dict[str, Tensor]
    nan: str
    infinite: frozenset[str]


def outline_of(path: Path, sha256: str, entry: str = "", hint: str = "") -> Outline:
    """The outline of a file whose SHA-256 begins with these digits, read once until it changes.

    Raises: InvspecError if it cannot be read, has another digest or no state dict there.
    """
    if not (digest := files.sha256(path)).startswith(sha256):
        # raises, with the digest that was found
        checked(path, sha256, hint)
    return _outline(path, digest, entry)


def require_fit(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Raises InvspecError if `fill` would refuse the names or shapes of these weights."""
    _renamed(_target(model, weights), weights, path)


@lru_cache
def _outline(path: Path, sha256: str, entry: str) -> Outline:
    weights = state_dict_at(entry, loaded(checked(path, sha256), path), path)
    nan = next((name for name, weight in weights.items() if _has_nan(weight)), "")
    infinite = frozenset(name for name, weight in weights.items() if _has_infinite(weight))
    return Outline({name: weight.to("meta") for name, weight in weights.items()}, nan, infinite)


def _has_nan(weight: Tensor) -> bool:
    return not weight.is_quantized and bool(weight.isnan().any())


def _has_infinite(weight: Tensor) -> bool:
    return not weight.is_quantized and bool(weight.isinf().any())


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Load a state dict, read from path, into the model or the net behind its standardisation.

    Names may have one more prefix than those of the net, such as `module.`, or one fewer; counters
    of batch normalisation may be missing.

    Raises: InvspecError if names or shapes differ, or if a weight is not finite.
    """
    net = _target(model, weights)
    own = net.state_dict()
    renamed = _renamed(net, weights, path)
    for name, weight in renamed.items():
        _require_numbers(weight, own[name], name, path)
    net.load_state_dict({**own, **renamed})


def _target(model: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """The model, or the net behind its standardisation if the names fit that better."""
    # published weights start at 0.weight, the store's own at net.0.weight
    if not isinstance(model, StandardisedNet):
        return model
    whole, inner = (match(weights, net.state_dict()) for net in (model, model.net))
    return model if whole.is_complete and not inner.is_complete else model.net


def _renamed(net: nn.Module, weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights under the names of the net. Raises InvspecError if names or shapes differ."""
    own = net.state_dict()
    names = match(weights, own)
    if not names.is_complete:
        raise _other_names(names, weights, own, path)
    renamed = names.renamed(weights)
    wrong = [
        f"{name}: found {tuple(weight.shape)}, the model has {tuple(own[name].shape)}"
        for name, weight in renamed.items()
        if weight.shape != own[name].shape
    ]
    if wrong:
        raise InvspecError(
            f"{path} does not fit the model: {listed(wrong, '; ')}",
            hint=ANOTHER_NET,
        )
    return renamed


def _other_names(
    names: Match, weights: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path
) -> InvspecError:
    prefix = f" (with {names.strip}* taken as *)" if names.strip else ""
    hint = ANOTHER_NET
    if names.strip and not names.missing:
        # of a flat file, an entry selects the names below it
        hint = f"to load the names under {names.strip} alone, add {names.strip[:-1]} to entry"
        if not names.is_wrapped:
            prefix, names = "", match_as_written(weights, own)
    elif not names.missing and len(names.extra) < len(weights):
        hint = "remove what is no weight of this net, or choose the model that has these names"
    return InvspecError(
        f"{path} does not fit the model{prefix}: names missing in the file: "
        f"{listed(names.missing)}; names unknown to the model: {listed(names.extra)}",
        hint=hint,
    )


def _require_numbers(weight: Tensor, own: Tensor, name: str, path: Path) -> None:
    """Raises InvspecError if a weight is not plain finite numbers once it is in the net."""
    if weight.is_quantized or weight.is_complex() != own.is_complex():
        kind = str(weight.dtype).removeprefix("torch.")
        message = f"{path}: {name} is {kind}, the model has {str(own.dtype).removeprefix('torch.')}"
        raise InvspecError(message, hint="save the weights as floating-point numbers")
    cast_weight = weight.to(own.dtype)
    # masks of a net may be infinite by design
    if not (cast_weight.isfinite() | (cast_weight == own.to(cast_weight.device))).all():
        raise _not_finite(path, name)


def _not_finite(path: Path, name: str) -> InvspecError:
    return InvspecError(
        f"{path}: {name} holds values that are NaN or infinite",
        hint="the file was saved like that: take an earlier checkpoint of the training, or fetch "
        "the file again",
    )
