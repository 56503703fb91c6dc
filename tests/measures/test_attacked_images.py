"""Pictures of attacked images that are written down."""

from __future__ import annotations

import pytest
import torch
from columns import filled
from pair_examples import FirstPixels
from shown import shown

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.attacked_images import AttackedImages

MODEL = FirstPixels(2)


def examples(delta: float = -0.5) -> Examples:
    """Four images of class 0 whose first pixel changes by delta; the first is misclassified."""
    x = torch.full((4, 1, 2, 2), 0.5)
    x[:, 0, 0, 0] = torch.tensor([0.0, 0.6, 0.8, 1.0])
    x_adv = x.clone()
    x_adv[:, 0, 0, 0] += delta
    y = torch.zeros(4, dtype=torch.int64)
    judged = {"index": torch.arange(4), "y": y, "prediction": MODEL(x).argmax(1)}
    return Examples(TensorSplit(x, y), filled(judged), {"x_adv": x_adv})


def test_the_first_correct_examples_are_shown_with_the_confidence_in_their_class() -> None:
    score = AttackedImages(count=2).score(MODEL, examples())
    images, captions = score.tensors["images"], score.tensors["captions"]
    assert images.shape == (2, 3, 1, 2, 2)
    assert images[:, 0, 0, 0, 0].tolist() == pytest.approx([0.6, 0.8])
    assert images[:, 2, 0, 0, 0].tolist() == pytest.approx([0.1, 0.3])
    expected = [torch.tensor([first - 0.5]).sigmoid().item() for first in (0.6, 0.8)]
    assert captions[:, 0].tolist() == pytest.approx(expected)
    assert captions[:, 1].isnan().all()
    rows = dict(zip(("clean", "change", "attacked"), shown(score), strict=True))
    assert rows["clean"].value == pytest.approx(sum(expected) / 2)
    assert rows["change"].value == pytest.approx(0.5)
    assert rows["attacked"].value < rows["clean"].value


def test_a_perturbation_is_shown_around_grey_at_full_contrast() -> None:
    change = AttackedImages().score(MODEL, examples(-0.01)).tensors["images"][:, 1, 0]
    assert change[:, 0, 0].tolist() == pytest.approx([0.0] * 3)  # black: the largest change
    assert change[:, 1, 1].tolist() == pytest.approx([0.5] * 3)  # grey: none


def test_an_image_that_did_not_move_is_grey() -> None:
    change = AttackedImages().score(MODEL, examples(0.0)).tensors["images"][:, 1]
    assert (change == 0.5).all()


def test_it_is_refused_where_no_image_is_classified_correctly() -> None:
    wrong = examples()
    judged = {**vars(wrong.judged), "prediction": torch.ones(4, dtype=torch.int64)}
    none = Examples(wrong.clean, filled(judged), wrong.tensors)
    with pytest.raises(InvspecError, match="none of 4 examples is classified correctly"):
        AttackedImages().score(MODEL, none)
    assert AttackedImages().smoke().among == "all"
