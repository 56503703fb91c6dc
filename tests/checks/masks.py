"""Nets that hide their gradients, honest ones, and what the checks find of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.attacks.identity import Identity
from invspec.attacks.pgd import PGD
from invspec.data import Examples, Finding, Split, judged_from
from invspec.datasets.digits import Digits
from invspec.kinds import Attack, Check
from invspec.ops.draws import PerExample, Stream
from invspec.perform.judge import judge
from invspec.perform.promises import Subject
from invspec.perform.proxies import Padded
from invspec.registry.cards import names
from invspec.registry.methods import make

# a net and images (B, C, H, W) to logits (B, K)
Mask = Callable[[nn.Module, Tensor], Tensor]
ATTACK = PGD(eps=0.2, steps=40)


class Masked(nn.Module):
    """A net behind a mask."""

    def __init__(self, net: nn.Module, mask: Mask) -> None:
        super().__init__()
        self.net, self.mask = net, mask

    def forward(self, x: Tensor) -> Tensor:
        return self.mask(self.net, x)


@cache
def net() -> nn.Module:
    """A small convolutional net, trained on digits; PGD with eps 0.2 breaks all of its images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(1, 8, 4, 2),
            nn.ReLU(),
            nn.Conv2d(8, 16, 4, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(400, 10),
        )
    optimiser, data = torch.optim.Adam(layers.parameters(), 2e-3), Digits().load("train")
    for epoch in range(6):
        for batch in data.batches(64, Stream(f"epoch {epoch}")):
            optimiser.zero_grad()
            F.cross_entropy(layers(batch.x), batch.y).backward()
            optimiser.step()
    return layers.eval().requires_grad_(False)


@cache
def images(count: int = 96) -> Split:
    return Digits().load("test").head(count)


def behind(mask: Mask) -> nn.Module:
    """The trained net behind a mask."""
    return Masked(net(), mask)


def attacked(model: nn.Module, attack: Attack, split: Split) -> Examples:
    """The images of a split, attacked and judged.

    A run refuses logits that are not finite; here they are judged as 0, for the checks to find.
    """
    (batch,) = split.batches(len(split))
    subject = Subject("net", "digits", model(batch.x[:1]).shape[1])
    perturbed = attack.perturb(model, batch, PerExample("attack", batch.index))
    judged = Masked(model, lambda net, x: net(x).nan_to_num())
    tensors = judge(judged, batch, perturbed, subject)
    return Examples(split, judged_from(tensors), tensors)


def finding(
    name: str,
    model: nn.Module,
    attack: Attack = ATTACK,
    split: Split | None = None,
    **params: object,
) -> Finding:
    """What a check finds of a net, or of an attack on it."""
    check = cast(Check, make("check", name, params))
    model, split = Padded(model), split or images()
    used = attack if check.about_attack else None
    examples = attacked(model, used or Identity(), split)
    return check.examine(model, used, examples, PerExample("check", split.index))


def failing(
    model: nn.Module,
    attack: Attack = ATTACK,
    split: Split | None = None,
    checks: Iterable[str] | None = None,
) -> set[str]:
    """The gating checks that a net fails, or an attack on it; by default of all."""
    model, split = Padded(model), split or images()
    clean, broken = (attacked(model, used, split) for used in (Identity(), attack))
    failed: set[str] = set()
    for name in checks or names("check"):
        check = cast(Check, make("check", name, {}))
        if not check.gates or (check.about_attack and not check.applies(attack)):
            continue
        used, examples = (attack, broken) if check.about_attack else (None, clean)
        found = check.examine(model, used, examples, PerExample("check", split.index))
        failed |= {name} if found.status == "fails" else set()
    return failed


# ─ masks ────────────────────────────────────────────────────────────────────────────────────────


def one_hot(logits: Tensor) -> Tensor:
    """1 for the largest logit and 0 for the others, with a gradient of 0."""
    return F.one_hot(logits.argmax(1), logits.shape[1]) + 0 * logits


def levels(x: Tensor, count: int) -> Tensor:
    """Pixels rounded to count + 1 levels, with a gradient of 0."""
    return (x * count).round() / count


def straight_through(x: Tensor, rounded: Tensor) -> Tensor:
    """The rounded pixels, with the gradient of x."""
    return x + (rounded - x).detach()


def largest(x: Tensor, share: float) -> Tensor:
    """The largest pixels of each image; the others become 0."""
    flat = x.flatten(1)
    least = flat.topk(int(share * flat.shape[1]), dim=1).values[:, -1:]
    return (flat * (flat >= least)).view_as(x)


