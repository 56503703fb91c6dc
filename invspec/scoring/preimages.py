"""Images and activations that measures of pre-images compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Examples, Judged, JudgedPairs, Row
from invspec.errors import InvspecError, suggest
from invspec.flows.invertible import Invertible
from invspec.memory import observed
from invspec.ops.modules import device_of
from invspec.ops.precise import in_double
from invspec.ops.proxy import ModelProxy
from invspec.scoring.pairs import BATCH_SIZE
from invspec.scoring.rows import share, share_of_pairs

Images = Iterator[tuple[Tensor, Tensor]]


def finest(model: nn.Module, attacked: Examples) -> tuple[nn.Module, Images]:
    """The net and the images x and x_adv (B, C, H, W) in the finest precision stored.

    If the attack stored exact images, they replace x_adv, and the net is a copy in float64.
    BATCH_SIZE images at a time, on the net's device.
    """
    if attacked.has("exact"):
        return in_double(model), _images(model, attacked, "exact")
    return model, _images(model, attacked, "x_adv")


def on_device(attacked: Examples, device: torch.device) -> Examples:
    """The same examples with their clean images on a device.

    Pixels are divided by 255 there, as for the attack, because GPU and CPU round differently.
    """
    return replace(attacked, clean=attacked.clean.to(device))


def _images(model: nn.Module, attacked: Examples, name: str) -> Images:
    device = device_of(model)
    for batch, tensors in on_device(attacked, device).batches(BATCH_SIZE, name):
        x_adv = tensors[name].to(device)
        yield batch.x.to(x_adv.dtype), x_adv


def activations(net: nn.Module, layers: tuple[str, ...], x: Tensor) -> dict[str, Tensor]:
    """The output (B, ...), flattened, of each layer for x (B, C, H, W), and last the logits.

    Raises: InvspecError where a layer does not exist, or gives no tensor.
    """
    return observed(lambda images: _activations(net, layers, images), net, x)


def _activations(net: nn.Module, layers: tuple[str, ...], x: Tensor) -> dict[str, Tensor]:
    outputs: dict[str, list[Tensor]] = {name: [] for name in layers}
    modules = {name: module_at(net, name) for name in layers}

    def keep(name: str, output: Any) -> None:
        """Keep a copy without padded rows; a copy, because the next layer may work in place."""
        outputs[name] += [
            part[: len(x)].flatten(1).clone() for part in tensors_of(modules[name], output)
        ]

    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: keep(name, output))
        for name, module in modules.items()
    ]
    try:
        logits = net(x)
    finally:
        for hook in hooks:
            hook.remove()
    for name, parts in outputs.items():
        if not parts:
            raise InvspecError(
                f"layer {name} gave no tensor",
                hint="name a module that the net calls for every image",
            )
    flat = {f"layer {name}": torch.cat(parts, dim=1) for name, parts in outputs.items()}
    return flat | {"logits": logits}


def module_at(net: nn.Module, name: str) -> nn.Module:
    """The module at a path. Raises InvspecError where there is none."""
    try:
        return net.get_submodule(name)
    except AttributeError:
        # a proxy finds the modules of its net without a prefix
        inner = net.net if isinstance(net, ModelProxy) else net
        known = [path for path, _ in inner.named_modules() if path]
        raise InvspecError(f"the net has no layer {name}", hint=suggest(name, known)) from None


def tensors_of(module: nn.Module, output: Any) -> Iterator[Tensor]:
    """The tensors (B, ...) in a module's output, without the log-determinant of a bijection."""
    if isinstance(module, Invertible):
        parts = output[:1]
    else:
        parts = output if isinstance(output, tuple) else (output,)
    for part in parts:
        if isinstance(part, Tensor):
            yield part


def outcome_rows(outcomes: Mapping[str, Tensor], judged: Judged) -> list[Row]:
    """For each quantity the share of examples, or of pairs, with that outcome (N,) bool."""
    if isinstance(judged, JudgedPairs):
        return [
            share_of_pairs(outcome.cpu(), judged, quantity=name)
            for name, outcome in outcomes.items()
        ]
    return [share(outcome.cpu(), judged.index, quantity=name) for name, outcome in outcomes.items()]
