from __future__ import annotations

import math

import pytest
import torch
from bijections import LinearBijection, orthogonal, told_twice
from torch import nn

from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.likelihood import Code, DiagonalGaussian, Likelihood, bits_per_dimension
from invspec.errors import InvspecError
from invspec.kinds import Bijective
from invspec.models.firevnet import FiRevNet
from invspec.ops.draws import Stream
from invspec.training.precision import InPrecision

LOG_2PI = math.log(2 * math.pi)
CODE = Code(torch.tensor([[2.0, -1.0]]), torch.tensor([[3.0, 0.5]]), torch.tensor([math.log(8)]))
Y = torch.tensor([1])


def terms(recipe, auxiliary, code=CODE):
    return {
        next(iter(term.metrics)): term for term in recipe.terms(auxiliary, code, Y, Stream("key"))
    }


def test_the_prior_is_a_product_of_normal_densities():
    prior, z = DiagonalGaussian(3), torch.tensor([[0.5, -2.0, 4.0], [0.0, 1.0, 2.0]])
    with torch.no_grad():
        prior.mean.copy_(torch.tensor([0.0, 1.0, -1.0]))
        prior.log_std.copy_(torch.tensor([0.0, 0.7, -0.3]))
    expected = torch.distributions.Normal(prior.mean, prior.log_std.exp()).log_prob(z).sum(1)
    assert torch.allclose(prior(z), expected)


def test_the_gradient_of_a_fresh_prior_is_that_of_mean_and_deviation():
    prior, z = DiagonalGaussian(2), torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    (-prior(z).mean()).backward()
    assert prior.mean.grad.tolist() == [-2.0, 1.0]  # minus the mean of z
    assert prior.log_std.grad.tolist() == [1 - 5.0, 1 - 2.0]  # 1 minus the mean square of z


def test_bits_by_hand():
    term = terms(Likelihood(prior="all"), DiagonalGaussian(4))["bits_per_dimension"]
    nats = (4 + 1 + 9 + 0.25) / 2 + 2 * LOG_2PI - math.log(8)
    assert term.value.item() == pytest.approx(8 + nats / (4 * math.log(2)))
    assert term.weight == 1


def test_a_prior_over_the_nuisance_leaves_the_logits_out_but_counts_their_dimensions():
    term = terms(Likelihood(prior="nuisance"), DiagonalGaussian(2))["bits_per_dimension"]
    nats = (9 + 0.25) / 2 + LOG_2PI - math.log(8)
    assert term.value.item() == pytest.approx(8 + nats / (4 * math.log(2)))


def test_terms_without_weight_are_left_out():
    assert set(terms(Likelihood(), DiagonalGaussian(4))) == {"bits_per_dimension"}
    assert set(terms(Likelihood(ce_weight=2, mle_weight=0), nn.Module())) == {"cross_entropy"}


def test_the_loss_is_the_weighted_sum():
    recipe = Likelihood(ce_weight=3, mle_weight=0.5)
    net = InPrecision(LinearBijection(2 * torch.eye(4)), "float32")
    batch = Batch(
        torch.tensor([0.5, -0.5, 1.0, 0.0]).view(1, 1, 2, 2), torch.tensor([0]), torch.tensor([0])
    )
    objective = recipe.objective(net, DiagonalGaussian(4), batch, Stream("key"))
    cross_entropy = math.log(1 + math.exp(-2))  # of the logits 1, -1
    nats = (1 + 1 + 4) / 2 + 2 * LOG_2PI - 4 * math.log(2)
    assert objective.logits.tolist() == [[1, -1]]
    assert objective.loss.item() == pytest.approx(
        3 * cross_entropy + 0.5 * (8 + nats / (4 * math.log(2)))
    )
    assert objective.metrics["cross_entropy"].item() == pytest.approx(cross_entropy)


def test_uniform_pixels_have_eight_bits():
    assert bits_per_dimension(torch.zeros(3), 784).tolist() == [8, 8, 8]


