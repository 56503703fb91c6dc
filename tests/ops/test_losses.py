from __future__ import annotations

import pytest
import torch

from invspec.errors import InvspecError
from invspec.ops.losses import LOSSES, cross_entropy, dlr, dlr_targeted, margin, total_variation

LOGITS = torch.tensor([[3.0, 1.0, 0.0, -1.0], [0.0, 2.0, 5.0, 1.0]])
Y = torch.tensor([0, 1])


def test_the_margin_is_positive_exactly_where_the_prediction_is_wrong() -> None:
    assert torch.equal(margin(LOGITS, Y), torch.tensor([-2.0, 3.0]))


def test_the_dlr_loss_is_the_margin_over_the_gap_from_first_to_third() -> None:
    torch.testing.assert_close(dlr(LOGITS, Y), torch.tensor([-2 / 3, 3 / 4]))


def test_the_dlr_loss_is_invariant_to_scaling_and_shifting_logits() -> None:
    torch.testing.assert_close(dlr(7 * LOGITS - 11, Y), dlr(LOGITS, Y))


def test_the_dlr_loss_needs_three_classes() -> None:
    with pytest.raises(InvspecError, match="three classes, the model has 2"):
        dlr(LOGITS[:, :2], Y)


def test_the_targeted_dlr_loss_by_hand() -> None:
    """Towards classes 2 and 3: (0 - 3) over 3 - (0 - 1) / 2, and (1 - 2) over 5 - (1 + 0) / 2."""
    loss = dlr_targeted(LOGITS, Y, torch.tensor([2, 3]))
    torch.testing.assert_close(loss, torch.tensor([-3 / 3.5, -1 / 4.5]))


def test_the_targeted_dlr_loss_is_invariant_to_scaling_and_shifting_logits() -> None:
    target = torch.tensor([1, 2])
    torch.testing.assert_close(
        dlr_targeted(7 * LOGITS - 11, Y, target), dlr_targeted(LOGITS, Y, target)
    )


def test_the_targeted_dlr_loss_needs_four_classes() -> None:
    with pytest.raises(InvspecError, match="four classes, the model has 3"):
        dlr_targeted(LOGITS[:, :3], Y, Y)


def test_the_cross_entropy_of_equal_logits_is_the_log_of_their_number() -> None:
    torch.testing.assert_close(cross_entropy(torch.zeros(2, 4), Y), torch.full((2,), 4.0).log())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_falls_as_the_true_logit_rises(loss: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES[loss](logits, Y).sum(), logits)
    assert (gradient.gather(1, Y.unsqueeze(1)) < 0).all()


def test_the_total_variation_of_a_constant_image_is_0() -> None:
    grey = torch.full((2, 3, 5, 4), 0.7)
    assert total_variation(grey).tolist() == total_variation(grey, squared=True).tolist() == [0, 0]


def test_the_total_variation_by_hand() -> None:
    """Differences of 2 and 3 down and 1 and 2 across, over four pixels; then a second channel."""
    image = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
    assert total_variation(image.repeat(1, 2, 1, 1)).tolist() == [16]
    assert total_variation(image.repeat(1, 2, 1, 1), squared=True).tolist() == [(4 + 9 + 1 + 4) / 4]


def test_the_total_variation_is_computed_per_image() -> None:
    images = torch.rand(5, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(total_variation(images)[2:3], total_variation(images[2:3]))
