"""Trainings of bijections: what they accept, what is learnt, and what is refused beforehand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from bijections import LinearBijection, orthogonal, told_twice
from torch import nn

from invspec.data import Batch, Journal
from invspec.kinds import Bijective, EndsInMap
from invspec.ops.draws import Stream
from invspec.training.auxiliary import Auxiliary
from invspec.training.flow import Code, FlowLoss
from invspec.training.flow_training import FlowTraining
from invspec.training.loss import LossFunction, StepLoss


def test_only_bijections_are_trained() -> None:
    assert FlowTraining().accepts is Bijective


def test_a_closed_form_needs_a_net_with_a_last_map() -> None:
    assert FlowTraining(last_in_closed_form=True).accepts is EndsInMap


def test_likelihood_grows_from_epoch_to_epoch() -> None:
    defence = FlowTraining(epochs=5, batch_size=32, dequantise=False, lr=0.01)
    curves = defence.train(LinearBijection(orthogonal()), told_twice(128), Stream("key"), Journal())
    loss = curves["loss"]
    assert len(loss) == 5
    assert list(loss) == sorted(loss, reverse=True)
    assert all(math.isfinite(value) for value in loss)


def test_a_subclass_may_train_something_beside_the_prior() -> None:
    scale = nn.Parameter(torch.ones(()))

    class Scaled(FlowTraining):
        def objective(
            self, flow: FlowLoss, code: Code, rng: Stream
        ) -> tuple[LossFunction, Auxiliary]:
            def loss(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
                plain = flow(net, batch, rng)
                return replace(plain, value=plain.value + scale)

            return loss, nn.ParameterDict({"scale": scale})

    defence = Scaled(epochs=1, batch_size=8, dequantise=False, lr=0.125)
    defence.train(LinearBijection(orthogonal()), told_twice(8), Stream("key"), Journal())
    # adamax starts with a step of the learning rate
    assert scale.item() == pytest.approx(1 - 0.125)
