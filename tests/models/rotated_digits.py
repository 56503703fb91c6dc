"""Images for the nets of rotated MNIST, and the sizes of their maps."""

import torch

MNIST = (1, 28, 28)


SIZES = [26, 24, 10, 8, 6, 4, 1]  # of the seven maps; the second is pooled to 12


def images(shape: tuple[int, int, int] = MNIST) -> torch.Tensor:
    return torch.rand(6, *shape, generator=torch.Generator().manual_seed(0))