def spread(logits: Tensor) -> Tensor:
    """The standard deviation of all logits, a scalar without a gradient."""
    return logits.detach().std()


def ripples(x: Tensor, frequency: float) -> Tensor:
    """A sine of the sum of each image, at ten phases: (B, 10)."""
    return torch.sin(frequency * x.flatten(1).sum(1, keepdim=True) * torch.arange(1, 11))


def batch_statistics(net: nn.Module, x: Tensor) -> Tensor:
    """Logits standardised over the batch, as by batch norm in train mode."""
    logits = net(x)
    return 10 * (logits - logits.mean(0)) / (logits.std(0) + 1e-3)


# of shared/trust.md's nine faces, those that mislead PGD
FACES: dict[str, Mask] = {
    "logits x 1000": lambda net, x: net(x) * 1000,
    "T 0.01": lambda net, x: net(x) / 0.01,
    "quantised input": lambda net, x: net(levels(x, 15)),
    "softmax(50 z)": lambda net, x: (50 * net(x)).softmax(1),
    "detached": lambda net, x: net(x.detach()) + 0 * x.flatten(1).sum(1, keepdim=True),
    "one-hot": lambda net, x: one_hot(net(x)),
}
MASKS: dict[str, Mask] = {
    **FACES,
    "T 1e-4": lambda net, x: net(x) / 1e-4,
    "softmax": lambda net, x: net(x).softmax(1),
    "softmax(1e4 z)": lambda net, x: (1e4 * net(x)).softmax(1),
    "one-hot x 10": lambda net, x: 10 * one_hot(net(x)),
    "tanh(20 z)": lambda net, x: torch.tanh(20 * net(x)),
    "clipped logits": lambda net, x: net(x).clamp(-1, 1),
    "rounded logits": lambda net, x: net(x).round(),
    "32 levels": lambda net, x: net(levels(x, 31)),
    "thresholded input": lambda net, x: net((x > 0.5).to(x) + 0 * x),
    "max-pooled levels": lambda net, x: net(
        F.interpolate(F.max_pool2d(levels(x, 4), 2), scale_factor=2.0)
    ),
    "largest pixels": lambda net, x: net(largest(x, 0.2)),
    "sin(1000 x)": lambda net, x: net(x + 0.02 * torch.sin(1000 * x)),
    "rippled logits": lambda net, x: net(x) + 0.5 * spread(net(x)) * ripples(x, 1e4),
    "wrong sign": lambda net, x: 2 * net(x).detach() - net(x),
}
# what makes a net no function of its input, and the check that says so
BROKEN: dict[str, tuple[Mask, str]] = {
    "noisy logits": (
        lambda net, x: net(x) + spread(net(x)) * torch.randn(len(x), 10),
        "repeatable",
    ),
    "noisy input": (lambda net, x: net(x + 0.1 * torch.randn_like(x)), "repeatable"),
    "dropout": (lambda net, x: F.dropout(net(F.dropout(x, 0.2)), 0.2), "repeatable"),
    "batch statistics": (batch_statistics, "repeatable"),
    "NaN": (lambda net, x: net(x) * float("nan"), "finite"),
    "infinite": (lambda net, x: net(x) / 0.0, "finite"),
    "NaN off the grid": (
        lambda net, x: net(x).masked_fill(
            ((x * 255 - (x * 255).round()).abs().flatten(1).amax(1) > 1e-2)[:, None], torch.nan
        ),
        "finite",
    ),
    "NaN gradients": (lambda net, x: net(x) + 0 * (x - x.detach()).pow(0.5).mean(), "finite"),
    "dead": (lambda net, x: 0 * net(x) + torch.arange(10.0), "alive"),
}
HONEST: dict[str, Mask] = {
    "plain": lambda net, x: net(x),
    "T 1e6": lambda net, x: net(x) / 1e6,
    "T 10": lambda net, x: net(x) / 10,
    "log-softmax": lambda net, x: net(x).log_softmax(1),
    "logits + 1e4": lambda net, x: net(x) + 1e4,
    "16 levels, straight through": lambda net, x: net(straight_through(x, levels(x, 15))),
    "256 levels, straight through": lambda net, x: net(straight_through(x, levels(x, 255))),
    "blurred": lambda net, x: net(F.avg_pool2d(x, 3, 1, 1)),
    "tanh of wide range": lambda net, x: 20 * torch.tanh(net(x) / 20),
    "ensemble": lambda net, x: (net(x) + net(F.avg_pool2d(x, 3, 1, 1))) / 2,
    "bfloat16": lambda net, x: net(x.bfloat16().float()),
}
