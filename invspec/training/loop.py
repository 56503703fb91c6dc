"""The training loop that all defences share.

A defence has the fields of a Recipe and calls `fit`. It composes three things: the recipe, the
preparation of each batch (`prepare`), and the loss. By default `prepare` only augments, and the
loss is the cross-entropy. `PreparedTraining` (prepared.py) is the base class of defences that
differ only in `prepare`. A new one looks like this:

    class Noisy(PreparedTraining):
        '''Train on images with normal noise.'''

        deviation: float = Field(default=0.1, ge=0, description="standard deviation of the noise")

        def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
            batch = self.augment(batch, rng)
            noise = self.deviation * rng.normal(tuple(batch.x.shape)).to(batch.x)
            return replace(batch, x=(batch.x + noise).clamp(*batch.bounds))

Inner attacks (adversarial.py), fading labels (fading.py) and likelihoods (flow.py) are pieces to
build on. A custom loss is a function of net, prepared batch and draws that returns a StepLoss.
Modules trained alongside the model are passed as `auxiliary`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from invspec.data import Batch, Curves, Journal, Split
from invspec.errors import InvspecError
from invspec.ops.draws import Stream
from invspec.ops.modules import device_of
from invspec.training.auxiliary import NO_AUXILIARY, Auxiliary
from invspec.training.calibration import calibrate
from invspec.training.checkpoint import Checkpoint
from invspec.training.dropout import own_masks
from invspec.training.log import Log
from invspec.training.loss import LossFunction, cross_entropy, with_penalty
from invspec.training.modes import seeded
from invspec.training.precision import products
from invspec.training.recipe import Recipe

# From net, batch, progress and draws to the batch to learn from: x (B, C, H, W) and y, (B,) int64
# or probabilities (B, K). progress, in (0, 1), is the share of updates done.
Prepare = Callable[[nn.Module, Batch, float, Stream], Batch]

# From net, optimiser and draws to numbers to log, the same names after every epoch. It may change
# the weights; what it remembers belongs to an auxiliary, so that a resumed training has it.
AfterEpoch = Callable[[nn.Module, torch.optim.Optimizer, Stream], Mapping[str, float]]


def fit(
    model: nn.Module,
    data: Split,
    rng: Stream,
    journal: Journal,
    recipe: Recipe,
    *,
    prepare: Prepare | None = None,
    loss: LossFunction = cross_entropy,
    auxiliary: Auxiliary = NO_AUXILIARY,
    after_epoch: AfterEpoch = lambda net, optimiser, rng: {},
    finished: Callable[[], bool] | None = None,
) -> Curves:
    """Train model and auxiliary in place. Returns the mean of each logged number per epoch.

    finished is asked after each epoch whether training ends early.
    """
    prepare = prepare or (lambda net, batch, progress, rng: recipe.augment(batch, rng))
    net, device = recipe.proxy(model), device_of(model)
    # moved once: batches of a split in memory are then sliced on the device
    data = recipe.selected(data).to(device)
    weights = [*trainable(model), *auxiliary.parameters()]
    modules = [*model.modules(), *auxiliary.modules()]
    optimiser = recipe.new_optimiser(weights)
    checkpoint = Checkpoint(model, auxiliary, optimiser, rng)
    calibrate(model, data)
    checkpoint.restore(journal.resume())
    steps = math.ceil(len(data) / recipe.batch_size)
    model.train()
    for epoch in range(len(checkpoint.history), recipe.epochs):
        # asked here, so that a resumed training ends where it ended before
        if epoch and finished is not None and finished():
            break
        log = Log(journal, epoch, steps, total=recipe.epochs * steps)
        # forked, so that the order does not depend on what else a defence draws
        order = rng.fork(f"order of epoch {epoch}")
        # one seed per epoch, so that a resumed training draws the same dropout masks
        with products(recipe.precision), seeded(rng, device) as seed, own_masks(modules, seed):
            for step, batch in enumerate(data.batches(recipe.batch_size, shuffle=order)):
                # the middle of the update, so that progress is never 0 or 1
                progress = (epoch + (step + 0.5) / steps) / recipe.epochs
                prepared = prepare(net, batch, progress, rng)
                step_loss = with_penalty(loss(net, prepared, rng), model)
                optimiser.zero_grad()
                step_loss.value.backward()
                recipe.clip_gradient(weights)
                recipe.set_learning_rate(optimiser, progress)
                optimiser.step()
                log.add(step_loss, prepared.y)
        checkpoint.history.append({**log.close(), **after_epoch(net, optimiser, rng)})
        journal.save(checkpoint.state())
    return checkpoint.curves


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The model's weights. Raises InvspecError if it has none."""
    weights = list(model.parameters())
    if not weights:
        raise InvspecError("the model has no weights to train", hint="use the defence untrained")
    return weights
