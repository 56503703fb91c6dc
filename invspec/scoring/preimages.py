"""Images and activations that measures of preimages compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Examples, Row
from invspec.errors import InvspecError, suggest
from invspec.flows.invertible import Invertible
from invspec.ops.precise import in_double
from invspec.scoring.pairs import READ, device_of
from invspec.scoring.rows import share, share_of_pairs

Images = Iterator[tuple[Tensor, Tensor]]


def finest(model: nn.Module, attacked: Examples) -> tuple[nn.Module, Images]:
    """The net, and the images x and x_adv (B, C, H, W), READ at a time on its device: in float64 where that was kept.

    The net is then a copy in float64, and x_adv is what the attack found before it was rounded.
    """
    exact = "exact" in tuple(attacked.tensors)  # `in` the mapping itself may read the tensor
    return (
        (in_double(model), _images(model, attacked, "exact"))
        if exact
        else (model, _images(model, attacked, "x_adv"))
    )


def _images(model: nn.Module, attacked: Examples, name: str) -> Images:
    device = device_of(model)
    # pixels are made on the device, as for the attack: a GPU divides by 255 otherwise than a CPU
    for batch, tensors in replace(attacked, clean=attacked.clean.to(device)).batches(READ, name):
        x_adv = tensors[name].to(device)
        yield batch.x.to(x_adv.dtype), x_adv


def activations(net: nn.Module, layers: tuple[str, ...], x: Tensor) -> dict[str, Tensor]:
    """What each of the layers and, last, the net itself gives for x (B, C, H, W), flattened: (B, ...) each."""
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}
    modules = {name: module_at(net, name) for name in layers}

    def keep(name: str, output: Any) -> None:
        """A copy, as the next layer may work in place; without the rows that fill up a batch."""
        seen[name] += [part[: len(x)].flatten(1).clone() for part in given(modules[name], output)]

    hooks = [
        module.register_forward_hook(lambda _, inputs, output, name=name: keep(name, output))
        for name, module in modules.items()
    ]
    try:
        logits = net(x)
    finally:
        for hook in hooks:
            hook.remove()
    for name, parts in seen.items():
        if not parts:
            raise InvspecError(
                f"layer {name} gave no tensor", hint="name a module that the net calls for an image"
            )
    return {f"layer {name}": torch.cat(parts, dim=1) for name, parts in seen.items()} | {
        "logits": logits
    }


def module_at(net: nn.Module, name: str) -> nn.Module:
    """The module at a path. Raises InvspecError where there is none."""
    try:
        return net.get_submodule(name)
    except AttributeError:
        # a net stands behind a face that calls it net, and finds its modules without that too
        known = [
            path.removeprefix("net.") for path, _ in net.named_modules() if path not in ("", "net")
        ]
        raise InvspecError(f"the net has no layer {name}", hint=suggest(name, known)) from None


def given(module: nn.Module, output: Any) -> Iterator[Tensor]:
    """The tensors (B, ...) that a module gave: one, those of a tuple, or of a bijection all but its log-determinant."""
    for part in (
        output[:1]
        if isinstance(module, Invertible)
        else output
        if isinstance(output, tuple)
        else (output,)
    ):
        if isinstance(part, Tensor):
            yield part


def outcome_rows(outcomes: Mapping[str, Tensor], attacked: Examples) -> list[Row]:
    """For each quantity the share of examples, or of pairs, with that outcome (N,) bool."""
    judged = attacked.judged
    constructor, unit = (
        (share_of_pairs, judged["source"]) if "source" in judged else (share, judged["index"])
    )
    return [constructor(outcome.cpu(), unit, quantity=name) for name, outcome in outcomes.items()]
