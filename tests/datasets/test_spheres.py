from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from invspec.data import Batch, TensorSplit
from invspec.datasets import spheres
from invspec.datasets.fake import Fake
from invspec.datasets.spheres import BLOCK, DrawnSplit, Spheres
from invspec.models.mlp import MLP
from invspec.ops.draws import Stream
from invspec.registry.methods import make


def read(
    split: Any, size: int = 10**6, shuffle: Stream | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """x (N, d), y and index of all batches, concatenated."""
    batches: list[Batch] = list(split.batches(size, shuffle))
    return (
        torch.cat([batch.x for batch in batches]).flatten(1),
        torch.cat([batch.y for batch in batches]),
        torch.cat([batch.index for batch in batches]),
    )


@pytest.fixture
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every split is too large for memory."""
    monkeypatch.setattr(spheres, "MAX_BYTES_IN_MEMORY", 0)


def test_the_radius_is_the_label() -> None:
    x, y, _ = read(Spheres(d=30, inner=1, outer=1.3, test=20_000).load("test"))
    radii = torch.tensor([1.0, 1.3])[y]
    torch.testing.assert_close(x.norm(dim=1), radii, rtol=1e-6, atol=0)
    assert y.double().mean().item() == pytest.approx(0.5, abs=0.015)  # four standard errors


def test_directions_are_uniform() -> None:
    x, y, _ = read(Spheres(d=8, test=20_000).load("test"))
    directions = x / x.norm(dim=1, keepdim=True)
    for label in (0, 1):  # of a uniform direction, mean 0 and covariance I / d
        chosen = directions[y == label]
        assert chosen.mean(0).abs().max() < 0.015
        torch.testing.assert_close(
            chosen.T @ chosen / len(chosen), torch.eye(8) / 8, rtol=0, atol=0.006
        )


def test_a_point_depends_only_on_seed_split_and_index() -> None:
    n = BLOCK + 300
    x, y, _ = read(Spheres(d=5, test=n).load("test"))
    longer, more, _ = read(Spheres(d=5, test=3 * n, inner=1, train=7).load("test"))
    assert longer[:n].equal(x)
    assert more[:n].equal(y)
    assert not read(Spheres(d=5, test=n, seed=1).load("test"))[0].equal(x)
    assert not read(Spheres(d=5, val=n).load("val"))[0].equal(x)


def test_other_radii_keep_labels_and_directions() -> None:
    near, y, _ = read(Spheres(d=6, inner=1, outer=2, test=500).load("test"))
    far, same, _ = read(Spheres(d=6, inner=2, outer=4, test=500).load("test"))
    assert y.equal(same)
    torch.testing.assert_close(2 * near, far)


@pytest.mark.usefixtures("nothing_held")
def test_a_drawn_split_has_the_points_of_one_in_memory() -> None:
    dataset = Spheres(d=5, test=2 * BLOCK + 100)
    drawn = dataset.load("test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spheres, "MAX_BYTES_IN_MEMORY", 2**29)
        held = dataset.load("test")
    assert isinstance(drawn, DrawnSplit)
    assert isinstance(held, TensorSplit)
    assert drawn.bounds == held.bounds == (-math.inf, math.inf)
    assert drawn.labels().equal(held.labels())
    anywhere = torch.tensor([2 * BLOCK, 3, BLOCK - 1, 3, BLOCK])
    for cut in (
        lambda split: split,
        lambda split: split.head(BLOCK + 1),
        lambda split: split.take(anywhere),
    ):
        for one, other in zip(read(cut(drawn), 300), read(cut(held), 300), strict=True):
            assert one.equal(other)
        assert cut(drawn).labels().equal(cut(held).labels())
        assert len(cut(drawn)) == len(cut(held))


@pytest.mark.usefixtures("nothing_held")
def test_a_drawn_split_shuffles_blocks_and_points_within_blocks() -> None:
    split = Spheres(d=3, test=4 * BLOCK - 100).load("test").take(torch.arange(50, 4 * BLOCK - 100))
    x, y, index = read(split, 128, Stream("a"))
    assert sorted(index.tolist()) == split.index.tolist()
    blocks = (index // BLOCK).unique_consecutive().tolist()
    assert sorted(blocks) == [0, 1, 2, 3]
    assert blocks != [0, 1, 2, 3]
    inside = index[index // BLOCK == 1]
    assert (inside.diff() < 0).sum() > 400  # half of 1,023 on average
    whole, labels, _ = read(Spheres(d=3, test=4 * BLOCK).load("test"))
    assert x.equal(whole[index])
    assert y.equal(labels[index])
    assert read(split, 128, Stream("a"))[2].equal(index)
    assert not read(split, 128, Stream("b"))[2].equal(index)


@pytest.mark.usefixtures("nothing_held")
def test_a_block_is_drawn_once_while_it_is_read_in_order() -> None:
    spheres.draw_block.cache_clear()
    for _ in Spheres(d=3, test=4 * BLOCK).load("test").batches(100, Stream("a")):
        pass
    assert spheres.draw_block.cache_info().misses == 4


@pytest.mark.usefixtures("nothing_held")
def test_batches_of_a_drawn_split_come_on_another_device() -> None:
    split = Spheres(d=3, test=10).load("test").to("meta")
    batch = next(split.batches(4))
    assert (batch.x.device.type, batch.y.device.type, batch.index.device.type) == (
        "meta",
        "meta",
        "cpu",
    )
    assert split.labels().device.type == "meta"


def test_the_cards_have_the_papers_settings() -> None:
    jacobsen, gilmer = (make("dataset", name, {}) for name in ("spheres", "spheres_gilmer"))
    assert isinstance(jacobsen, Spheres)
    assert (jacobsen.d, jacobsen.inner, jacobsen.outer) == (100, 1, 10)
    assert [jacobsen.count(split) for split in ("train", "val", "test")] == [
        500_000,
        100_000,
        100_000,
    ]
    assert isinstance(gilmer, Spheres)
    assert (gilmer.d, gilmer.inner, gilmer.outer) == (500, 1, 1.3)
    assert [gilmer.count(split) for split in ("train", "test")] == [10_000_000, 2_000_000]
    assert isinstance(gilmer.load("test"), DrawnSplit)


def test_an_inner_radius_above_the_outer_one_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"inner 2 must be less than outer 1\.5"):
        Spheres(inner=2, outer=1.5)


def test_fake_points_of_that_shape_fit_a_net() -> None:
    fake = Fake(shape=Spheres().shape, classes=2, bounds=(None, None))
    (batch,) = fake.load("test").head(8).batches(8)
    assert batch.x.shape == (8, 1, 1, 100)
    assert MLP().build(fake.shape, fake.classes)(batch.x).shape == (8, 2)
