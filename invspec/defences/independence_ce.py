"""Cross-entropy that leaves no information about the label outside of the logits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Split
from invspec.defences.likelihood import (
    Code,
    CrossEntropyWeight,
    Likelihood,
    PriorOver,
    Term,
    code_of_one,
)
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliary
from invspec.training.modes import seeded

NuisanceObjective = Literal["clamped", "raw", "uniform_kl", "shuffled_labels"]


class IndependenceCE(Likelihood):
    """Independence cross-entropy (Definition 7): of a bijection's code, the logits shall tell the label, the rest not.

    A rival, D_nc, learns to classify the nuisance. For each batch it takes nuisance_steps updates on the cross-entropy
    of the nuisance as it stands; then the model, and the prior of the likelihood, take one on

        ce_weight * cross-entropy + nuisance_weight * L_nCE + mle_weight * bits per dimension

    where L_nCE = log D_nc(z_n)[y], through the rival as it stands, counts as

        raw              it is: unbounded below, the model can win for ever
        clamped          max(L_nCE, -log K) of each example: nothing is gained where the rival is worse than chance
        uniform_kl       KL(uniform || D_nc(z_n)), which is least where the rival knows nothing
        shuffled_labels  the cross-entropy of D_nc(z_n) with the labels of other examples: in expectation, where classes
                         are balanced, uniform_kl but for a constant

    The rival learns from the labels in every case. With weights 0 of the nuisance and the likelihood, and without
    dequantisation, this is Standard, update for update: the CE net to compare with.

    Two trainings that a spec plans begin at different weights and see images in different orders, since each draws from
    its own key: comparing their nets takes several seeds.

    The curves tell nuisance_loss and nuisance_accuracy, the rival's cross-entropy and accuracy after its updates, on
    what it just learnt from, beside cross_entropy and bits_per_dimension.

    raw and clamped have no gradient where the rival is sure and right, so that the model cannot begin to win against a
    rival that has learnt a batch by heart, as many updates on few examples let it; the other two have.

    Deviates: Definition 7 prints densities where Lemma 10 has their logarithms, and the log-determinant once for each
    dimension; here logarithms, and the log-determinant once. In the released script the model descends on the
    cross-entropy of the rival with permuted labels, as by shuffled_labels, where Definition 7 has it descend on L_nCE.
    The logits of that script go through a batch norm before the cross-entropy; here they do not.
    """

    ce_weight: CrossEntropyWeight = 1.0
    prior: PriorOver = "nuisance"
    nuisance_weight: Number = Field(
        default=0.05, ge=0, description="of L_nCE, in nats; 0: no rival is trained"
    )
    per_dim: bool = Field(
        default=False,
        description="divide nuisance_weight by the number of dimensions of the nuisance",
    )
    nuisance_objective: NuisanceObjective = Field(
        default="clamped",
        description="what the model descends on against the rival: see IndependenceCE",
    )
    nuisance_steps: int = Field(
        default=5, ge=1, description="updates of the rival for each of the model"
    )
    nuisance_lr: Number = Field(
        default=1e-3, gt=0, description="constant learning rate of the rival's own optimiser"
    )
    nuisance_hidden: tuple[int, ...] = Field(
        default=(512, 512), description="units of the rival's hidden layers, ReLU"
    )
    nuisance_standardised: bool = Field(
        default=False, description="the rival standardises the nuisance by batch statistics first"
    )
    nuisance_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of the rival's hidden units left out"
    )

    def auxiliary(self, model: nn.Module, data: Split, rng: Stream) -> Auxiliary:
        prior = super().auxiliary(model, data, rng)
        return (
            self._with_rival(cast(nn.Module, prior), model, data, rng)
            if self.nuisance_weight
            else prior
        )

    def _with_rival(
        self, prior: nn.Module, model: nn.Module, data: Split, rng: Stream
    ) -> Auxiliaries:
        code = code_of_one(model, data)
        with seeded(rng, torch.device("cpu")):
            rival = self.fresh_rival(code.nuisance.shape[1], code.semantic.shape[1]).to(
                code.nuisance.device
            )
        return Auxiliaries(prior, rival, self.optimiser_of(rival.parameters(), self.nuisance_lr))

    def fresh_rival(self, dimensions: int, classes: int) -> nn.Sequential:
        """D_nc: nuisance (B, D - K) to logits (B, K)."""
        layers: list[nn.Module] = (
            [nn.BatchNorm1d(dimensions, affine=False)] if self.nuisance_standardised else []
        )
        for fan_in, fan_out in pairwise((dimensions, *self.nuisance_hidden)):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
            layers += [nn.Dropout(self.nuisance_dropout)] if self.nuisance_dropout else []
        return nn.Sequential(*layers, nn.Linear((dimensions, *self.nuisance_hidden)[-1], classes))

    def terms(self, auxiliary: Auxiliary, code: Code, y: Tensor, rng: Stream) -> Iterable[Term]:
        if not self.nuisance_weight:
            yield from super().terms(auxiliary, code, y, rng)
            return
        auxiliaries = cast(Auxiliaries, auxiliary)
        yield from super().terms(cast(Auxiliary, auxiliaries.prior), code, y, rng)
        auxiliaries.learn(code.nuisance.detach(), y, self.nuisance_steps)
        weight = self.nuisance_weight / (code.nuisance.shape[1] if self.per_dim else 1)
        logits = judged(auxiliaries.rival, code.nuisance)
        loss, right = F.cross_entropy(logits, y), (logits.argmax(1) == y).to(logits.dtype).mean()
        metrics = {"nuisance_loss": loss, "nuisance_accuracy": right}
        yield Term(weight, self.nuisance_loss(logits, y, rng), metrics)

    def nuisance_loss(self, logits: Tensor, y: Tensor, rng: Stream) -> Tensor:
        """What the model descends on, of the rival's logits (B, K): a scalar in nats."""
        log_probs, chance = logits.log_softmax(1), -math.log(logits.shape[1])
        true = log_probs.gather(1, y[:, None])
        match self.nuisance_objective:
            case "raw":
                return true.mean()
            case "clamped":
                return true.clamp_min(chance).mean()
            case "uniform_kl":
                return chance - log_probs.mean()
            case "shuffled_labels":
                return F.cross_entropy(logits, y[rng.permutation(len(y)).to(y.device)])


@dataclass(frozen=True)
class Auxiliaries:
    """The prior, which learns with the model, and the rival with its optimiser, which learns against it."""

    prior: nn.Module
    rival: nn.Module
    optimiser: torch.optim.Optimizer

    def parameters(self) -> Iterable[nn.Parameter]:
        """The prior's alone: the rival has an optimiser of its own."""
        return self.prior.parameters()

    def learn(self, nuisance: Tensor, y: Tensor, steps: int) -> None:
        """So many updates of the rival on a batch (B, D - K), y (B,)."""
        for _ in range(steps):
            loss = F.cross_entropy(self.rival(nuisance), y)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Of all three, by name."""
        return {name: getattr(self, name).state_dict() for name in ("prior", "rival", "optimiser")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        for name, state in state_dict.items():
            getattr(self, name).load_state_dict(state)


def judged(rival: nn.Module, nuisance: Tensor) -> Tensor:
    """The rival's logits (B, K), with a graph to the nuisance (B, D - K) alone: its weights get no gradient."""
    fixed = {name: weight.detach() for name, weight in rival.named_parameters()}
    return torch.func.functional_call(rival, fixed, nuisance)
