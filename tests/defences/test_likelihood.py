"""Training by likelihood: its optimum in closed form, and the last map."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from bijections import LinearBijection
from torch import nn

from invspec.data import Journal, TensorSplit
from invspec.defences.likelihood import Likelihood
from invspec.kinds import Bijective
from invspec.models.firevnet import FiRevNet
from invspec.ops.draws import Stream

LOG_2PI = math.log(2 * math.pi)


def test_the_likelihood_climbs_to_that_of_the_best_gaussian() -> None:
    """W is free, so the best density is the Gaussian with mean and covariance of the data."""
    mixing = torch.tensor(
        [[1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0, 0], [0, 0.5, 0.5, 0], [0.2, 0.2, 0.2, 0.2]]
    )
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1)) @ mixing.T + 0.3
    recipe: Any = {"epochs": 200, "batch_size": 256, "optimiser": "adam", "lr": 0.05}
    defence = Likelihood(schedule="cosine", dequantise=False, weight_decay=0, **recipe)
    data = TensorSplit(x.view(-1, 1, 2, 2), torch.arange(256) % 2)
    curves = defence.train(LinearBijection(torch.eye(4)), data, Stream("key"), Journal())
    entropy = torch.logdet(torch.cov(x.T, correction=0)).item() / 2 + 2 * (LOG_2PI + 1)
    expected = 8 + entropy / (4 * math.log(2))
    assert curves["bits_per_dimension"][-1] == pytest.approx(expected, abs=1e-3)
    assert curves["loss"] == curves["bits_per_dimension"]


def test_it_needs_a_bijection() -> None:
    assert Likelihood().accepts is Bijective


# ─ the last map in closed form ────────────────────────────────────────────────────────────────────


def small_flow(nuisance_given_logits: bool) -> Any:
    torch.manual_seed(0)
    recipe = FiRevNet(
        stages=1, blocks=1, width=4, site=(0, 0), nuisance_given_logits=nuisance_given_logits
    )
    return recipe.build((1, 4, 4), 2)


def train_briefly(net: nn.Module, last_in_closed_form: bool) -> None:
    fields: Any = {"epochs": 1, "batch_size": 32, "optimiser": "adam", "prior": "nuisance"}
    defence = Likelihood(ce_weight=1, last_in_closed_form=last_in_closed_form, **fields)
    defence.train(net, two_textures(), Stream("key"), Journal())


def two_textures(n: int = 256) -> TensorSplit:
    """Images (n, 1, 4, 4) of two classes that differ only in the covariance of their pixels."""
    generator, y = torch.Generator().manual_seed(3), torch.arange(n) % 2
    x = torch.rand(n, 16, generator=generator)
    x[y == 1, 1:] = (x[y == 1, 1:] + x[y == 1, :-1]) / 2
    return TensorSplit(x.view(n, 1, 4, 4), y)


def test_the_last_map_is_fitted_to_the_codes_after_training() -> None:
    net = small_flow(True)
    train_briefly(net, last_in_closed_form=True)
    by_training = {name: part.clone() for name, part in net.last.named_parameters()}
    net.eval().fit_last(batch.x for batch in two_textures().batches(64))
    for name, part in net.last.named_parameters():
        assert torch.allclose(part, by_training[name], atol=1e-4), name
    assert net.last.lower.abs().max() > 0.1


def test_the_closed_form_changes_the_last_map_only() -> None:
    descended, fitted = (small_flow(True) for _ in range(2))
    train_briefly(descended, last_in_closed_form=False)
    train_briefly(fitted, last_in_closed_form=True)
    before, after = (dict(net.named_parameters()) for net in (descended, fitted))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"last.shift", "last.log_scale", "last.lower"}
    assert descended.last.lower.abs().max() < fitted.last.lower.abs().max()
