"""Which images stand where, which bars above them and which numbers below."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import index, outcomes, shown
from torch import Tensor

from invspec.data import Examples, Scored, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.metamer_pictures import MetamerColumns, MetamerTriples
from invspec.perform.pairs import PairedSplit

MODEL = FirstPixels(2)
IMAGES = torch.tensor([[0.75, 0.25, 1.0], [0.25, 0.5, 0.0], [0.5, 0.25, 0.5]]).view(3, 1, 1, 3)
Y = torch.tensor([0, 1, 0])
PAIRS = [(0, 1), (1, 0), (1, 2), (2, 1)]
SHOWN = [0, 2, 3]  # the first source's first target, the second's second, the third's first again


def metamers() -> Tensor:
    """The source's logits, the target's last pixel, and 1 more."""
    source, target = (IMAGES[list(places)] for places in zip(*PAIRS, strict=True))
    return torch.cat([source[..., :2], target[..., 2:] + 1], dim=-1)


def oracle(x: Tensor) -> Tensor:
    """Class 1 where the last pixel is bright; what is beyond 1 would be brighter."""
    last = x[..., 2].flatten(1)
    return torch.cat([torch.zeros_like(last), last], dim=1)


def examples(steps: int | None = None) -> Examples:
    x_adv = metamers()
    path = None
    if steps is not None:
        x = IMAGES[[source for source, _ in PAIRS]]
        path = torch.stack([torch.lerp(x, x_adv, k / steps) for k in range(steps + 1)], dim=1)
    return replace(of_pairs(MODEL, IMAGES, Y, PAIRS, x_adv, path), oracle=oracle)


def unbounded(of: Examples) -> Examples:
    assert isinstance(of.clean, PairedSplit)
    spheres = TensorSplit(IMAGES, Y, bounds=(-math.inf, math.inf))
    return replace(of, clean=replace(of.clean, images=spheres))


# ─ triples ────────────────────────────────────────────────────────────────────────────────────


def triples(of: Examples | None = None, **fields: int) -> Scored:
    return MetamerTriples(**fields).score(MODEL, of or examples())


def test_a_row_is_a_pair_with_its_clipped_metamer_between() -> None:
    images = triples().tensors["images"]
    assert images.shape == (3, 3, 1, 1, 3)
    torch.testing.assert_close(images[:, 0], IMAGES)
    torch.testing.assert_close(images[:, 1], metamers()[SHOWN].clamp(0, 1))
    torch.testing.assert_close(images[:, 2], IMAGES[[1, 2, 1]])
    assert triples().tensors["frames"].tolist() == [[True, False, True]] * 3


def test_bars_are_the_equal_logits_of_source_and_metamer() -> None:
    bars = triples().tensors["bars"]
    torch.testing.assert_close(bars[:, 0], IMAGES.flatten(1)[:, :2])
    torch.testing.assert_close(bars[:, 1], bars[:, 0], rtol=0, atol=0)
    assert bars[:, 2].isnan().all()


def test_with_many_classes_the_largest_logits_of_the_source_are_drawn() -> None:
    model = FirstPixels(30)
    source, target = torch.arange(30.0) / 30, torch.zeros(30)
    images = torch.stack([source, target]).view(2, 1, 1, 30)
    metamer = source.clone()
    metamer[0] = (
        1.0  # not the same logits: what is drawn is still the classes of the source's largest
    )
    found = of_pairs(model, images, torch.tensor([29, 0]), [(0, 1)], metamer.view(1, 1, 1, 30))
    bars = MetamerTriples().score(model, found).tensors["bars"]
    assert bars.shape == (1, 3, 20)
    torch.testing.assert_close(bars[0, 0], source.flip(0)[:20])
    torch.testing.assert_close(bars[0, 1], source.flip(0)[:20])


def test_captions_are_confidences_in_the_source_label_and_for_targets_in_their_own() -> None:
    score = triples()
    captions = score.tensors["captions"]
    for place, (source, target) in enumerate([(0, 1), (1, 2), (2, 1)]):
        own, other = (MODEL(IMAGES[[end]]).softmax(1)[0, Y[end]].item() for end in (source, target))
        assert captions[place].tolist() == pytest.approx([own, own, other])
    assert [row.where["image"] for row in shown(score)] == ["logits", "metamer", "nuisance"]
    assert [row.value for row in shown(score)] == pytest.approx(captions.mean(0).tolist())
    assert {row.n for row in shown(score)} == {3}


def test_count_limits_the_pairs_shown() -> None:
    assert len(triples(count=2).tensors["images"]) == 2


@pytest.mark.parametrize(
    "measure", [MetamerTriples(), MetamerColumns()], ids=["triples", "columns"]
)
def test_images_without_bounds_are_refused(measure: MetamerTriples | MetamerColumns) -> None:
    with pytest.raises(InvspecError, match="cannot be drawn"):
        measure.score(MODEL, unbounded(examples(steps=2)))


# ─ columns ────────────────────────────────────────────────────────────────────────────────────


def columns(**fields: int) -> Scored:
    return MetamerColumns(**fields).score(MODEL, examples(steps=2))


def test_a_column_leads_from_the_source_to_the_metamer_and_then_to_the_target() -> None:
    found = columns().tensors
    assert found["images"].shape == (4, 3, 1, 1, 3)
    torch.testing.assert_close(found["images"][0], IMAGES)
    torch.testing.assert_close(
        found["images"][1], torch.lerp(IMAGES, metamers()[SHOWN], 0.5).clamp(0, 1)
    )
    torch.testing.assert_close(found["images"][2], metamers()[SHOWN].clamp(0, 1))
    torch.testing.assert_close(found["images"][3], IMAGES[[1, 2, 1]])
    assert found["frames"].tolist() == [[True] * 3, [False] * 3, [False] * 3, [True] * 3]


def test_sides_are_the_share_of_the_way() -> None:
    *gone, last = columns().tensors["sides"].tolist()
    assert gone == [0.0, 0.5, 1.0]
    assert math.isnan(last)


def test_captions_are_the_oracles_probability_for_the_images_as_drawn() -> None:
    found = columns().tensors
    last = found["images"][..., 2].flatten(2).squeeze(2).sigmoid()  # the probability of class 1
    classes = torch.stack([Y, Y, Y, Y[[1, 2, 1]]])
    expected = torch.where(classes == 1, last, 1 - last)
    torch.testing.assert_close(found["captions"], expected)


def test_the_number_is_the_oracles_mean_probability_at_the_metamers() -> None:
    score = columns()
    (row,) = shown(score)
    assert row.value == pytest.approx(score.tensors["captions"][2].mean().item())
    assert outcomes(score).tolist() == pytest.approx(score.tensors["captions"][2].tolist())
    assert index(score).tolist() == [0, 1, 2]


def test_an_attack_without_a_path_is_refused() -> None:
    with pytest.raises(InvspecError, match="kept no path"):
        MetamerColumns().score(MODEL, examples())
