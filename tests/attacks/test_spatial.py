from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from invspec.attacks.spatial import IMAGES_PER_PASS, Spatial, evenly
from invspec.data import Batch, Perturbed
from invspec.ops.draws import PerExample
from invspec.ops.geometry import transform
from invspec.search.search import Search
from invspec.search.transforms import worst

SMALL = Spatial(rotations=5, shifts=3)


class Net(nn.Module):
    """Random weights; records the number of images of each pass."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(4, 144, generator=generator)
        self.sizes: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return (x.flatten(1) - 0.5) @ self.weight.T / 3


class Watching(nn.Module):
    """Class 1 where one pixel is bright, class 0 where it is dark."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__()
        self.row, self.column = row, column

    def forward(self, x: Tensor) -> Tensor:
        seen = x[:, 0, self.row, self.column]
        return torch.stack([torch.full_like(seen, 0.5), seen], dim=1)


def batch_of(n: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    x, y = (
        torch.rand(n, 1, 12, 12, generator=generator),
        torch.randint(4, (n,), generator=generator),
    )
    return Batch(x, y, torch.arange(n))


def perturbed(
    attack: Spatial, batch: Batch, model: nn.Module | None = None, task: str = "task"
) -> Perturbed:
    return attack.perturb(model or Net(), batch, PerExample(task, batch.index))


def correct(x: Tensor, y: Tensor) -> Tensor:
    return Net()(x).argmax(1) == y


def test_the_default_grid_has_775_transforms_and_includes_the_unchanged_image() -> None:
    grid = Spatial()._grid(batch_of(2).x)
    assert grid.shape == (2, 775, 3)
    assert grid[0].unique(dim=0).shape == (775, 3)
    assert grid[0].amin(0).tolist() == [-30, -3, -3]
    assert grid[0].amax(0).tolist() == [30, 3, 3]
    assert (grid[0] == 0).all(1).sum() == 1


def test_values_are_even_and_symmetric_about_an_exact_zero() -> None:
    assert evenly(3.0, 5) == [-3.0, -1.5, 0.0, 1.5, 3.0]
    assert evenly(0.7, 7)[3] == 0.0
    assert evenly(0.0, 31) == evenly(30.0, 1) == [0.0]


def test_the_worst_transform_has_the_largest_loss_of_those_that_fool_or_else_of_all() -> None:
    loss = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    fooled = torch.tensor([[False, False, False], [False, True, True], [True, True, True]])
    assert worst(loss, fooled).tolist() == [0, 2, 0]


def test_the_grid_gives_the_result_of_a_search_by_hand() -> None:
    batch = batch_of(6)
    x_adv = perturbed(SMALL, batch).x_adv
    for i, (x, y) in enumerate(zip(batch.x, batch.y, strict=True)):
        trials: list[tuple[bool, float, Tensor]] = []
        for motion in product([-30, -15, 0, 15, 30], [-3, 0, 3], [-3, 0, 3]):
            moved = transform(x[None], *torch.tensor([motion], dtype=torch.float32).T)
            logits = Net()(moved)
            fooled, loss = int(logits.argmax()) != int(y), F.cross_entropy(logits, y[None])
            trials.append((fooled, float(loss), moved[0]))
        expected = max(trials, key=lambda trial: trial[:2])[2]
        torch.testing.assert_close(x_adv[i], expected, rtol=0, atol=1e-6)


def test_a_net_that_sees_one_pixel_is_fooled_by_the_one_shift_that_fills_it() -> None:
    x = torch.zeros(1, 1, 13, 13)
    # five above the centre, so that a rotation moves it
    x[..., 1, 6] = 1
    x_adv = perturbed(
        SMALL, Batch(x, torch.tensor([0]), torch.tensor([5])), Watching(row=4, column=3)
    ).x_adv
    assert x_adv.nonzero().tolist() == [[0, 0, 4, 3]]


def test_no_example_becomes_easier_on_the_grid() -> None:
    batch = batch_of(200)
    before, after = correct(batch.x, batch.y), correct(perturbed(SMALL, batch).x_adv, batch.y)
    assert 0 < before.sum() < 200
    assert not (after & ~before).any()
    assert after.sum() < before.sum()


def test_more_random_transforms_are_never_weaker_whatever_the_task() -> None:
    batch = batch_of(200)
    survivors = [
        correct(
            perturbed(Spatial(method="worst_of_k", k=k), batch, task=f"task of {k}").x_adv, batch.y
        )
        for k in (1, 2, 5, 20)
    ]
    for fewer, more in pairwise(survivors):
        assert not (more & ~fewer).any()
    assert survivors[-1].sum() < survivors[0].sum()


def test_random_transforms_keep_the_limits_and_differ_between_images_and_draws() -> None:
    batch = batch_of(50)
    attack = Spatial(method="worst_of_k", k=8, max_degrees=20, max_shift=1)
    drawn, fewer, other = (
        variant._drawn(batch.x, PerExample("task", batch.index))
        for variant in (
            attack,
            attack.model_copy(update={"k": 3}),
            attack.model_copy(update={"draw": 1}),
        )
    )
    assert drawn[:, :3].equal(fewer)
    assert not drawn.equal(other)
    assert len(drawn.flatten(0, 1).unique(dim=0)) == 400
    largest = drawn.abs().amax((0, 1))
    assert (largest <= torch.tensor([20.0, 1.0, 1.0])).all()
    assert (largest > torch.tensor([19.0, 0.95, 0.95])).all()


def test_the_grid_is_no_weaker_than_a_random_part_of_it() -> None:
    attack = Spatial(rotations=5, shifts=3, max_degrees=2, max_shift=0.2)
    batch = replace(batch_of(60), y=Net()(batch_of(60).x).argmax(1))
    grid = attack._grid(batch.x)
    subset = grid[:, torch.randperm(45, generator=torch.Generator().manual_seed(2))[:10]]
    loss, fooled = attack._evaluate(Search(Net(), batch), subset)
    x_adv = perturbed(attack, batch).x_adv
    survived = correct(x_adv, batch.y)
    assert 0 < survived.sum() < 60
    assert not (fooled.any(1) & survived).any()
    reached = F.cross_entropy(Net()(x_adv), batch.y, reduction="none")
    assert (reached >= loss.amax(1) - 1e-5)[survived].all()


@pytest.mark.parametrize("n", [1, 6, IMAGES_PER_PASS + 1])
def test_many_transforms_of_a_small_batch_share_a_forward_pass(n: int) -> None:
    net, attack = Net(), SMALL
    result = perturbed(attack, batch_of(n), net)
    assert result.forwards.tolist() == [45] * n
    assert not result.backwards.any()
    assert sum(net.sizes) == 45 * n
    assert len(net.sizes) == -(-45 // max(1, IMAGES_PER_PASS // n))


def test_the_predicted_label_costs_one_more_forward_pass() -> None:
    batch = batch_of(20)
    predicted = replace(batch, y=Net()(batch.x).argmax(1))
    result = perturbed(SMALL.model_copy(update={"label": "predicted"}), batch)
    assert result.x_adv.equal(perturbed(SMALL, predicted).x_adv)
    assert result.forwards.unique().tolist() == [46]


def test_without_limits_nothing_changes() -> None:
    batch = batch_of(5)
    result = perturbed(Spatial(max_degrees=0, max_shift=0), batch)
    assert result.x_adv.equal(batch.x)
    assert result.forwards.unique().tolist() == [1]


def test_reflected_edges_leave_a_uniform_image_uniform() -> None:
    white = replace(batch_of(4), x=torch.ones(4, 1, 12, 12))
    mirrored = perturbed(SMALL.model_copy(update={"fill": "reflect"}), white).x_adv
    torch.testing.assert_close(mirrored, white.x, rtol=0, atol=1e-6)
    assert not torch.allclose(perturbed(SMALL, white).x_adv, white.x)


@pytest.mark.parametrize("field", ["rotations", "shifts"])
def test_a_grid_without_the_unchanged_image_is_refused(field: str) -> None:
    with pytest.raises(
        ValidationError, match=f"{field} 4 leaves out the unchanged image; give an odd number"
    ):
        Spatial(**{field: 4})


def test_a_smoke_run_of_either_method_tries_few_transforms() -> None:
    cheap = Spatial().smoke()
    assert perturbed(cheap, batch_of(2)).forwards.tolist() == [27, 27]
    assert perturbed(Spatial(method="worst_of_k").smoke(), batch_of(2)).forwards.tolist() == [2, 2]
