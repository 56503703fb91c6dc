"""Adversarial training with one step, watched for its collapse."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.errors import InvspecError
from invspec.kinds import Defence, Number
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.registry.fields import AttackField, default
from invspec.training.adversarial import InnerAttack, attack_batch
from invspec.training.calibration import calibrate
from invspec.training.collapse import CollapseWatch
from invspec.training.fast import FastRecipe
from invspec.training.fields import Epochs, LearningRate, WeightDecay
from invspec.training.loop import fit

FallbackAttack = Annotated[
    AttackField, Field(description="attack of the training once it has collapsed")
]
ProbeAttack = Annotated[AttackField, Field(description="attack that reveals a collapse")]

CIFAR10_EPS = 8 / 255


class FastAdversarialTraining(FastRecipe, Defence):
    """Learn from images attacked by one long step from a random start.

    Such a training can collapse within an epoch: the net then resists the single step and no longer
    resists PGD. After every epoch, `probe` attacks the last held_out images of the training
    examples, which are not trained on. If the net has lost more than `drop` of its best accuracy on
    them, the weights of the epoch before come back, and the rest of the training uses `fallback`.
    The first epoch is compared with a net that answers the same for all images, and may bring the
    initial weights back. The paper stops there instead; its code watches one batch of the training.

    Images are attacked after augmentation, on the model in eval mode, in the precision of the
    training.

    Raises: InvspecError if there are not enough examples to hold some out.

    Deviates: labels are smoothed, flips alternate, and images are attacked in eval mode; in the
    paper's code in train mode.
    """

    # version 1 did not notice a collapse within the first epoch
    version: ClassVar[int] = 2

    epochs: Epochs = 30
    lr: LearningRate = 0.2
    weight_decay: WeightDecay = 5e-4
    crop: int = Field(
        default=4, ge=0, description="shift images by up to this many pixels each way"
    )
    label_smoothing: Number = Field(
        default=0.0, ge=0, lt=1, description="share of the label that is spread over all classes"
    )
    attack: InnerAttack = default(
        "attack", "pgd", eps=CIFAR10_EPS, steps=1, relative_step_size=1.25
    )
    fallback: FallbackAttack = default(
        "attack", "pgd", eps=CIFAR10_EPS, steps=2, relative_step_size=0.5
    )
    probe: ProbeAttack = default(
        "attack", "pgd", eps=CIFAR10_EPS, steps=10, relative_step_size=0.25
    )
    held_out: int = Field(
        default=500,
        ge=1,
        description="training images, from the last, that the probe attacks instead; at most a "
        "tenth of them",
    )
    drop: Number = Field(
        default=0.5,
        gt=0,
        le=1,
        description="losing more than this share of the best accuracy under the probe is a "
        "collapse",
    )

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        learned, held_out = self.divided(self.selected(data))
        learned, held_out = (part.to(device_of(model)) for part in (learned, held_out))
        # before the watch copies the initial weights, which a collapse may bring back
        calibrate(model, learned)
        watch = CollapseWatch(model, held_out, self.probe, self.drop, share_of_commonest(learned))

        def prepare(net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
            attack = self.fallback if watch.collapsed else self.attack
            return attack_batch(attack, net, self.varied(batch, progress, rng), progress, rng)

        return fit(
            *(model, learned, rng, journal, self),
            prepare=prepare,
            loss=self.smoothed,
            auxiliary=watch,
            after_epoch=watch,
        )

    def divided(self, data: Split) -> tuple[Split, Split]:
        """The examples to learn from, and those that are held out."""
        held_out = min(self.held_out, len(data) // 10)
        if not held_out:
            raise InvspecError(
                f"{len(data)} training examples are too few to hold a tenth of them out"
            )
        learned = len(data) - held_out
        return data.head(learned), data.take(torch.arange(learned, len(data)))


def share_of_commonest(data: Split) -> float:
    """The share of examples that have the most frequent label."""
    return data.labels().bincount().max().item() / len(data)
