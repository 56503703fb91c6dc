"""Components of toy perturbations, found in two ways."""

import torch

from invspec.ops.draws import Stream
from invspec.scoring.components import Cloud, Scatter, leading

D = 24  # pixels of the toy images


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spread(n=300, pixels=range(D), seed=0):
    """Perturbations (n, D) of some pixels, each less than the one before to separate components."""
    delta = torch.zeros(n, D)
    chosen = list(pixels)
    delta[:, chosen] = normal(n, len(chosen), seed=seed) * 0.8 ** torch.arange(len(chosen))
    return delta


def test_lanczos_iterations_agree_with_the_dense_decomposition():
    covariance = Scatter.of(normal(400, 100) @ normal(100, 100, seed=1)).covariance(centre=True)
    values, vectors = torch.linalg.eigh(covariance)
    found, components = leading(covariance, 4)
    torch.testing.assert_close(found, values[-4:].flip(0))
    torch.testing.assert_close(
        (components.T @ vectors[:, -4:].flip(1)).abs(), torch.eye(4).double()
    )


def test_fewer_examples_than_pixels_only_change_the_basis():
    delta = spread(n=15)
    small = Cloud.of(delta, centre=True)
    assert small.rows.shape == (15, 15)
    large = Cloud(delta, None, Scatter.of(delta), centre=True)
    for without in (None, 3):
        one, other = small.components(3, without), large.components(3, without)
        torch.testing.assert_close(one.values, other.values)
        torch.testing.assert_close(
            (one.vectors.T @ other.vectors).abs(), torch.eye(3).double(), atol=1e-6, rtol=0
        )
        torch.testing.assert_close(one.explained, other.explained)
    first, second = (cloud.random_bases(20, 3, Stream("key")) for cloud in (small, large))
    torch.testing.assert_close(first @ first.mT, second @ second.mT)
