"""Paths that keep their promise, and paths that break one each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from columns import filled
from pair_examples import Sigmoid, of_pairs
from shown import shown
from torch import Tensor, nn

from invspec.data import Batch, Examples, PathPromise
from invspec.errors import InvspecError
from invspec.kinds import Attack
from invspec.measures.path_validity import PathValidity
from invspec.ops.draws import PerExample
from invspec.registry.cards import names
from invspec.registry.methods import make, resolve

MODEL = Sigmoid(
    torch.tensor([4.0, 0.0, 0.0, 0.0])
)  # confidence in class 0: sigmoid(4 * first pixel)
# attacks that walk within the pixel range, which metamers leave
ATTACKS = {name: cast(type[Attack], resolve("attack", name)) for name in names("attack")}
WALKS = [
    name
    for name, attack in ATTACKS.items()
    if "keep_path" in attack.model_fields and not attack.leaves_bounds
]
UNIT = PathPromise(max_drop=0.05, longest_step=0.1, jumps=False)
ALONG = [0.0, 0.1, 0.2]  # of the second pixel, which the model does not see


def confidence(first: float) -> float:
    return 1 / (1 + math.exp(-4 * first))


def vertices(*pixels: list[float]) -> Tensor:
    """A path (T, 1, 2, 2) of images given by their pixels."""
    return torch.tensor(pixels).view(-1, 1, 2, 2)


def level(first: float = 0.5) -> Tensor:
    return vertices(*([first, second, 0.0, 0.0] for second in ALONG))


def attacked(*paths: Tensor, promise: PathPromise | None = UNIT) -> Examples:
    """One pair a path, each from a source of its own; all of the same target."""
    path = torch.stack(paths)
    images = torch.cat([path[:, 0], torch.zeros(1, 1, 2, 2)])
    y = torch.tensor([0] * len(path) + [1])
    ends = [(source, len(path)) for source in range(len(path))]
    return of_pairs(MODEL, images, y, ends, path[:, -1], path, path_promise=promise)


def found(examples: Examples, measure: PathValidity = PathValidity()) -> dict[str, float]:  # noqa: B008  # frozen
    return {str(row.where["quantity"]): row.value for row in shown(measure.score(MODEL, examples))}


def test_a_path_along_the_level_set_is_valid() -> None:
    quantities = found(attacked(level(), level(0.7)))
    assert (quantities["paths"], quantities["failing"], quantities["failing_between"]) == (2, 0, 0)
    assert quantities["largest_step"] == quantities["median_step"] == pytest.approx(0.1)
    assert quantities["largest_jump"] == 0
    assert (
        quantities["least_margin"]
        == quantities["least_margin_between"]
        == pytest.approx(0.05, abs=1e-6)
    )


def drooping(drop: float) -> Tensor:
    """Down in the first pixel by so much at the middle vertex, and back again."""
    path = level()
    path[1, 0, 0, 0] -= drop
    return path


def test_margins_are_those_of_the_vertices() -> None:
    promise = replace(UNIT, longest_step=1.0)
    quantities = found(attacked(level(), drooping(0.3), promise=promise))
    assert quantities["failing"] == 1
    assert quantities["least_margin"] == pytest.approx(
        confidence(0.2) - confidence(0.5) + 0.05, abs=1e-6
    )


@pytest.mark.parametrize(("longest_step", "failing"), [(0.1, 0), (0.0999, 1), (0.01, 1)])
def test_no_step_may_be_longer_than_promised(longest_step: Any, failing: int) -> None:
    promise = replace(UNIT, longest_step=longest_step)
    assert found(attacked(level(), promise=promise))["failing"] == failing


def test_without_a_longest_step_any_length_is_valid_and_reported() -> None:
    any_length = replace(UNIT, longest_step=None)
    quantities = found(attacked(level(), promise=any_length))
    assert quantities["failing"] == 0
    assert quantities["largest_step"] == pytest.approx(0.1)
    bound = PathValidity(step_size=0.05)
    assert found(attacked(level(), promise=any_length), bound)["failing"] == 1


def test_a_start_of_its_own_is_a_jump_not_a_step() -> None:
    path = vertices([0.5, 0.0, 0.0, 0.0], [0.5, 0.9, 0.0, 0.0], [0.5, 0.8, 0.0, 0.0])
    quantities = found(attacked(path, promise=replace(UNIT, jumps=True)))
    assert quantities["failing"] == 0
    assert quantities["largest_jump"] == pytest.approx(0.9)
    assert quantities["largest_step"] == pytest.approx(0.1)
    assert found(attacked(path))["failing"] == 1


def test_a_refused_start_is_not_a_jump() -> None:
    jumped = vertices([0.5, 0.0, 0.0, 0.0], [0.5, 0.9, 0.0, 0.0], [0.5, 0.8, 0.0, 0.0])
    refused = vertices([0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0], [0.5, 0.1, 0.0, 0.0])
    quantities = found(attacked(jumped, refused, refused, promise=replace(UNIT, jumps=True)))
    assert (quantities["paths"], quantities["jumped"], quantities["failing"]) == (3, 1, 0)
    assert found(attacked(level(), level()))["jumped"] == 0  # a first step is no jump


def test_a_path_must_lead_from_its_source_to_its_image() -> None:
    pairs = attacked(level(), level(0.6))
    elsewhere = pairs.x_adv.clone()
    elsewhere[1] += 0.01
    moved = replace(pairs, tensors={**pairs.tensors, "x_adv": elsewhere})
    assert found(moved)["failing"] == 1
    shifted = pairs.tensors["path"].clone()
    shifted[:, 0, 0, 1, 1] += 0.01
    moved = replace(pairs, tensors={**pairs.tensors, "path": shifted})
    assert found(moved)["failing"] == 2


def test_a_path_stays_within_the_pixels() -> None:
    path = vertices([0.5, 0.0, 0.0, 0.0], [0.5, -0.05, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0])
    assert found(attacked(path))["failing"] == 1


def test_confidence_that_is_nan_breaks_the_promise() -> None:
    assert found(attacked(level()), PathValidity(max_drop=0.0))["failing"] == 0
    examples = attacked(level())
    judged = {**vars(examples.judged), "confidence": torch.tensor([float("nan")])}
    assert found(replace(examples, judged=filled(judged)))["failing"] == 1


def test_shares_are_means_over_sources() -> None:
    promise = replace(UNIT, longest_step=1.0)
    pairs = attacked(level(), drooping(0.3), level(0.6), level(0.7), promise=promise)
    rows = PathValidity().score(MODEL, pairs).rows
    for row in rows[-2:]:
        assert row.where["quantity"] in ("share_failing", "share_failing_between")
        assert row.outcomes is not None
        assert row.outcomes.values.tolist() == [0, 1, 0, 0]
    assert [row.value for row in shown(rows)[-2:]] == [0.25, 0.25]


@pytest.mark.parametrize("name", WALKS)
def test_every_path_that_an_attack_returns_is_valid(name: str) -> None:
    """On an untrained net, from images of noise to others."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3)
        ).requires_grad_(False)
    images = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([0] * 6 + [1] * 6)
    ends = [(source, source + 6) for source in range(6)]
    attack = cast(Attack, make("attack", name, {"keep_path": True, "steps": 40}))
    batch = Batch(
        images[:6],
        y[:6],
        torch.arange(6),
        x_target=images[6:],
        y_target=y[6:],
        generated=images[:6].lerp(images[6:], 0.1),
    )
    walk = attack.perturb(net, batch, PerExample("test", batch.index))
    path = walk.path.transpose(0, 1)
    pairs = of_pairs(net, images, y, ends, walk.x_adv, path, path_promise=attack.path_promise)
    quantities = {
        row.where["quantity"]: row.value for row in shown(PathValidity().score(net, pairs))
    }
    assert quantities["failing"] == 0
    assert quantities["largest_step"] > 0


def test_paths_must_have_been_kept() -> None:
    pairs = attacked(level())
    without = replace(pairs, tensors={"x_adv": pairs.x_adv})
    with pytest.raises(InvspecError, match="kept no path") as problem:
        found(without)
    assert "keep_path: true" in problem.value.hint


def test_a_promise_must_be_known() -> None:
    with pytest.raises(InvspecError, match="sets no max_drop"):
        found(attacked(level(), promise=None))
    assert found(attacked(level(), promise=None), PathValidity(max_drop=0.05))["failing"] == 0
