import torch
from linear_toys import Lead, greys, linear, spread
from masks import HONEST, behind, finding, images

from invspec.data import TensorSplit


def test_a_trained_net_is_alive() -> None:
    result = finding("alive", behind(HONEST["plain"]))
    assert result.status == "passes"
    assert result.measured.value > 0.9


def test_a_net_that_predicts_one_class_is_dead() -> None:
    result = finding("alive", Lead(lambda x: 1 + 0 * x.mean(1)), split=spread())
    assert (result.status, result.reason) == ("fails", "it predicts class 1 for all 16 images")


def test_a_net_that_guesses_is_dead() -> None:
    split = images(256)
    labels = split.labels()[torch.randperm(256, generator=torch.Generator().manual_seed(0))]
    (batch,) = split.batches(256)
    result = finding("alive", behind(HONEST["plain"]), split=TensorSplit(batch.x, labels))
    assert result.status == "fails"
    assert "chance is 1" in result.reason


def test_a_weak_net_of_two_classes_is_alive() -> None:
    """60 % of 64 images: the interval contains chance, so nothing is shown."""
    wrong = torch.arange(64) % 5 < 2
    split = greys(*torch.linspace(0.0, 1.0, 64).tolist())
    labels = torch.where(wrong, 1 - split.y, split.y)
    assert finding("alive", linear(), split=TensorSplit(split.pixels, labels)).status == "passes"


def test_images_of_one_label_say_nothing() -> None:
    assert finding("alive", linear(), split=greys(0.6, 0.8)).status == "skipped"
