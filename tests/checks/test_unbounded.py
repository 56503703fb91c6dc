import math

import pytest
from linear_toys import Lead, greys, linear, spread
from masks import FACES, behind, finding


def test_every_image_of_a_linear_net_is_broken() -> None:
    assert finding("unbounded", linear(), split=spread()).measured.value == 0


@pytest.mark.parametrize("face", ["quantised input", "detached", "one-hot"])
def test_images_that_gradients_cannot_break_are_counted(face: str) -> None:
    result = finding("unbounded", behind(FACES[face]))
    assert result.status == "fails"
    assert result.reason.startswith("64 of 64 images withstand gradient ascent")


def test_it_is_skipped_without_a_box() -> None:
    split = greys(-5.0, 0.0, 5.0, bounds=(-math.inf, math.inf))
    result = finding("unbounded", linear(), split=split)
    assert (result.status, result.reason) == ("skipped", "pixels have no bounds")


def test_a_net_of_one_class_cannot_be_broken() -> None:
    result = finding("unbounded", Lead(lambda x: 1 + 0 * x.mean(1)), split=spread())
    assert result.measured.value == 1
