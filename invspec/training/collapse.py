"""Catastrophic overfitting: a training on weak attacks that loses its robustness to strong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from invspec.data import Batch, Split
from invspec.kinds import Attack
from invspec.ops.draws import Stream
from invspec.training.adversarial import perturbed
from invspec.training.log import correct
from invspec.training.modes import attackable

BATCH = 250


@dataclass
class CollapseWatch:
    """Attacks held-out images after every epoch; if the training collapsed, undoes the epoch.

    It has collapsed if it lost more than `drop`, a share, of its best accuracy on the attacked
    images. Before there is one, `constant` stands for it: the accuracy of a net that answers the
    same for all images, which no attack lowers. The model then gets the weights of the last epoch
    that had not collapsed, or those it began with, and the optimiser forgets its moments.
    `collapsed` says from then on that this happened.

    It is an Auxiliary of the training, so that a resumed one goes on from the same state.
    """

    model: nn.Module
    held_out: Split
    probe: Attack
    drop: float
    constant: float = 0.0
    best: float = 0.0
    collapsed: bool = False
    good: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.good = self._weights()

    def __call__(
        self, net: nn.Module, optimiser: torch.optim.Optimizer, rng: Stream
    ) -> dict[str, float]:
        """The accuracy on the attacked images, and 1 if the epoch was undone; net calls model."""
        accuracy = robust_accuracy(net, self.held_out, self.probe, rng.fork("probe"))
        nothing_to_compare = self.best == 0 and not self.collapsed
        reference = self.constant if nothing_to_compare else self.best
        undone = accuracy < (1 - self.drop) * reference
        if undone:
            self.collapsed = True
            self.model.load_state_dict(self.good)
            optimiser.state.clear()
        else:
            self.best = max(self.best, accuracy)
            self.good = self._weights()
        return {"probed_accuracy": accuracy, "undone": float(undone)}

    def _weights(self) -> dict[str, Tensor]:
        """A copy of the weights of the model."""
        state: dict[str, Tensor] = self.model.state_dict()
        return {name: value.clone() for name, value in state.items()}

    def parameters(self) -> Iterator[nn.Parameter]:
        """None."""
        return iter(())

    def modules(self) -> Iterator[nn.Module]:
        """None."""
        return iter(())

    def state_dict(self) -> dict[str, Any]:
        """What a resumed training needs."""
        return {"best": self.best, "collapsed": self.collapsed, "good": self.good}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state."""
        self.best, self.collapsed = state_dict["best"], state_dict["collapsed"]
        self.good = state_dict["good"]


def robust_accuracy(net: nn.Module, data: Split, attack: Attack, rng: Stream) -> float:
    """Share of images that the net, in eval mode, classifies correctly once they are attacked."""
    right = [_still_right(net, batch, attack, rng) for batch in data.batches(BATCH)]
    return torch.cat(right).double().mean().item()


def _still_right(net: nn.Module, batch: Batch, attack: Attack, rng: Stream) -> Tensor:
    x_adv = perturbed(attack, net, batch, rng)
    with attackable(net), torch.no_grad():
        return correct(net(x_adv), batch.y)
