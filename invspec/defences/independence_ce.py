"""Cross-entropy that leaves no information about the label outside the logits."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.kinds import Number
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliaries, Auxiliary
from invspec.training.flow import (
    Code,
    CrossEntropyWeight,
    FlowLoss,
    PriorOver,
    Term,
    weighted_sum,
)
from invspec.training.flow_training import FlowTraining
from invspec.training.loss import LossFunction, StepLoss
from invspec.training.modes import seeded
from invspec.training.rival import NuisanceObjective, Rival, nuisance_loss, rival_net


class IndependenceCE(FlowTraining):
    """Independence cross-entropy (Definition 7): only a bijection's logits carry the label.

    A rival D_nc learns to classify the nuisance z_n. On each batch it first takes nuisance_steps
    updates on its cross-entropy; then the model and the likelihood's prior take one update on

        ce_weight * cross-entropy + nuisance_weight * L_nCE + mle_weight * bits per dimension

    where L_nCE = log D_nc(z_n)[y] uses the updated rival, in the form that nuisance_objective
    selects:

        raw              L_nCE itself, which has no lower bound: the model can decrease it forever
        clamped          max(L_nCE, -log K) per example: no gain once the rival is worse than chance
        uniform_kl       KL(uniform || D_nc(z_n)), smallest when the rival predicts uniformly
        shuffled_labels  the cross-entropy of D_nc(z_n) with the labels of other examples: if
                         classes are balanced, uniform_kl in expectation, up to a constant

    The rival always learns from the true labels. With nuisance_weight and mle_weight 0 and without
    dequantisation, every update equals Standard's: this is the CE baseline.

    The curves are cross_entropy, bits_per_dimension, nuisance_loss and nuisance_accuracy; the last
    two are the rival's on the current batch, after its updates on it.

    raw and clamped have no gradient where the rival is certain and right. The model then cannot
    improve against a rival that has memorised the batch, as happens with many updates on few
    examples. The other two objectives keep a gradient.

    Deviates: Definition 7 prints densities where Lemma 10 has their logarithms, and the
    log-determinant once for each dimension; this class uses logarithms and counts the
    log-determinant once. In the released script the model minimises the rival's cross-entropy with
    permuted labels, like shuffled_labels, where Definition 7 minimises L_nCE. That script applies
    batch norm to the logits before the cross-entropy; this class does not.
    """

    ce_weight: CrossEntropyWeight = 1.0
    prior: PriorOver = "nuisance"
    nuisance_weight: Number = Field(
        default=0.05, ge=0, description="weight of L_nCE, in nats; 0: no rival is trained"
    )
    per_dim: bool = Field(
        default=False,
        description="divide nuisance_weight by the number of dimensions of the nuisance",
    )
    nuisance_objective: NuisanceObjective = Field(
        default="clamped",
        description="the model's loss against the rival: clamped, raw, uniform_kl or "
        "shuffled_labels",
    )
    nuisance_steps: int = Field(
        default=5, ge=1, description="updates of the rival per update of the model"
    )
    nuisance_lr: Number = Field(
        default=1e-3, gt=0, description="constant learning rate of the rival's own optimiser"
    )
    nuisance_hidden: tuple[int, ...] = Field(
        default=(512, 512), description="units of the rival's hidden layers, ReLU"
    )
    nuisance_standardised: bool = Field(
        default=False,
        description="standardise the nuisance by batch statistics before the rival reads it",
    )
    nuisance_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="dropout rate of the rival's hidden units"
    )

    def objective(self, flow: FlowLoss, code: Code, rng: Stream) -> tuple[LossFunction, Auxiliary]:
        """The loss with a fresh rival's term; the rival is trained alongside model and prior."""
        rival = self.fresh_rival(code, rng) if self.nuisance_weight else None
        parts: dict[str, Auxiliary] = {"prior": flow.prior, **({"rival": rival} if rival else {})}
        return partial(self.loss, flow, rival), Auxiliaries(parts)

    def fresh_rival(self, code: Code, rng: Stream) -> Rival:
        """A rival for codes like this one, on the same device, with its own optimiser."""
        dimensions, classes = code.nuisance.shape[1], code.semantic.shape[1]
        # built on the CPU, so that its initial weights do not depend on the device
        with seeded(rng, torch.device("cpu")):
            net = rival_net(
                (dimensions, *self.nuisance_hidden, classes),
                standardised=self.nuisance_standardised,
                dropout=self.nuisance_dropout,
            )
        net = net.to(code.nuisance.device)
        return Rival(net, self.new_optimiser(net.parameters(), self.nuisance_lr))

    def loss(
        self, flow: FlowLoss, rival: Rival | None, net: nn.Module, batch: Batch, rng: Stream
    ) -> StepLoss:
        """The loss of one update of the model; the rival is updated first."""
        code = Code.of(net, batch.x)
        terms = list(flow.terms(code, batch.y))
        if rival is not None:
            terms.append(self.nuisance_term(rival, code, batch.y, rng))
        return weighted_sum(terms, code.semantic)

    def nuisance_term(self, rival: Rival, code: Code, y: Tensor, rng: Stream) -> Term:
        """Update the rival on the batch, then compute the objective from its logits."""
        # detached, so that the rival's updates do not reach the model
        rival.learn(code.nuisance.detach(), y, self.nuisance_steps)
        weight = self.nuisance_weight / (code.nuisance.shape[1] if self.per_dim else 1)
        logits = rival.judge(code.nuisance)
        accuracy = (logits.argmax(1) == y).to(logits.dtype).mean()
        metrics = {"nuisance_loss": F.cross_entropy(logits, y), "nuisance_accuracy": accuracy}
        return Term(weight, nuisance_loss(self.nuisance_objective, logits, y, rng), metrics)
