"""The triangular map of the nuisance that depends on the logits."""

import math

import pytest
import torch

from invspec.flows.given_logits import TriangularGivenLogits
from invspec.models.firevnet import FiRevNet

CLASSES, LENGTH = 3, 5


def perturbed(classes=CLASSES, length=LENGTH):
    torch.manual_seed(0)
    last = TriangularGivenLogits(classes, length)
    with torch.no_grad():
        for weight in last.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return last.eval().double()


def code(n=7):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(n, size, generator=generator, dtype=torch.float64) for size in (CLASSES, LENGTH)
    ]


def test_it_starts_as_actnorm_and_is_invertible():
    semantic, nuisance = code()
    fresh = TriangularGivenLogits(CLASSES, LENGTH).eval().double()
    assert torch.equal(fresh(semantic, nuisance)[0], nuisance)
    last = perturbed()
    mapped, _ = last(semantic, nuisance)
    assert not torch.allclose(mapped, nuisance, atol=0.1)
    assert (last.inverse(semantic, mapped) - nuisance).abs().max() < 1e-12


def test_it_is_invertible_in_bfloat16():
    semantic, nuisance = (part.bfloat16() for part in code())
    last = perturbed().bfloat16()
    found = last.inverse(semantic, last(semantic, nuisance)[0])
    assert found.dtype == torch.bfloat16
    assert (found - nuisance).abs().max() < 0.2


def test_its_log_determinant_is_that_of_the_jacobian():
    last, (semantic, nuisance) = perturbed(), code(1)
    jacobian = torch.autograd.functional.jacobian(lambda z: last(semantic, z)[0].sum(0), nuisance)[
        :, 0
    ]
    assert last(semantic, nuisance)[1].item() == pytest.approx(
        torch.linalg.slogdet(jacobian)[1].item(), abs=1e-8
    )


def test_a_net_that_ends_in_it_is_a_bijection_with_the_right_log_determinant():
    torch.manual_seed(0)
    model = FiRevNet(stages=2, blocks=1, width=8, site=(0, 0), nuisance_given_logits=True)
    net = model.build((1, 8, 8), CLASSES).double().train()
    net.encode(torch.rand(64, 1, 8, 8, dtype=torch.float64))  # for actnorm
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    semantic, nuisance, log_det = net.eval().encode_with_log_det(x)
    assert torch.equal(net(x), semantic)
    assert (net.decode(semantic, nuisance) - x).abs().max() < 1e-9
    jacobian = torch.autograd.functional.jacobian(
        lambda z: torch.cat(net.encode(z), dim=1), x
    ).view(64, 64)
    assert log_det.item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-8)


def test_fit_removes_the_mean_and_covariance_of_each_class():
    """Up to the shrinkage: 1 % of the correlations and a thousandth of the variance."""
    generator = torch.Generator().manual_seed(2)
    y = torch.arange(30_000) % CLASSES
    mixing = torch.randn(CLASSES, LENGTH, LENGTH, generator=generator, dtype=torch.float64)
    mixing = (torch.eye(LENGTH) + 0.3 * mixing.tril(-1)) * torch.arange(1, CLASSES + 1).view(
        -1, 1, 1
    )
    noise = torch.randn(len(y), LENGTH, 1, generator=generator, dtype=torch.float64)
    nuisance = (mixing[y] @ noise).squeeze(2) + y[:, None]
    semantic = 50.0 * torch.nn.functional.one_hot(y, CLASSES).double()
    last = TriangularGivenLogits(CLASSES, LENGTH).eval().double()
    last.fit(zip(semantic.split(1000), nuisance.split(1000), strict=True))
    mapped, log_det = last(semantic, nuisance)
    for k in range(CLASSES):
        assert mapped[y == k].mean(0).abs().max() < 1e-9
        assert (torch.cov(mapped[y == k].mT) - torch.eye(LENGTH)).abs().max() < 0.02
    volume = [-torch.cov(nuisance[y == k].mT).logdet().item() / 2 for k in range(CLASSES)]
    assert log_det[:CLASSES].tolist() == pytest.approx(volume, abs=0.02)


def test_gradient_descent_finds_no_likelier_map_than_fit():
    """The closed form against descent on the same density; shrinkage is negligible here."""
    semantic, nuisance = code(400)
    semantic = 50.0 * torch.nn.functional.one_hot(semantic.argmax(1), CLASSES).double()
    last = TriangularGivenLogits(CLASSES, LENGTH).eval().double()

    def log_density():
        mapped, log_det = last(semantic, nuisance)
        return (log_det - mapped.square().sum(1) / 2 - LENGTH / 2 * math.log(2 * math.pi)).mean()

    last.fit([(semantic, nuisance)])
    fitted = log_density()
    optimiser = torch.optim.Adam(last.parameters(), lr=1e-2)
    for _ in range(200):
        optimiser.zero_grad()
        (-log_density()).backward()
        optimiser.step()
    assert fitted.item() == pytest.approx(log_density().item(), abs=2e-3)


def test_fit_leaves_a_class_without_weight_unchanged():
    semantic, nuisance = code(50)
    never = torch.tensor([0.0, 0.0, -2000.0], dtype=torch.float64)  # a softmax of exactly 0
    last = TriangularGivenLogits(CLASSES, LENGTH).eval().double()
    last.fit([(semantic + never, nuisance)])
    assert all(
        torch.equal(part[2], torch.zeros_like(part[2]))
        for part in (last.shift, last.log_scale, last.lower)
    )
    assert all(part.isfinite().all() for part in last.parameters())
    assert last.shift[:2].abs().min() > 0
