"""The likelihood of images under a prior of their codes, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from bijections import LinearBijection, orthogonal, told_twice

from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.training.flow import (
    Code,
    DiagonalGaussian,
    FlowLoss,
    PriorPart,
    Term,
    bits_per_dimension,
    code_of_first,
    fresh_prior,
)
from invspec.training.precision import InPrecision

LOG_2PI = math.log(2 * math.pi)
CODE = Code(torch.tensor([[2.0, -1.0]]), torch.tensor([[3.0, 0.5]]), torch.tensor([math.log(8)]))
Y = torch.tensor([1])


def terms(part: PriorPart, ce_weight: float = 0.0, mle_weight: float = 1.0) -> dict[str, Term]:
    loss = FlowLoss(fresh_prior(CODE, part, False), part, ce_weight, mle_weight)
    return {next(iter(term.metrics)): term for term in loss.terms(CODE, Y)}


def test_the_prior_is_a_product_of_normal_densities() -> None:
    prior, z = DiagonalGaussian(3), torch.tensor([[0.5, -2.0, 4.0], [0.0, 1.0, 2.0]])
    with torch.no_grad():
        prior.mean.copy_(torch.tensor([0.0, 1.0, -1.0]))
        prior.log_std.copy_(torch.tensor([0.0, 0.7, -0.3]))
    expected = torch.distributions.Normal(prior.mean, prior.log_std.exp()).log_prob(z).sum(1)
    assert torch.allclose(prior(z), expected)


def test_the_gradient_of_a_fresh_prior_by_hand() -> None:
    prior, z = DiagonalGaussian(2), torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    (-prior(z).mean()).backward()
    assert prior.mean.grad.tolist() == [-2.0, 1.0]  # minus the mean of z
    assert prior.log_std.grad.tolist() == [1 - 5.0, 1 - 2.0]  # 1 minus the mean square of z


def test_a_prior_from_data_starts_at_the_first_batch_only() -> None:
    prior = DiagonalGaussian(3, from_data=True)
    z = torch.tensor([[1.0, -2.0, 5.0], [3.0, 2.0, 5.0]])
    prior(z)
    assert prior.mean.tolist() == [2, 0, 5]
    assert prior.log_std.exp().tolist() == pytest.approx([1, 2, 1e-3])  # the last is constant
    prior(10 * z)
    assert prior.mean.tolist() == [2, 0, 5]


def test_a_prior_that_has_started_does_not_start_again_after_a_resume() -> None:
    first, second = (DiagonalGaussian(2, from_data=True) for _ in range(2))
    first(torch.randn(4, 2))
    second.load_state_dict(first.state_dict())
    second(torch.randn(4, 2))
    assert torch.equal(second.mean, first.mean)


@pytest.mark.parametrize(("part", "dimensions"), [("nuisance", 2), ("all", 4)])
def test_the_prior_has_the_size_of_its_part_of_the_code(part: Any, dimensions: int) -> None:
    code = code_of_first(LinearBijection(orthogonal()), told_twice(8))
    assert fresh_prior(code, part, False).mean.shape == (dimensions,)


def test_bits_by_hand() -> None:
    term = terms("all")["bits_per_dimension"]
    nats = (4 + 1 + 9 + 0.25) / 2 + 2 * LOG_2PI - math.log(8)
    assert term.value.item() == pytest.approx(8 + nats / (4 * math.log(2)))
    assert term.weight == 1


def test_a_prior_over_the_nuisance_leaves_out_logits_but_counts_their_dimensions() -> None:
    term = terms("nuisance")["bits_per_dimension"]
    nats = (9 + 0.25) / 2 + LOG_2PI - math.log(8)
    assert term.value.item() == pytest.approx(8 + nats / (4 * math.log(2)))


def test_terms_of_weight_0_are_left_out() -> None:
    assert set(terms("all")) == {"bits_per_dimension"}
    assert set(terms("all", ce_weight=2, mle_weight=0)) == {"cross_entropy"}


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    loss = FlowLoss(DiagonalGaussian(4), "all", ce_weight=3, mle_weight=0.5)
    net = InPrecision(LinearBijection(2 * torch.eye(4)), "float32")
    x = torch.tensor([0.5, -0.5, 1.0, 0.0]).view(1, 1, 2, 2)
    step = loss(net, Batch(x, torch.tensor([0]), torch.tensor([0])), Stream("key"))
    cross_entropy = math.log(1 + math.exp(-2))  # of the logits 1, -1
    nats = (1 + 1 + 4) / 2 + 2 * LOG_2PI - 4 * math.log(2)
    expected = 3 * cross_entropy + 0.5 * (8 + nats / (4 * math.log(2)))
    assert step.logits.tolist() == [[1, -1]]
    assert step.value.item() == pytest.approx(expected)
    assert step.metrics["cross_entropy"].item() == pytest.approx(cross_entropy)


def test_uniform_pixels_have_eight_bits() -> None:
    assert bits_per_dimension(torch.zeros(3), 784).tolist() == [8, 8, 8]
