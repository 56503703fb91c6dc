"""Confidence along a direction, on nets for which it can be worked out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from columns import filled
from pydantic import ValidationError
from shown import index, outcomes, shown
from torch import Tensor, nn

from invspec.data import Examples, Scored, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Targets
from invspec.measures.brittleness import Brittleness
from invspec.perform.pairs import paired
from invspec.registry.methods import make

N, SHAPE = 6, (1, 2, 2)
WEIGHT = 20.0


class Bright(nn.Module):
    """Two classes: the first has the confidence sigmoid(WEIGHT * (mean - 1/2))."""

    def forward(self, x: Tensor) -> Tensor:
        bright = WEIGHT * (x.flatten(1).mean(1) - 0.5)
        return torch.stack([bright, torch.zeros_like(bright)], dim=1)


def examples(delta: Tensor, x: float = 0.6, wrong: int = 0) -> Examples:
    """Grey images of the first class, the last ones of which are not of that class."""
    pixels = torch.full((N, *SHAPE), x)
    y = torch.tensor([0] * (N - wrong) + [1] * wrong)
    judged = {
        "index": torch.arange(10, 10 + N),
        "y": y,
        "prediction": torch.zeros(N, dtype=torch.int64),
    }
    return Examples(
        TensorSplit(pixels, y, index=judged["index"]), filled(judged), {"x_adv": pixels + delta}
    )


def score(attacked: Examples, **fields: Any) -> Scored:
    return Brittleness(**fields).score(Bright(), attacked)


def sigmoid(mean: float) -> float:
    return torch.tensor(WEIGHT * (mean - 0.5)).sigmoid().item()


def test_the_attacks_direction_is_scaled_to_each_linf_size() -> None:
    darker = (
        torch.tensor([-0.002, -0.004, 0.0, 0.0]).view(SHAPE).expand(N, *SHAPE)
    )  # at linf t, the mean falls by 3 t / 8
    rows = shown(score(examples(darker), direction="attack"))
    assert [row.where["linf"] for row in rows] == [0.0, 0.0025, 0.005, 0.01, 0.02, 0.03]
    expected = [sigmoid(0.6 - 3 * linf / 8) for linf in Brittleness().sizes]
    assert [row.value for row in rows] == pytest.approx(expected, rel=1e-5)
    assert {row.n for row in rows} == {N}


def test_noise_is_a_sign_for_every_pixel_and_the_same_for_every_model() -> None:
    seen: list[Tensor] = []
    model = Bright()
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    measure = Brittleness(sizes=(0.01, 0.03))
    for _ in range(2):
        measure.score(model, examples(torch.zeros(SHAPE)))
    small, large, again, _ = seen
    assert torch.equal(small, again)
    torch.testing.assert_close(
        (small - 0.6).abs(), torch.full((N, *SHAPE), 0.01), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(large - 0.6, 3 * (small - 0.6), rtol=0, atol=1e-6)
    assert len({tuple(image.flatten().tolist()) for image in small}) > 1


def test_size_0_gives_the_clean_confidence() -> None:
    (row,) = shown(score(examples(torch.zeros(SHAPE)), sizes=(0,)))
    assert row.value == pytest.approx(sigmoid(0.6))


def test_an_image_that_the_attack_did_not_move_stays() -> None:
    (row,) = shown(score(examples(torch.zeros(SHAPE)), direction="attack", sizes=(0.03,)))
    assert row.value == pytest.approx(sigmoid(0.6))


def test_pixels_stay_in_their_range() -> None:
    (row,) = shown(
        score(examples(torch.full(SHAPE, 0.01), x=0.995), direction="attack", sizes=(0.03,))
    )
    assert row.value == pytest.approx(sigmoid(1.0))


def test_a_row_keeps_its_images_for_pairing() -> None:
    found = score(examples(torch.full(SHAPE, 0.01)), sizes=(0.02,))
    (row,) = shown(found)
    assert row.where == {"linf": 0.02}
    assert index(found).tolist() == list(range(10, 10 + N))
    assert outcomes(found).mean().item() == pytest.approx(row.value)
    assert score(examples(torch.full(SHAPE, 0.01))).tensors == {}


@pytest.mark.parametrize(
    ("among", "expected"),
    [("correct", sigmoid(0.6)), ("all", (4 * sigmoid(0.6) + 2 * (1 - sigmoid(0.6))) / 6)],
)
def test_misclassified_examples_count_only_with_among_all(among: Any, expected: float) -> None:
    (row,) = shown(score(examples(torch.zeros(SHAPE), wrong=2), sizes=(0,), among=among))
    assert row.value == pytest.approx(expected)


def test_it_is_refused_where_no_example_is_correct() -> None:
    with pytest.raises(InvspecError, match="examples is classified correctly"):
        score(examples(torch.zeros(SHAPE), wrong=N))
    assert Brittleness().smoke().among == "all"


def test_pairs_that_share_a_source_count_as_one_example() -> None:
    y = torch.tensor([0, 0, 1, 1])
    split = TensorSplit(torch.full((4, *SHAPE), 0.6), y)
    clean = paired(split, split.head(2), Targets(indices=(2, 3)), 2)
    (batch,) = clean.batches(len(clean))
    zeros = torch.zeros(4, dtype=torch.int64)
    judged = {"index": batch.index, "y": zeros, "prediction": zeros, "source": clean.source}
    found = score(Examples(clean, filled(judged), {"x_adv": batch.x}), sizes=(0,))
    assert index(found).tolist() == [0, 1]


def test_duplicate_sizes_are_refused() -> None:
    with pytest.raises(ValidationError, match="duplicates in sizes"):
        Brittleness(sizes=(0.01, 0.01))
    assert make("measure", "brittleness", {"sizes": ["1/255", "2/255"]}).sizes == (1 / 255, 2 / 255)
