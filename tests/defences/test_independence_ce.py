from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from bijections import LinearBijection, orthogonal, told_twice
from torch import nn

from invspec.data import Journal
from invspec.defences.independence_ce import Auxiliaries, IndependenceCE, judged
from invspec.defences.likelihood import Code, DiagonalGaussian
from invspec.defences.standard import Standard
from invspec.ops.draws import Stream
from invspec.registry.methods import make

LOGITS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, -1.0]])
Y = torch.tensor([0, 0, 1])
P_TRUE = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(3)), 1 / (1 + math.exp(2))]
CHEAP = {
    "epochs": 2,
    "batch_size": 16,
    "optimiser": "adam",
    "lr": 0.01,
    "dequantise": False,
    "nuisance_hidden": (8,),
}


def auxiliaries(rival, lr=0.5, dimensions=2):
    return Auxiliaries(
        DiagonalGaussian(dimensions), rival, torch.optim.SGD(rival.parameters(), lr=lr)
    )


def linear_rival(weight=0.0):
    rival = nn.Linear(2, 2)
    nn.init.constant_(rival.weight, 0)
    nn.init.zeros_(rival.bias)
    with torch.no_grad():
        rival.weight.fill_diagonal_(weight)
    return rival


def code(n=3):
    generator = torch.Generator().manual_seed(0)
    semantic, nuisance = torch.randn(2, n, 2, generator=generator).requires_grad_()
    semantic.retain_grad()
    nuisance.retain_grad()
    return Code(semantic, nuisance, torch.zeros(n))


def nuisance_loss(objective, logits=LOGITS, y=Y):
    return IndependenceCE(nuisance_objective=objective).nuisance_loss(logits, y, Stream("key"))


def fit(recipe, model=None, data=None, key="key"):
    model = model or LinearBijection(orthogonal())
    curves = recipe.train(model, data or told_twice(64), Stream(key), Journal())
    return model, curves


# ─ what the model descends on ─────────────────────────────────────────────────────────────────────────────────────────


def test_raw_is_the_log_probability_of_the_label():
    assert nuisance_loss("raw").item() == pytest.approx(sum(map(math.log, P_TRUE)) / 3)


def test_clamped_ends_at_chance_for_each_example():
    assert nuisance_loss("clamped").item() == pytest.approx(
        (math.log(P_TRUE[0]) + 2 * math.log(0.5)) / 3
    )


def test_nothing_is_gained_from_an_example_that_the_rival_has_worse_than_chance():
    logits = LOGITS.clone().requires_grad_()
    nuisance_loss("clamped", logits).backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().min() > 0
    assert logits.grad[1:].abs().max() == 0


def test_uniform_kl_is_zero_at_uniform_and_the_divergence_elsewhere():
    uniform = torch.full((3, 2), 0.5)
    expected = F.kl_div(LOGITS.log_softmax(1), uniform, reduction="batchmean")
    assert nuisance_loss("uniform_kl").item() == pytest.approx(expected.item())
    assert nuisance_loss("uniform_kl", torch.zeros(3, 2)).item() == pytest.approx(0, abs=1e-7)


def test_shuffled_labels_are_those_of_other_examples():
    y = Y[Stream("key").permutation(3)]
    assert nuisance_loss("shuffled_labels").item() == pytest.approx(
        F.cross_entropy(LOGITS, y).item()
    )


def test_per_dim_divides_the_weight_by_the_dimensions_of_the_nuisance():
    for per_dim, weight in ((False, 0.3), (True, 0.1)):
        recipe = IndependenceCE(nuisance_weight=0.3, per_dim=per_dim, mle_weight=0)
        rival = nn.Linear(3, 2)
        wide = Code(torch.randn(4, 2), torch.randn(4, 3), torch.zeros(4))
        *_, term = recipe.terms(auxiliaries(rival), wide, torch.tensor([0, 1, 0, 1]), Stream("key"))
        assert term.weight == pytest.approx(weight)