def test_the_likelihood_climbs_to_that_of_the_best_gaussian():
    """W is free, so that the best density is the Gaussian with mean and covariance of the data, in closed form."""
    mixing = torch.tensor(
        [[1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0, 0], [0, 0.5, 0.5, 0], [0.2, 0.2, 0.2, 0.2]]
    )
    x = torch.randn(256, 4, generator=torch.Generator().manual_seed(1)) @ mixing.T + 0.3
    recipe = Likelihood(
        epochs=200,
        batch_size=256,
        optimiser="adam",
        lr=0.05,
        schedule="cosine",
        dequantise=False,
        weight_decay=0,
    )
    data = TensorSplit(x.view(-1, 1, 2, 2), torch.arange(256) % 2)
    curves = recipe.train(LinearBijection(torch.eye(4)), data, Stream("key"), Journal())
    entropy = torch.logdet(torch.cov(x.T, correction=0)).item() / 2 + 2 * (LOG_2PI + 1)
    assert curves["bits_per_dimension"][-1] == pytest.approx(
        8 + entropy / (4 * math.log(2)), abs=1e-3
    )
    assert curves["loss"] == curves["bits_per_dimension"]


def test_the_prior_has_the_size_of_its_part_of_the_code():
    model, data = LinearBijection(orthogonal()), told_twice(8)
    sizes = {
        part: Likelihood(prior=part).fresh_prior(model, data).mean.shape
        for part in ("nuisance", "all")
    }
    assert sizes == {"nuisance": (2,), "all": (4,)}


def test_it_wants_a_bijection():
    assert Likelihood().accepts is Bijective


def test_a_prior_from_data_begins_at_the_first_batch_and_then_learns():
    prior, z = (
        DiagonalGaussian(3, from_data=True),
        torch.tensor([[1.0, -2.0, 5.0], [3.0, 2.0, 5.0]]),
    )
    prior(z)
    assert prior.mean.tolist() == [2, 0, 5]
    assert prior.log_std.exp().tolist() == pytest.approx([1, 2, 1e-3])  # the last one is constant
    prior(10 * z)
    assert prior.mean.tolist() == [2, 0, 5]


def test_a_prior_that_has_begun_does_not_begin_again_after_a_resume():
    first, second = (DiagonalGaussian(2, from_data=True) for _ in range(2))
    first(torch.randn(4, 2))
    second.load_state_dict(first.state_dict())
    second(torch.randn(4, 2))
    assert torch.equal(second.mean, first.mean)


def small_flow(nuisance_given_logits):
    torch.manual_seed(0)
    recipe = FiRevNet(
        stages=1, blocks=1, width=4, site=(0, 0), nuisance_given_logits=nuisance_given_logits
    )
    return recipe.build((1, 4, 4), 2)


def brief(**options):
    return Likelihood(
        epochs=1, batch_size=32, optimiser="adam", ce_weight=1, prior="nuisance", **options
    )


def two_textures(n=256):
    """Images (n, 1, 4, 4) of which the two classes differ in the covariance of their pixels alone."""
    generator, y = torch.Generator().manual_seed(3), torch.arange(n) % 2
    x = torch.rand(n, 16, generator=generator)
    x[y == 1, 1:] = (x[y == 1, 1:] + x[y == 1, :-1]) / 2
    return TensorSplit(x.view(n, 1, 4, 4), y)


def test_the_last_map_is_set_after_training_to_what_fits_the_codes_then():
    data, net = two_textures(), small_flow(True)
    brief(last_in_closed_form=True).train(net, data, Stream("key"), Journal())
    set_by_training = {name: part.clone() for name, part in net.last.named_parameters()}
    net.eval().fit_last(batch.x for batch in data.batches(64))
    for name, part in net.last.named_parameters():
        assert torch.allclose(part, set_by_training[name], atol=1e-4), name
    assert net.last.lower.abs().max() > 0.1


def test_and_otherwise_it_is_as_descent_left_it():
    nets = [small_flow(True) for _ in range(2)]
    for net, closed in zip(nets, (False, True), strict=True):
        brief(last_in_closed_form=closed).train(net, two_textures(), Stream("key"), Journal())
    descended, settled = nets
    before, after = (dict(net.named_parameters()) for net in nets)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"last.shift", "last.log_scale", "last.lower"}
    assert descended.last.lower.abs().max() < settled.last.lower.abs().max()


def test_a_net_without_a_last_map_is_refused_before_it_is_trained():
    net = small_flow(False)
    before = [part.clone() for part in net.parameters()]
    with pytest.raises(InvspecError, match="no last map") as caught:
        brief(last_in_closed_form=True).train(net, two_textures(), Stream("key"), Journal())
    assert "nuisance_given_logits" in caught.value.hint
    assert all(torch.equal(one, other) for one, other in zip(before, net.parameters(), strict=True))
