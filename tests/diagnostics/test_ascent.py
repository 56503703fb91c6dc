import pytest
import torch
from torch import nn

from invspec.data import Batch
from invspec.diagnostics.ascent import withstand
from invspec.ops.losses import margin
from invspec.search.ball import Ball


def linear() -> nn.Module:
    """Two logits, of which the second is 0: the label is 0 where the pixels sum to more than 1."""
    layer = nn.Linear(4, 2)
    layer.weight.data = torch.tensor([[1.0] * 4, [0.0] * 4])
    layer.bias.data = torch.tensor([-1.0, 0.0])
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def batch(*pixels: float) -> Batch:
    x = torch.stack([torch.full((1, 2, 2), pixel) for pixel in pixels])
    return Batch(x, torch.zeros(len(x), dtype=torch.int64), torch.arange(len(x)))


@pytest.mark.parametrize("eps", [0.05, 0.15, 0.25, 0.35])
def test_the_images_that_withstand_are_those_further_from_the_boundary(eps: float) -> None:
    """An image whose pixels are p is on the boundary once each has lost p - 1/4."""
    images = batch(0.35, 0.45, 0.55)
    ball = Ball("linf", eps, (0.0, 1.0))
    standing = withstand(linear(), images, ball, images.x, 10, margin)
    assert standing.tolist() == [eps < 0.1, eps < 0.2, eps < 0.3]


def test_an_image_that_is_misclassified_at_the_start_leaves() -> None:
    images, ball = batch(0.1, 0.9), Ball("linf", 0.01, (0.0, 1.0))
    assert withstand(linear(), images, ball, images.x, 3, margin).tolist() == [False, True]


def test_a_net_that_cuts_the_graph_is_withstood() -> None:
    model, images = linear(), batch(0.35)

    class Cut(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return model(x.detach())

    assert withstand(Cut(), images, Ball("linf", 1.0, (0.0, 1.0)), images.x, 5, margin).all()
