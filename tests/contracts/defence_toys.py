"""A small data set, small nets and cheap versions of the defences' cards."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from invspec.data import Journal, TensorSplit
from invspec.defences.standard import Standard
from invspec.kinds import Bijective, GeneratorTraining
from invspec.models.unet import UNet
from invspec.ops.draws import Stream
from invspec.registry.cards import names
from invspec.registry.methods import make, resolve

CLASSES = 4


def quadrants(n=48):
    """Class k has its bright patch in quadrant k: small images (N, 1, 8, 8) that any method can
    learn.
    """
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % CLASSES
    pixels = torch.randint(0, 40, (n, 1, 8, 8), generator=rng)
    for image, label in zip(pixels, y.tolist(), strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 200
    return TensorSplit(pixels.to(torch.uint8), y)


class Bijection(nn.Module):
    """Additive couplings of every other pixel, and a scale for each; the first numbers of the code
    are the logits.
    """

    def __init__(self, blocks=3):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(64))
        widths = (32, 64, 32)
        self.shifts = nn.ModuleList(
            nn.Sequential(
                nn.Linear(*widths[:2]), nn.ReLU(), nn.Dropout(0.2), nn.Linear(*widths[1:])
            )
            for _ in range(blocks)
        )

    def forward(self, x):
        return self.encode(x)[0]

    def encode(self, x):
        semantic, nuisance, _ = self.encode_with_log_det(x)
        return semantic, nuisance

    def encode_with_log_det(self, x):
        a, b = x.flatten(1)[:, 0::2], x.flatten(1)[:, 1::2]
        for shift in self.shifts:
            a, b = b + shift(a), a
        code = torch.cat([a, b], dim=1) * self.log_scale.exp()
        return code[:, :CLASSES], code[:, CLASSES:], self.log_scale.sum().expand(len(x))

    def decode(self, semantic, nuisance):
        a, b = (torch.cat([semantic, nuisance], dim=1) * (-self.log_scale).exp()).chunk(2, dim=1)
        for shift in reversed(self.shifts):
            a, b = b, a - shift(b)
        return torch.stack([a, b], dim=2).view(-1, 1, 8, 8)


def net(accepted=None):
    """A small net that a defence accepts."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        if accepted is Bijective:
            return Bijection()
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, CLASSES)
        )


def defence(name, **params):
    """The defence of that name, cut down to a test: few epochs, few steps, batches that fit the
    toy.
    """
    cheap = {
        "epochs": 2,
        "batch_size": 16,
        "lr": 0.01,
        "optimiser": "adam",
        "schedule": "constant",
        "milestones": (),
    }
    cheap |= {"crop": 0, "flip": False}  # a class of the toy is where its patch is
    cheap |= {"ce_weight": 1.0}  # without it a flow does not learn to classify
    cheap |= {"weight": 1.0}  # a generator must leave the targets, at which it starts
    made = make("defence", name, {}).smoke()
    return made.model_copy(
        update={
            key: value for key, value in (cheap | params).items() if key in type(made).model_fields
        }
    )


def model_for(recipe):
    """A small untrained net that a defence trains."""
    if not isinstance(recipe, GeneratorTraining):
        return net(recipe.accepts)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return UNet(widths=(4, 8)).build((1, 8, 8), CLASSES)


def trained(name, journal=None, key="key", device="cpu", **params):
    recipe = defence(name, **params)
    model, data = model_for(recipe).to(device), quadrants().to(device)
    of = (data, Stream(key), journal or Journal())
    if isinstance(recipe, GeneratorTraining):
        recipe.train_against(model, classifier().to(device), *of)
    else:
        recipe.train(model, *of)
    return model


@cache
def classifier():
    """The frozen net that generators are trained against."""
    model = net()
    Standard(epochs=4, batch_size=16, lr=0.01, optimiser="adam").train(
        model, quadrants(), Stream("classifier"), Journal()
    )
    return model.eval().requires_grad_(False)


def loss(name, model):
    """What a defence lowers, on the images that it learns from."""
    recipe, (batch,) = defence(name), quadrants().batches(48)
    if isinstance(recipe, GeneratorTraining):
        pairs = recipe.prepare(classifier(), batch, Stream("pairs"))
        return recipe.loss(classifier(), model.eval(), pairs).value
    return F.cross_entropy(model.eval()(batch.x), batch.y)


DEFENCES = [
    name
    for name in names("defence")
    if name
    not in ("untrained", "torchvision_weights")  # which keep none of the promises of learning
    and not any(i.is_required() for i in resolve("defence", name).model_fields.values())
]