# ─ who learns from what ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rivals_update_by_hand():
    rival = linear_rival()
    nuisance = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    auxiliaries(rival, lr=0.5).learn(nuisance, torch.tensor([0, 1]), steps=1)
    # at zero weights the gradient is (probs - onehot) z: -1/2, 1/2 for the first example, 1/2, -1/2 for the second
    assert rival.weight.tolist() == [[-0.25, 0.75], [0.25, -0.75]]  # -0.5 * mean of ((-1/2, 1/2) z)
    assert rival.bias.tolist() == [0, 0]


def test_the_rival_takes_its_steps_before_it_is_asked():
    recipe = IndependenceCE(nuisance_steps=7, mle_weight=0, nuisance_objective="raw")
    given, own, alone = code(), auxiliaries(linear_rival()), auxiliaries(linear_rival())
    alone.learn(given.nuisance.detach(), Y, 7)
    *_, term = recipe.terms(own, given, Y, Stream("key"))
    assert torch.equal(own.rival.weight, alone.rival.weight)
    expected = -F.cross_entropy(alone.rival(given.nuisance), Y)
    assert term.value.item() == pytest.approx(expected.item())
    assert term.metrics["nuisance_loss"].item() == pytest.approx(-expected.item())


def test_the_models_step_gives_the_rival_no_gradient_and_the_rivals_none_to_the_model():
    given, own = code(), auxiliaries(linear_rival(1.0))
    own.learn(given.nuisance.detach(), Y, 2)
    assert given.nuisance.grad is None
    own.optimiser.zero_grad()
    judged(own.rival, given.nuisance).sum().backward()
    assert given.nuisance.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in own.rival.parameters())


def test_the_nuisance_term_says_nothing_to_the_logits_nor_to_the_prior():
    given, own = code(), auxiliaries(linear_rival(1.0))
    *_, term = IndependenceCE(mle_weight=0).terms(own, given, Y, Stream("key"))
    term.value.backward()
    assert given.semantic.grad is None
    assert own.prior.mean.grad is None


def test_the_models_optimiser_has_the_prior_and_not_the_rival():
    own = auxiliaries(linear_rival())
    assert list(own.parameters()) == [own.prior.mean, own.prior.log_std]


def test_what_is_saved_brings_back_rival_prior_and_the_rivals_optimiser():
    def fresh():
        rival = linear_rival()
        return Auxiliaries(DiagonalGaussian(2), rival, torch.optim.Adam(rival.parameters(), lr=0.1))

    first, second, z = fresh(), fresh(), torch.randn(3, 2)
    first.learn(z, Y, 3)
    nn.init.ones_(first.prior.mean)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for each in (first, second):
        each.learn(z, Y, 2)  # Adam's moments and its count decide these
    assert torch.equal(first.rival.weight, second.rival.weight)
    assert torch.equal(first.prior.mean, second.prior.mean)


# ─ whole trainings ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_weights_it_is_standard_training_update_for_update():
    common = {**CHEAP, "max_gradient_norm": 100, "crop": 1}
    bare = IndependenceCE(**common, nuisance_weight=0, mle_weight=0)
    common.pop("nuisance_hidden")
    (ours, curves), (standard, expected) = fit(bare), fit(Standard(**common))
    assert torch.equal(ours.weight, standard.weight)
    assert [curves[name] for name in ("loss", "accuracy")] == [
        expected[name] for name in ("loss", "accuracy")
    ]


def test_the_curves_tell_each_term():
    _, curves = fit(IndependenceCE(**CHEAP))
    metrics = ["cross_entropy", "bits_per_dimension", "nuisance_loss", "nuisance_accuracy"]
    assert list(curves) == ["loss", "accuracy", *metrics]
    assert all(len(numbers) == 2 for numbers in curves.values())


@pytest.mark.parametrize(
    "option", [{"nuisance_standardised": True}, {"nuisance_dropout": 0.5}, {"per_dim": True}]
)
def test_each_option_of_the_rival_is_of_consequence(option):
    plain, other = (fit(IndependenceCE(**CHEAP, **given))[0].weight for given in ({}, option))
    assert not torch.equal(plain, other)


def test_the_rival_has_the_layers_that_it_should():
    widths = [
        tuple(weight.shape)
        for weight in make("defence", "independence_ce", {}).fresh_rival(1014, 10).parameters()
    ]
    assert widths[::2] == [(512, 1014), (512, 512), (10, 512)]
