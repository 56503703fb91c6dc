"""The recipe of fast trainings."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from invspec.data import Batch
from invspec.errors import InvspecError
from invspec.ops.draws import Stream
from invspec.training.fast import FastRecipe, alternated, halves


def ramps(n: int = 40) -> Batch:
    """Images (n, 1, 6, 6) whose columns are brighter to the right."""
    x = torch.arange(36).float().view(1, 1, 6, 6).expand(n, -1, -1, -1) / 36
    return Batch(x, torch.zeros(n, dtype=torch.int64), torch.arange(n))


def test_every_image_is_mirrored_in_every_other_epoch() -> None:
    batch = ramps()
    first, second, third = (alternated(batch.x, batch.index, epoch) for epoch in range(3))
    mirrored = (first == batch.x.flip(3)).flatten(1).all(1)
    assert torch.equal(second[mirrored], batch.x[mirrored])
    assert torch.equal(second[~mirrored], batch.x[~mirrored].flip(3))
    assert torch.equal(third, first)
    assert 0 < mirrored.sum() < len(batch)


def test_a_flip_depends_on_the_number_of_an_image_and_not_on_its_batch() -> None:
    batch = ramps()
    rows = torch.tensor([7, 3, 30])
    alone = alternated(batch.x[rows], batch.index[rows], 0)
    assert torch.equal(alone, alternated(batch.x, batch.index, 0)[rows])


def test_the_two_halves_are_of_equal_size_and_unrelated_to_the_order() -> None:
    """Within four standard deviations of fair coins."""
    half = halves(torch.arange(50_000))
    assert half.unique().tolist() == [0, 1]
    assert abs(half.double().mean() - 0.5) < 4 * 0.5 / 50_000**0.5
    for lag in (1, 2, 5, 10):
        alike = (half[lag:] == half[:-lag]).double().mean()
        assert abs(alike - 0.5) < 4 * 0.5 / 50_000**0.5


def test_the_epoch_of_a_flip_follows_progress() -> None:
    recipe, batch = FastRecipe(epochs=4, crop=0), ramps()
    seen = [recipe.varied(batch, progress, Stream("key")).x for progress in (0.1, 0.24, 0.26, 0.6)]
    expected = [alternated(batch.x, batch.index, epoch) for epoch in (0, 0, 1, 2)]
    assert all(map(torch.equal, seen, expected))


def test_shifts_bring_in_reflected_pixels_or_zeros() -> None:
    batch = ramps()
    settings = {"flip": False, "crop": 2}
    reflected = FastRecipe(**settings).varied(batch, 0.5, Stream("key")).x
    zeros = FastRecipe(**settings, fill="zero").varied(batch, 0.5, Stream("key")).x
    assert reflected.shape == batch.x.shape
    wide = F.pad(batch.x[:1], [2] * 4, mode="reflect")
    windows = {
        tuple(wide[0, 0, i : i + 6, j : j + 6].flatten().tolist())
        for i in range(5)
        for j in range(5)
    }
    assert {tuple(image.flatten().tolist()) for image in reflected} <= windows
    # the same shifts, and the same pixels wherever no zero came in
    assert ((zeros == reflected) | (zeros == 0)).all()
    assert (zeros != reflected).any()


def test_without_flips_and_with_zeros_it_augments_as_every_recipe_does() -> None:
    recipe, batch = FastRecipe(flip=False, fill="zero", crop=1), ramps()
    expected = recipe.augment(batch, Stream("key"))
    assert torch.equal(recipe.varied(batch, 0.3, Stream("key")).x, expected.x)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_smoothed_labels_share_their_weight_among_all_classes(smoothing: float) -> None:
    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[2.0, 0.0, 0.0, 0.0]]).expand(len(x), -1)

    loss = FastRecipe(label_smoothing=smoothing).smoothed(Fixed(), ramps(), Stream("key"))
    log_probs = torch.tensor([2.0, 0.0, 0.0, 0.0]).log_softmax(0)
    expected = -((1 - smoothing) * log_probs[0] + smoothing * log_probs.mean())
    assert loss.value.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize(("crop", "side"), [(2, 2), (3, 1)])
def test_images_too_small_to_reflect_their_edge_are_refused(crop: int, side: int) -> None:
    batch = Batch(torch.rand(3, 1, side, 8), torch.zeros(3, dtype=torch.int64), torch.arange(3))
    recipe = FastRecipe(crop=crop)
    with pytest.raises(InvspecError, match=f"larger images, found {side}x8 pixels") as problem:
        recipe.varied(batch, 0.3, Stream("key"))
    assert "lower crop" in problem.value.hint
    zeros = recipe.model_copy(update={"fill": "zero"})
    assert zeros.varied(batch, 0.3, Stream("key")).x.shape == batch.x.shape
