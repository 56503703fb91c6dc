"""Trainings that compare images by the features of another trained net, as tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from workbench import Memory, train

from invspec.attacks.pgd import PGD
from invspec.data import Curves, Journal, Split
from invspec.datasets.fake import Fake
from invspec.defences.lpips_ccat import LPIPSCCAT
from invspec.errors import InvspecError
from invspec.models.lenet import LeNet
from invspec.ops.draws import Stream
from invspec.perform.fresh import fresh
from invspec.perform.samples import read_split
from invspec.tasks import Train, draw_name

FAKE = Fake(shape=(1, 12, 12), classes=3, train=48, test=12)
FEATURES = train(dataset=FAKE, model=LeNet(widths=(2, 4), hidden=8), seed=5)
FADED = LPIPSCCAT(
    epochs=1,
    batch_size=16,
    distance="laidlaw_self",
    calibrate_at=0.1,
    min_eps=None,
    attack=PGD(eps=0.2, steps=1),
)
BESIDE = Train(FAKE, FEATURES.model, FADED, seed=0, features=FEATURES)


def weights(task: Train) -> list[torch.Tensor]:
    return list(Memory().load(task).tensors.values())


def equal(first: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(first, other, strict=True))


def test_the_task_trains_as_the_method_does_beside_the_trained_net() -> None:
    runtime = Memory()
    features, net = fresh(FEATURES), fresh(BESIDE)
    features.load_state_dict(dict(runtime.load(FEATURES).tensors))
    features = FEATURES.model.deploy(features)
    data, rng = read_split(FAKE, "train"), Stream("training " + draw_name(BESIDE))
    FADED.train_by(net, features, data, rng, Journal())
    stored = runtime.load(BESIDE).tensors
    for name, value in net.state_dict().items():
        torch.testing.assert_close(stored[name], value, atol=1e-6, rtol=1e-5)


def test_it_matters_whose_features_they_are() -> None:
    own, beside = (weights(replace(BESIDE, features=net)) for net in (None, FEATURES))
    other = weights(replace(BESIDE, features=replace(FEATURES, seed=6)))
    assert not equal(own, beside)
    assert not equal(beside, other)


def test_a_training_that_is_repeated_gives_the_same_weights() -> None:
    assert equal(weights(BESIDE), weights(BESIDE))


class Vandal(LPIPSCCAT):
    """Writes to the net that it was lent."""

    def train_by(
        self, model: nn.Module, features: nn.Module, data: Split, rng: Stream, journal: Journal
    ) -> Curves:
        with torch.no_grad():
            next(features.parameters()).add_(1)
        return super().train_by(model, features, data, rng, journal)


def test_a_training_that_changes_its_feature_net_is_refused() -> None:
    vandal = Vandal.model_validate({name: getattr(FADED, name) for name in LPIPSCCAT.model_fields})
    with pytest.raises(InvspecError, match="Vandal"):
        Memory().load(replace(BESIDE, defence=vandal))
