"""Nets that methods may use but not change."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from invspec.errors import InvspecError
from invspec.ops.modules import hooks_of


class Changed(InvspecError):
    """A method changed a net, which is then of no more use."""


@contextmanager
def untouched(
    net: nn.Module, user: str, may_change: Collection[str] = frozenset()
) -> Generator[None]:
    """Refuse a user of a net that leaves it otherwise than it was.

    Weights, their .grad, buffers, modes, requires_grad and hooks must be the same at the end, but
    for those that may change. Each weight is read once before and once after.

    Raises: Changed, which names the user and what it changed.
    """
    before = state_of(net)
    yield
    changed = sorted(changes(before, state_of(net)) - set(may_change))
    if changed:
        raise Changed(
            f"{user} changed the net that it was given: {', '.join(changed[:3])}",
            hint="work on copy.deepcopy(model), and put mode, requires_grad and hooks back",
        )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The names whose states differ."""
    return {name for name in {**before, **after} if before.get(name) != after.get(name)}


def state_of(net: nn.Module) -> dict[str, Any]:
    """What a user must not change, by name; of a tensor a digest of its bits."""
    return {
        **{name: _digest(tensor) for name, tensor in _tensors(net)},
        **{f"requires_grad of {name}": p.requires_grad for name, p in net.named_parameters()},
        **{f"mode of {name or 'the net'}": m.training for name, m in net.named_modules()},
        **{
            f"hooks of {name or 'the net'}": sum(map(len, hooks_of(m)))
            for name, m in net.named_modules()
        },
    }


def _tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from net.named_buffers()
    for name, weight in net.named_parameters():
        yield name, weight
        if weight.grad is not None:
            yield f"gradient of {name}", weight.grad


def _digest(tensor: Tensor) -> str:
    """SHA-256 of the bits of a tensor: sums would miss weights that change in opposite ways."""
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(content.numpy().data).hexdigest()
