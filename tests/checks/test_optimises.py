import torch
from linear_toys import Lead, linear, spread
from masks import finding


def ascended(x: torch.Tensor) -> torch.Tensor:
    """The lead of `linear` after a step uphill, whose gradient is computed on the way."""
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(leaf.square().sum(), leaf)
    return (x + 1e-3 * slope).mean(1) - 0.5


def test_a_net_that_optimises_as_it_classifies_is_named() -> None:
    result = finding("optimises", Lead(ascended), split=spread())
    assert (result.status, result.reason) == (
        "fails",
        "the forward pass of 1 of 1 images computes gradients",
    )


def test_an_ordinary_net_does_not() -> None:
    assert finding("optimises", linear(), split=spread()).status == "passes"
