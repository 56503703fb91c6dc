"""Fast training: what an update learns from."""

from __future__ import annotations

import torch
from recipes import images, linear, points, trained, weights
from torch import nn

from invspec.defences.fast_training import FastTraining
from invspec.defences.standard import Standard
from invspec.layers.whitening import PatchWhitening
from invspec.ops.draws import Stream
from invspec.training.fast import alternated

PLAIN = {"flip": False, "crop": 0, "label_smoothing": 0.0}


def test_without_its_extras_it_is_standard_training() -> None:
    settings = {"epochs": 3, "batch_size": 4, "lr": 0.1, "schedule": "constant", "weight_decay": 0}
    assert torch.equal(
        weights(trained(FastTraining(**settings, **PLAIN))), weights(trained(Standard(**settings)))
    )


def test_smoothing_keeps_the_weights_of_a_separable_problem_small() -> None:
    settings = {"epochs": 200, "batch_size": 10, "lr": 1.0, "weight_decay": 0, "flip": False}
    sharp, smooth = (
        weights(trained(FastTraining(**settings, crop=0, label_smoothing=share))).abs().sum()
        for share in (0.0, 0.5)
    )
    assert smooth < sharp
    assert weights(linear()).abs().sum() < smooth


def test_it_prepares_flips_that_alternate() -> None:
    batch = images()
    prepared = FastTraining(crop=0, epochs=2).prepare(nn.Flatten(), batch, 0.75, Stream("key"))
    assert torch.equal(prepared.x, alternated(batch.x, batch.index, 1))


def test_it_whitens_by_the_training_images() -> None:
    whitening = PatchWhitening(1, 1)
    net = nn.Sequential(whitening, nn.Flatten(), nn.Linear(2, 2))
    trained(FastTraining(epochs=1, **PLAIN), points(10), net)
    (batch,) = points(10).batches(10)
    variance = batch.x.double().square().mean()
    scale = 1 / (variance + 5e-4).sqrt()
    expected = torch.tensor([scale, -scale])
    # an eigenvector has either sign
    found = whitening.weight.flatten()
    torch.testing.assert_close(found * found[0].sign(), expected, check_dtype=False)
