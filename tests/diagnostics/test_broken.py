import torch
from torch import Tensor, nn

from invspec.diagnostics.broken import find_broken

Y = torch.zeros(4, dtype=torch.int64)


class Root(nn.Module):
    """Logits (0, root of the pixel), which is NaN below 0 and steep without bound at 0."""

    def forward(self, x: Tensor) -> Tensor:
        root = x.flatten(1).sum(1).sqrt()
        return torch.stack([torch.zeros_like(root), root], dim=1)


def images(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1)


def test_nan_logits_come_before_gradients() -> None:
    finding = find_broken(Root(), (images(1.0, 0.0, -1.0, 4.0),), Y, "here")
    assert finding.reason == "the logits of 1 of 4 images are NaN or infinite, here"
    assert finding.measured.value == 0.5


def test_infinite_gradients_are_named() -> None:
    finding = find_broken(Root(), (images(1.0, 0.0, 2.0, 4.0),), Y, "here")
    assert finding.reason == "the input gradients of 1 of 4 images are NaN or infinite, here"


def test_an_image_is_broken_if_any_of_its_versions_is() -> None:
    fine, one = images(1.0, 1.0, 1.0, 1.0), images(1.0, -1.0, 1.0, 1.0)
    assert find_broken(Root(), (fine,), Y, "here").status == "passes"
    assert find_broken(Root(), (fine, one), Y, "here").status == "fails"
