import pytest
import torch

from invspec.models.radius_classifier import RadiusClassifier
from invspec.registry.methods import make

X = torch.tensor(
    [[[[3.0, 4.0, 12.0]]], [[[0.0, 1.0, 0.0]]]]
)  # of radius 13 and 1; 5 and 1 without the last


@pytest.mark.parametrize(("ignored", "radii"), [(0, (13, 1)), (1, (5, 1)), (2, (3, 0))])
def test_the_logits_are_plus_and_minus_the_radius_minus_the_middle(ignored, radii):
    net = RadiusClassifier(inner=1, outer=10, ignored=ignored).build((1, 1, 3), 2)
    assert net(X).tolist() == [[5.5 - r, r - 5.5] for r in radii]


def test_the_cards_are_examples_5_and_6():
    aligned, misaligned = (
        make("model", name, {}) for name in ("radius_classifier", "radius_classifier_misaligned")
    )
    assert (aligned, misaligned) == (RadiusClassifier(), RadiusClassifier(ignored=1))


def test_it_has_no_parameters_and_no_state():
    net = RadiusClassifier().build((1, 1, 3), 2)
    assert list(net.parameters()) == []
    assert net.state_dict() == {}


def test_it_needs_two_classes_and_at_least_one_coordinate():
    with pytest.raises(ValueError, match="needs a data set of 2 classes, found 3"):
        RadiusClassifier().build((1, 1, 3), 3)
    with pytest.raises(ValueError, match="ignored is 3, expected fewer than the 3 coordinates"):
        RadiusClassifier(ignored=3).build((1, 1, 3), 2)
