from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import Tensor, nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.standard import Standard
from invspec.kinds import Penalised, Standardised
from invspec.models.linear import Linear
from invspec.models.stdcnn import StdCNN
from invspec.models.temperature import Temperature, TemperedNet
from invspec.ops.draws import Stream
from invspec.registry.methods import make
from invspec.training.modes import attackable
from invspec.training.precision import InPrecision

SHAPE, CLASSES = (1, 4, 4), 3


def net(model: Temperature | None = None, gain: float | None = None) -> TemperedNet:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        built = (model or Temperature(model=Linear())).build(SHAPE, CLASSES)
    if gain is not None:
        built.get_parameter("link.gain").data.fill_(gain)
    return built


def images(n: int = 8) -> Tensor:
    return torch.rand(n, *SHAPE, generator=torch.Generator().manual_seed(1))


def batch() -> Batch:
    return Batch(images(), torch.arange(8) % CLASSES, torch.arange(8))


def test_logits_are_those_of_the_model_divided_by_the_temperature() -> None:
    built, x = net(gain=1.0), images()
    outputs = built.net(x)
    expected = 0.05 + nn.functional.softplus(torch.tensor(0.95).expm1().log() + outputs[:, -1])
    torch.testing.assert_close(built.temperature(x), expected)
    torch.testing.assert_close(built(x), outputs[:, :-1] / expected[:, None])
    assert built.temperature(x).std() > 0.01


def test_the_temperature_does_not_depend_on_the_place_in_the_batch() -> None:
    r = torch.linspace(-3, 3, 64)
    link = net(gain=1.0).link
    assert torch.equal(torch.cat([link(r[:7]), link(r[7:])]), link(r))


def test_at_the_start_every_temperature_is_1() -> None:
    torch.testing.assert_close(net().temperature(images()), torch.ones(8), rtol=0, atol=1e-6)


def test_in_mode_raw_the_last_unit_is_the_temperature() -> None:
    built, x = net(Temperature(model=Linear(), mode="raw")), images()
    outputs = built.net(x)
    assert torch.equal(built.temperature(x), outputs[:, -1])
    assert torch.equal(built(x), outputs[:, :-1] / outputs[:, -1:])
    assert set(built.state_dict()) == {f"net.{name}" for name in built.net.state_dict()}


def test_the_penalty_is_of_the_last_batch_in_train_mode() -> None:
    built, x = net(gain=1.0).train(), images()
    built(x.flip(0)[:3])
    built(x)
    expected = 0.001 * (built.temperature(x) - 1).square().mean()
    with attackable(built):
        PGD(eps=0.1, steps=2).perturb(built, batch(), Stream("key"))
    built.eval()(1 - x)
    torch.testing.assert_close(built.penalty(), expected)


def test_a_batch_is_penalised_once_and_leaves_no_graph() -> None:
    built = net().train()
    built(images())
    built.penalty().backward()
    with pytest.raises(AssertionError, match="needs a batch in train mode"):
        built.penalty()


def test_the_penalty_is_offered_by_the_models_training_proxy() -> None:
    built = net(gain=1.0).train()
    proxy = InPrecision(built, "bfloat16")
    proxy(images())
    assert isinstance(built, Penalised)
    assert proxy.penalty().item() > 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_large_penalty_weight_pulls_temperatures_to_1(precision: str) -> None:
    """With weight 0 they move freely."""
    data = TensorSplit(images(48), torch.arange(48) % CLASSES)
    left: list[float] = []
    for weight in (0.0, 100.0):
        built = net(Temperature(model=Linear(), penalty_weight=weight), gain=4.0)
        defence = Standard(epochs=8, batch_size=16, lr=0.05, optimiser="adam", precision=precision)
        defence.train(built, data, Stream("key"), Journal())
        left.append((built.eval().temperature(images()) - 1).square().mean().item())
    assert left[1] < left[0] / 3


def test_a_net_can_be_copied_and_pickled_between_forward_and_penalty() -> None:
    built, x = net(gain=1.0).train(), images()
    built(x)
    file = io.BytesIO()
    torch.save(built, file)
    file.seek(0)
    for other in (copy.deepcopy(built), torch.load(file, weights_only=False)):
        assert torch.equal(other.eval()(x), built.eval()(x))
        with pytest.raises(AssertionError):
            other.penalty()
    assert built.penalty().requires_grad


def test_a_tempered_standardised_net_implements_standardised() -> None:
    plain, standardised = net(), Temperature(model=StdCNN()).build((1, 28, 28), 10)
    assert not isinstance(plain, Standardised)
    assert isinstance(standardised, Standardised)
    assert standardised.pixel_std.tolist() == pytest.approx([0.3081])


def test_bfloat16_outputs_become_a_float32_temperature() -> None:
    logits = net(gain=1.0).bfloat16()(images().bfloat16())
    assert logits.dtype == torch.float32


def test_a_spec_can_name_the_inner_model() -> None:
    made = make("model", "temperature", {"model": {"use": "linear"}, "penalty_weight": "1e-2"})
    assert made == Temperature(model=Linear(), penalty_weight=0.01)
