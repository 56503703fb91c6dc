from __future__ import annotations

import pytest
import torch
from torch import Tensor

from invspec.data import Journal, TensorSplit
from invspec.defences.standard import Standard
from invspec.kinds import Standardised
from invspec.models.linear import Linear
from invspec.models.noisy import Noisy, NoisyNet
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream

SHAPE, CLASSES = (1, 4, 4), 3


def net(sigma: float = 0.25) -> NoisyNet:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return Noisy(model=Linear(), sigma=sigma).build(SHAPE, CLASSES)


def images(n: int = 8) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
def test_every_pass_draws_its_own_noise(training: bool) -> None:
    built, x = net().train(training), images()
    assert not built(x).equal(built(x))


def test_the_noise_has_the_given_deviation() -> None:
    built, x = net(sigma=0.3), images(1).expand(20_000, *SHAPE)
    spread = (built(x) - built.net(x)).std(0)
    weights = next(built.net.parameters()).flatten(1)
    # sigma times the length of each row of weights; 2 % is four standard errors
    torch.testing.assert_close(spread, 0.3 * weights.norm(dim=1), rtol=0.02, atol=0)


def test_without_noise_it_is_the_model() -> None:
    built, x = net(sigma=0), images()
    assert built(x).equal(built.net(x))


def test_a_standardising_model_still_says_how() -> None:
    built = Noisy(model=StdCNN()).build((1, 28, 28), 10)
    assert isinstance(built, Standardised)
    assert not isinstance(net(), Standardised)


def test_a_training_repeats() -> None:
    data = TensorSplit(images(24), torch.arange(24) % CLASSES)
    weights: list[Tensor] = []
    for _ in range(2):
        built = net()
        torch.rand(3)
        Standard(epochs=2, batch_size=8).train(built, data, Stream("a training"), Journal())
        weights.append(torch.cat([weight.flatten() for weight in built.state_dict().values()]))
    assert weights[0].equal(weights[1])


def test_its_prediction_is_a_mean_of_passes() -> None:
    assert Noisy(passes=7).random_passes == 7
