import pytest
import torch
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.ops.draws import Stream
from invspec.registry.methods import make

ATTACK = PGD(eps=0.1, steps=1, step_size=0.1, random_start=False)


def batch(n=10):
    """Grey images, so that the box of valid pixels is far."""
    return Batch(torch.full((n, 1, 2, 2), 0.5), torch.zeros(n, dtype=torch.int64), torch.arange(n))


def model():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2))


@pytest.mark.parametrize(("clean_fraction", "kept"), [(0, 0), (0.25, 2), (0.5, 5), (1, 10)])
def test_the_clean_fraction_stays_and_the_rest_is_attacked_to_the_ball(clean_fraction, kept):
    defence = AdversarialTraining(attack=ATTACK, clean_fraction=clean_fraction)
    prepared = defence.prepare(model(), batch(), 0.5, Stream("key"))
    moved = (prepared.x - 0.5).abs().flatten(1).amax(1)
    assert moved[:kept].tolist() == [0] * kept
    assert moved[kept:].tolist() == pytest.approx([0.1] * (10 - kept))


@pytest.mark.parametrize(("progress", "size"), [(0.1, 0.025), (0.2, 0.05), (0.4, 0.1), (0.9, 0.1)])
def test_along_the_ramp_perturbations_grow_to_full_size(progress, size):
    prepared = AdversarialTraining(attack=ATTACK, ramp=0.4).prepare(
        model(), batch(), progress, Stream("key")
    )
    assert (prepared.x - 0.5).abs().flatten(1).amax(1).tolist() == pytest.approx([size] * 10)


def test_the_attack_raises_the_loss_it_sees_without_dropout():
    net = model()
    prepared = AdversarialTraining(attack=ATTACK).prepare(net, batch(), 0.5, Stream("key"))
    weight = net.get_parameter("2.weight")
    margin = weight[1] - weight[0]
    assert torch.equal((prepared.x - 0.5).sign().flatten(1), margin.sign().expand(10, 4))
    assert net.training


def test_the_attack_sees_no_gradient_of_the_weights_and_leaves_none():
    net = model()
    AdversarialTraining(attack=ATTACK).prepare(net, batch(), 0.5, Stream("key"))
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


def test_the_defaults_are_madrys_mnist_recipe():
    assert make("defence", "madry_mnist", {}) == AdversarialTraining()


def test_an_attack_may_be_named_in_a_spec():
    made = make(
        "defence", "adversarial_training", {"attack": {"use": "pgd", "eps": "8/255", "steps": 7}}
    )
    assert made == AdversarialTraining(attack=PGD(eps=8 / 255, steps=7))


def test_smoke_cuts_the_attack_down_too():
    cheap = AdversarialTraining().smoke()
    assert (cheap.epochs, cheap.attack.steps) == (1, 2)
