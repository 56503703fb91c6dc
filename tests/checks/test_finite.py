import math

import torch
from linear_toys import Lead, greys, linear, spread
from masks import BROKEN, behind, finding


def test_a_linear_net_is_finite_also_where_pixels_have_no_bounds() -> None:
    unbounded = greys(0.1, 0.9, -3.0, bounds=(-math.inf, math.inf))
    assert finding("finite", linear(), split=unbounded).status == "passes"


def test_nan_beside_the_images_is_found_and_named() -> None:
    result = finding("finite", behind(BROKEN["NaN off the grid"][0]))
    assert result.status == "fails"
    assert result.reason.startswith("the logits of 64 of 64 images are NaN or infinite")


def test_gradients_that_are_not_finite_are_named() -> None:
    # the root of 0 has an infinite slope
    model = Lead(lambda x: (x - x.detach()).sum(1).sqrt() + x.mean(1) - 0.5)
    result = finding("finite", model, split=spread())
    assert result.reason.startswith("the input gradients of 16 of 16 images")


def test_an_infinite_logit_counts() -> None:
    model = Lead(lambda x: torch.where(x[:, 0] > 0.8, torch.inf, x.mean(1) - 0.5))
    assert finding("finite", model, split=spread(), levels=()).measured.value == 3 / 16
