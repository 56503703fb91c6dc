import pytest
import torch

from invspec.models.sign_classifier import SignClassifier

X = torch.tensor([[[[-1.0, 2.0, 5.0, 1.0, 0.5]]]])  # odd coordinates 2 + 1, even ones 5 + 0.5


@pytest.mark.parametrize(
    ("over", "total"), [("first", -1), ("sum_odd", 3), ("odd_minus_even", -2.5)]
)
def test_the_logits_are_plus_and_minus_the_sum(over, total):
    net = SignClassifier(over=over).build((1, 1, 5), 2)
    assert net(X).tolist() == [[-total, total]]
    assert SignClassifier(over=over, negate=True).build((1, 1, 5), 2)(X).tolist() == [
        [total, -total]
    ]


def test_it_has_no_parameters_and_no_state():
    net = SignClassifier().build((1, 1, 5), 2)
    assert list(net.parameters()) == []
    assert net.state_dict() == {}


def test_it_needs_two_classes():
    with pytest.raises(ValueError, match="needs a data set of 2 classes, found 3"):
        SignClassifier().build((1, 1, 5), 3)
