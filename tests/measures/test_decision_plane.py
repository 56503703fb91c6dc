"""Planes through spheres with a known share of misread points, as in the paper's Example 6."""

import math
from dataclasses import replace

import pytest
import torch
from columns import filled
from pydantic import ValidationError
from shown import shown
from torch import nn

from invspec.data import Examples, TensorSplit
from invspec.errors import InvspecError
from invspec.measures.decision_plane import Circles, DecisionPlane
from invspec.ops.plane import orthonormal, square_grid
from invspec.perform.pairs import PairedSplit

D, INNER, OUTER = 6, 1.0, 10.0
BETWEEN = (INNER + OUTER) / 2
QUICK = {"hidden": 16, "epochs": 3, "lr": 0.02, "resolution": 21, "angles": 2000}


class Reads(nn.Module):
    """Classifies spheres by the sign of a function of x (B, D); the nuisance is the length."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        score = self.function(x.flatten(1))
        return torch.stack([-score, score], dim=1)

    def encode(self, x):
        return self(x), x.flatten(1).norm(dim=1, keepdim=True)


RADIUS = Reads(lambda x: x.norm(dim=1) - BETWEEN)  # D5
BLIND = Reads(
    lambda x: x[:, :-1].norm(dim=1) - BETWEEN
)  # D6, which does not see the last coordinate


def points(n, seed=0):
    """Points (n, 1, 1, D), in turn on the inner sphere and on the outer one, and their labels."""
    directions = torch.randn(n, D, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(n) % 2
    x = directions / directions.norm(dim=1, keepdim=True) * torch.tensor([INNER, OUTER])[y, None]
    return x.view(n, 1, 1, D), y


def train(n=400):
    return Examples(TensorSplit(*points(n)), filled({}), {})


def attacked(images, y, ends, x_adv=None):
    """Pairs of images, ends being (source, target); x_adv defaults to the targets."""
    source, target = torch.tensor(ends).unbind(1)
    clean = PairedSplit(TensorSplit(images, y), source, target, torch.arange(len(ends)))
    tensors = {"x_adv": images[target] if x_adv is None else x_adv}
    return Examples(clean, filled({"source": source, "target": target}), tensors)


def of_data(count=6):
    images, y = points(2 * count, seed=1)
    return attacked(images, y, [(2 * k, 2 * k + 1) for k in range(count)])


def score(model, pairs, **fields):
    return DecisionPlane(**{**QUICK, **fields}).score(model, train(), pairs)


def shares(model, pairs, **fields):
    rows = shown(score(model, pairs, **fields))
    return {(row.where["classifier"], row.where["circle"]): row.value for row in rows}


def axis(place, length):
    x = torch.zeros(1, 1, D)
    x[0, 0, place] = length
    return x


def blind_share(basis):
    """Share of the outer circle that D6 misreads: the last coordinate above sqrt(R2^2 - BETWEEN^2).

    On the circle it is a R2 cos(t), a being the length of the last axis within the plane.
    """
    a, least = float(basis[:, 0, 0, -1].norm()), math.sqrt(1 - (BETWEEN / OUTER) ** 2)
    return 2 / math.pi * math.acos(least / a) if a > least else 0.0


# ─ shares ─────────────────────────────────────────────────────────────────────────────────────


def test_a_net_blind_to_a_coordinate_misreads_the_outer_circle_along_it():
    images = torch.stack([axis(0, INNER), axis(D - 1, OUTER)])
    found = shares(BLIND, attacked(images, torch.tensor([0, 1]), [(0, 1)]), spanned_by="target")
    expected = 2 / math.pi * math.acos(math.sqrt(1 - (BETWEEN / OUTER) ** 2))
    assert expected == pytest.approx(0.3708, abs=1e-4)
    assert found["logits", "outer"] == pytest.approx(expected, abs=4 / 2000)  # four ends of arcs
    assert found["logits", "inner"] == found["nuisance", "inner"] == found["nuisance", "outer"] == 0


def test_the_share_is_the_mean_over_known_planes():
    towards = torch.zeros(6, 1, 1, D)
    towards[:, 0, 0, -1] = torch.tensor(
        [20.0, 8, 30, 12, 2, 0]
    )  # planes that hold more of the last axis and less
    images, y = points(12, seed=1)
    pairs = attacked(images, y, [(2 * k, 2 * k + 1) for k in range(6)], images[1::2] + towards)
    planes = [
        orthonormal(*(one.double() for one in pair))
        for pair in zip(images[::2], pairs.x_adv, strict=True)
    ]
    expected = [blind_share(basis) for basis in planes]
    assert min(expected) == 0 < sorted(expected)[-2] < max(expected)
    result = score(BLIND, pairs, shown=6)
    rows = {(row.where["classifier"], row.where["circle"]): row for row in shown(result)}
    assert rows["logits", "outer"].value == pytest.approx(sum(expected) / 6, abs=4 / 2000)
    assert rows["logits", "outer"].n == 6
    each = result.tensors["misread"].double().mean(-1)
    torch.testing.assert_close(
        each[:, 0, 1], torch.tensor(expected).double(), rtol=0, atol=4 / 2000
    )


def test_a_net_that_reads_the_radius_misreads_nothing():
    assert set(shares(RADIUS, of_data()).values()) == {0}


def test_a_net_that_always_says_outer_misreads_the_inner_circle():
    found = shares(Reads(lambda x: torch.ones(len(x))), of_data(), spanned_by="target")
    assert (found["logits", "inner"], found["logits", "outer"]) == (1, 0)


def test_a_half_plane_is_half_of_each_circle():
    images = torch.stack([axis(0, INNER), axis(1, OUTER)])
    found = shares(
        Reads(lambda x: x[:, 1] - 1e-3), attacked(images, torch.tensor([0, 1]), [(0, 1)])
    )
    assert found["logits", "outer"] == pytest.approx(0.5, abs=2 / 2000)
    assert found["logits", "inner"] == pytest.approx(0.5, abs=2 / 2000)


def test_pairs_of_a_source_count_as_one():
    images, y = points(8, seed=2)
    rows = shown(score(BLIND, attacked(images, y, [(0, 1), (0, 3), (2, 1)])))
    assert {row.n for row in rows} == {2}


# ─ planes and circles ─────────────────────────────────────────────────────────────────────────


def test_pairs_without_a_plane_are_left_out():
    images, y = points(8, seed=1)
    pairs = attacked(images, y, [(0, 1), (2, 3)])
    flat = replace(pairs, tensors={"x_adv": torch.stack([4 * images[0], images[3]])})
    result = score(BLIND, flat)
    assert {row.n for row in shown(result)} == {1}
    torch.testing.assert_close(result.tensors["point_x"], torch.tensor([[INNER, 0.0]]))
    with pytest.raises(InvspecError, match="no pair spans a plane"):
        score(BLIND, replace(pairs, tensors={"x_adv": images[[0, 2]]}))


def test_circles_have_the_lengths_and_labels_of_the_training_examples():
    x, y = points(20)
    circles = Circles.of(TensorSplit(x, 1 - y), None)  # now the inner sphere has label 1
    torch.testing.assert_close(circles.radii, torch.tensor([INNER, OUTER]).double())
    assert circles.labels.tolist() == [1, 0]
    assert Circles.of(TensorSplit(x, y), (2.0, 3.0)).radii.tolist() == [2, 3]


def test_other_radii_are_other_circles():
    found = shares(RADIUS, of_data(), radii=(BETWEEN + 1, OUTER))
    assert (found["logits", "inner"], found["logits", "outer"]) == (1, 0)
    with pytest.raises(ValidationError, match="0 < inner < outer"):
        DecisionPlane(radii=(2, 1))


# ─ pictures ───────────────────────────────────────────────────────────────────────────────────


def test_the_first_coordinate_rises_along_columns_and_the_second_along_rows():
    images = torch.stack([axis(0, INNER), axis(1, OUTER)])
    pairs = attacked(images, torch.tensor([0, 1]), [(0, 1)])
    right = score(Reads(lambda x: x[:, 0] - 0.1), pairs).tensors["regions"][0, 0]
    assert right[:, :11].sum() == 0
    assert bool((right[:, 11:] == 1).all())
    above = score(Reads(lambda x: x[:, 1] - 0.1), pairs).tensors["regions"][0, 0]
    assert torch.equal(above, right.mT)


def test_pictures_say_where_the_points_and_circles_are():
    metamer = torch.full((1, 1, 1, D), 1.0)
    images = torch.stack([axis(0, INNER), axis(1, OUTER)])
    pairs = attacked(images, torch.tensor([0, 1]), [(0, 1)], metamer)
    found = score(RADIUS, pairs).tensors
    assert found["point_x"].tolist() == [[1, 0]]
    torch.testing.assert_close(found["point_metamer"], torch.tensor([[1, math.sqrt(5)]]))
    assert found["extent"].item() == pytest.approx(1.2 * OUTER)
    assert found["labels"].tolist() == [0, 1]
    assert found["regions"].shape == (1, 2, 21, 21)
    assert found["misread"].shape == (1, 2, 2, 2000)
    assert score(RADIUS, pairs, spanned_by="target").tensors["point_target"].tolist() == [[0, 10]]


def test_shown_limits_the_planes_that_are_drawn():
    assert [
        len(score(RADIUS, of_data(3), shown=shown).tensors["regions"]) for shown in (1, 3, 9)
    ] == [1, 3, 3]


def test_regions_and_circles_agree():
    result = score(BLIND, of_data(1), resolution=300)
    at, regions = square_grid(300, 12.0), result.tensors["regions"][0, 0]
    ring = (at.norm(dim=-1) - OUTER).abs() < 0.1
    (outer,) = (
        row.value
        for row in shown(result)
        if row.where == {"classifier": "logits", "circle": "outer"}
    )
    assert (regions[ring] != 1).double().mean().item() == pytest.approx(outer, abs=0.02)


# ─ what cannot be cut ─────────────────────────────────────────────────────────────────────────


def test_attacks_without_pairs_and_other_classes_are_refused():
    single = Examples(TensorSplit(*points(4)), filled({}), {"x_adv": points(4)[0]})
    with pytest.raises(InvspecError, match="expected a second attack on pairs"):
        score(RADIUS, single)
    one = train()
    same = replace(one, clean=TensorSplit(points(40)[0], torch.zeros(40, dtype=torch.int64)))
    with pytest.raises(InvspecError, match="examples of two classes, found 1"):
        DecisionPlane(**QUICK).score(RADIUS, same, of_data())
