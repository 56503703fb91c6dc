"""A rival that learns to read the label off the nuisance while the model learns to prevent it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec.ops.draws import Stream

NuisanceObjective = Literal["clamped", "raw", "uniform_kl", "shuffled_labels"]


@dataclass(frozen=True)
class Rival:
    """A classifier D_nc of nuisances with its own optimiser; implements `Auxiliary`."""

    net: nn.Module
    optimiser: torch.optim.Optimizer

    def learn(self, nuisance: Tensor, y: Tensor, steps: int) -> None:
        """Take `steps` updates on one batch, nuisance (B, D - K) and y (B,)."""
        for _ in range(steps):
            loss = F.cross_entropy(self.net(nuisance), y)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def judge(self, nuisance: Tensor) -> Tensor:
        """Logits (B, K) with a graph to the nuisance (B, D - K), but not to the rival's weights."""
        frozen = {name: weight.detach() for name, weight in self.net.named_parameters()}
        return torch.func.functional_call(self.net, frozen, nuisance)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Empty: the rival has its own optimiser."""
        return iter(())

    def modules(self) -> Iterator[nn.Module]:
        """The modules of its net."""
        return self.net.modules()

    def state_dict(self) -> dict[str, Any]:
        """The states of net and optimiser."""
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore net and optimiser."""
        self.net.load_state_dict(state_dict["net"])
        self.optimiser.load_state_dict(state_dict["optimiser"])


def rival_net(widths: Sequence[int], *, standardised: bool, dropout: float) -> nn.Sequential:
    """A ReLU network from nuisances (B, D - K) to logits (B, K); widths are D - K, hidden, K."""
    *hidden, classes = widths
    layers: list[nn.Module] = [nn.BatchNorm1d(widths[0], affine=False)] if standardised else []
    for fan_in, fan_out in pairwise(hidden):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(hidden[-1], classes))


def nuisance_loss(objective: NuisanceObjective, logits: Tensor, y: Tensor, rng: Stream) -> Tensor:
    """The model's loss, a scalar in nats, given the rival's logits (B, K) and labels y (B,)."""
    log_probs, log_chance = logits.log_softmax(1), -math.log(logits.shape[1])
    log_prob_y = log_probs.gather(1, y[:, None])
    match objective:
        case "raw":
            return log_prob_y.mean()
        case "clamped":
            # clamped per example: an example that the rival gets wrong cannot make up for another
            return log_prob_y.clamp_min(log_chance).mean()
        case "uniform_kl":
            # KL(uniform || D) = -log K - mean over classes of log D
            return log_chance - log_probs.mean()
        case "shuffled_labels":
            return F.cross_entropy(logits, y[rng.permutation(len(y)).to(y.device)])
