"""Training on attacked images."""

from __future__ import annotations

from torch import nn

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.registry.fields import default
from invspec.training.adversarial import CleanFraction, InnerAttack, Ramp, attack_batch
from invspec.training.fields import BatchSize, Epochs, LearningRate, Optimiser
from invspec.training.prepared import PreparedTraining


class AdversarialTraining(PreparedTraining):
    """Attack each batch on the current model in eval mode, then learn from it in train mode.

    Images are attacked after augmentation, in the precision of the training; attacks that need
    float32, such as those in an LPIPS ball, search in float32.

    The first clean_fraction of a batch, rounded to whole images, is not attacked. A ramp scales
    perturbations by a factor that rises linearly to 1, so that a short training does not stay on
    the plateau that full-size perturbations cause. The paper uses neither. The defaults are Madry
    et al.'s recipe for MNIST: 91 epochs of 55,000 images give their 100,000 updates.

    Deviates: weight_decay applies to all weights; theirs excludes biases and batch norm.
    """

    epochs: Epochs = 91
    batch_size: BatchSize = 50
    optimiser: Optimiser = "adam"
    lr: LearningRate = 1e-4
    attack: InnerAttack = default("attack", "pgd", eps=0.3, steps=40, step_size=0.01)
    clean_fraction: CleanFraction = 0.0
    ramp: Ramp = 0.0

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        """The augmented batch, attacked."""
        # augmented first, so that the ball is centred on the augmented image
        batch, clean = self.augment(batch, rng), self.clean_fraction
        return attack_batch(self.attack, net, batch, progress, rng, ramp=self.ramp, clean=clean)
