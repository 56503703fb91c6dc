import math

import pytest
import torch

from invspec.data import Batch
from invspec.diagnostics.steps import grey_level, has_box, moved, random_signs
from invspec.ops.draws import PerExample


def batch(bounds: tuple[float, float] = (0.0, 1.0)) -> Batch:
    x = torch.linspace(0, 1, 32).view(2, 1, 4, 4)
    return Batch(x, torch.zeros(2, dtype=torch.int64), torch.arange(2), bounds)


@pytest.mark.parametrize(
    ("bounds", "level"),
    [((0.0, 1.0), 1 / 255), ((-1.0, 1.0), 2 / 255), ((-math.inf, math.inf), 1 / 255)],
)
def test_a_grey_level_is_a_share_of_the_box_or_of_the_images(
    bounds: tuple[float, float], level: float
) -> None:
    assert grey_level(batch(bounds)) == pytest.approx(level)


def test_a_box_needs_both_ends() -> None:
    assert has_box((0.0, 1.0))
    assert not has_box((0.0, math.inf))


def test_a_move_has_one_length_per_pixel_and_stays_in_the_box() -> None:
    images = batch()
    x = moved(images, torch.ones_like(images.x) * 7, 0.1)
    assert torch.equal(x, (images.x + 0.1).clamp_max(1))


def test_random_signs_are_of_both_kinds_and_belong_to_the_example() -> None:
    images = batch()
    signs = random_signs(images.x, PerExample("signs", images.index))
    assert set(signs.unique().tolist()) == {-1.0, 1.0}
    alone = random_signs(images.x[1:], PerExample("signs", images.index[1:]))
    assert torch.equal(alone, signs[1:])
