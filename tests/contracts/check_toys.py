"""What the checks' cards find of small nets, and of attacks on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from attack_toys import SHAPE, Toy
from torch import nn

from invspec.data import Batch, Examples, Finding, Perturbed, TensorSplit, judged_from
from invspec.kinds import Attack, Check
from invspec.ops.draws import PerExample
from invspec.perform.judge import judge
from invspec.perform.promises import Subject
from invspec.registry.cards import names
from invspec.registry.methods import make

N = 24
CHECKS = list(names("check"))


def check_of(name: str) -> Check:
    """The check of a card in its cheapest version."""
    return cast(Check, make("check", name, {})).smoke()


def attack() -> Attack:
    """An attack with a budget, for checks about attacks."""
    return cast(Attack, make("attack", "pgd", {"eps": 0.1, "steps": 3}))


def examples(model: nn.Module, attack: Attack | None, device: str = "cpu") -> Examples:
    """Noise, most of it correctly classified, after the attack or without one."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(N, *SHAPE, generator=generator)
    with torch.no_grad():
        y = model(x.to(device)).argmax(1).cpu()
    y[::5] = (y[::5] + 1) % 4
    clean = TensorSplit(x, y, index=torch.arange(N) + 7).to(device)
    (batch,) = clean.batches(N)
    columns = judge(model, batch, _perturbed(model, batch, attack), Subject("net", "noise", 4))
    settings = attack.model_dump() if attack else {}
    return Examples(clean, judged_from(columns), columns, settings)


def _perturbed(model: nn.Module, batch: Batch, attack: Attack | None) -> Perturbed:
    if attack is None:
        return Perturbed.costing(batch.x, forwards=0, backwards=0)
    return attack.perturb(model, batch, PerExample("attack", batch.index, batch.x.device))


def deployed(device: str = "cpu") -> nn.Module:
    """A small net as checks get it."""
    return Toy().eval().requires_grad_(False).to(device)


def found(name: str, model: nn.Module | None = None, device: str = "cpu") -> Finding:
    """What a check finds."""
    model, check = model or deployed(device), check_of(name)
    used = attack() if check.about_attack else None
    seen = examples(model, used, device)
    return check.examine(model, used, seen, PerExample("check", seen.judged.index, device))


def reordered(seen: Examples, rows: torch.Tensor) -> Examples:
    """The same examples in another order."""
    tensors: dict[str, Any] = {name: tensor[rows] for name, tensor in seen.tensors.items()}
    return replace(
        seen, clean=seen.clean.take(rows), judged=seen.judged.take(rows), tensors=tensors
    )
