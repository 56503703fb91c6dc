"""Generated images on a net whose confidence along the segment is known in closed form."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from pair_examples import Sigmoid
from torch import Tensor

from invspec.attacks.composed import Composed
from invspec.attacks.generated import Generated
from invspec.attacks.identity import Identity
from invspec.attacks.nspgd import NSPGD
from invspec.attacks.union_max import UnionMax
from invspec.data import Batch, Perturbed
from invspec.kinds import Attack
from invspec.ops.draws import Stream
from invspec.registry.methods import make

# class 0 has the confidence sigmoid(4 * first pixel)
MODEL = Sigmoid(torch.tensor([4.0, 0.0]))


def pairs(generated: Tensor) -> Batch:
    """Sources (1, 0) with the target (0, 1), and what a generator made of each, (B, 2)."""
    count = len(generated)
    x = torch.tensor([[1.0, 0.0]]).expand(count, 2).reshape(-1, 1, 1, 2).clone()
    return Batch(
        x,
        torch.zeros(count, dtype=torch.int64),
        torch.arange(count),
        x_target=x.flip(3),
        y_target=torch.ones(count, dtype=torch.int64),
        generated=generated.view(-1, 1, 1, 2),
    )


def attacked(attack: Any, *generated: tuple[float, float]) -> Perturbed:
    return attack.perturb(MODEL, pairs(torch.tensor(generated)), Stream("task"))


def drop(x_adv: Tensor) -> Tensor:
    """The loss of confidence in class 0."""
    confidence = (4 * x_adv[:, 0, 0, 0]).sigmoid()
    return torch.tensor(4.0).sigmoid() - confidence


def test_an_image_that_keeps_the_confidence_is_the_result() -> None:
    result = attacked(Generated(), (0.9, 1.0), (1.0, 0.5))
    assert result.x_adv.flatten(1).tolist() == [[pytest.approx(0.9), 1.0], [1.0, 0.5]]
    # one pass for the source and one for the image
    assert result.forwards.tolist() == [2, 2]
    assert result.backwards.tolist() == [0, 0]


def test_a_confidence_that_rises_is_no_loss() -> None:
    assert attacked(Generated(max_drop=0), (1.0, 1.0)).x_adv.flatten().tolist() == [1.0, 1.0]


def test_an_image_that_loses_the_confidence_is_drawn_back_to_where_it_does_not() -> None:
    # along (1 - t, t) the loss is 0.05 at t = 0.316: 1/2 fails, 1/4 keeps, 3/8 fails, 5/16 keeps
    (loses,) = torch.tensor([0.05])
    found = []
    for bisections in range(5):
        result = attacked(Generated(bisections=bisections), (0.0, 1.0))
        found.append(result.x_adv[0, 0, 0, 1].item())
        assert drop(result.x_adv).item() <= loses
        assert result.forwards.tolist() == [2 + bisections]
    assert found == [0.0, 0.0, 0.25, 0.25, 0.3125]


def test_an_example_is_drawn_back_alone() -> None:
    together = attacked(Generated(), (0.0, 1.0), (1.0, 1.0), (0.5, 1.0))
    for row, generated in enumerate([(0.0, 1.0), (1.0, 1.0), (0.5, 1.0)]):
        alone = attacked(Generated(), generated)
        assert torch.equal(alone.x_adv[0], together.x_adv[row])
        assert alone.forwards.item() == together.forwards[row].item()


def test_an_image_without_a_confidence_is_refused() -> None:
    generated = torch.full((1, 2), torch.nan)
    result = Generated().perturb(MODEL, pairs(generated), Stream("task"))
    assert result.x_adv.flatten().tolist() == [1.0, 0.0]


def test_a_walk_goes_on_from_the_image_to_the_target() -> None:
    # pixel 0 decides the confidence, pixel 1 is free: the walk ends at (.., 1)
    walk = cast(NSPGD, make("attack", "generated_walk", {"steps": 30}))
    result = attacked(walk, (0.95, 0.6))
    (first, second) = result.x_adv.flatten().tolist()
    assert second == pytest.approx(1, abs=0.05**30 + 0.22)
    assert second > 0.9
    assert 0.9 <= first <= 1
    assert drop(result.x_adv).item() <= walk.max_drop


def test_a_walk_counts_the_passes_of_its_start() -> None:
    walk = cast(NSPGD, make("attack", "generated_walk", {"steps": 3}))
    result = attacked(walk, (1.0, 0.6))
    # 2 of the start, then one pass at the source, one at the start, and one for each step
    assert result.forwards.tolist() == [2 + 2 + 3]
    assert result.backwards.tolist() == [2 + 2]


def test_only_a_walk_that_starts_at_a_generated_image_wants_a_generator() -> None:
    assert cast(NSPGD, make("attack", "generated_walk", {})).wants_generator
    assert not NSPGD().wants_generator
    assert not cast(
        NSPGD, make("attack", "nspgd", {"start": {"use": "logit_space"}})
    ).wants_generator


def test_a_batch_without_generated_images_is_a_broken_promise() -> None:
    batch = pairs(torch.zeros(1, 2))
    bare = Batch(batch.x, batch.y, batch.index, x_target=batch.x_target, y_target=batch.y_target)
    with pytest.raises(AssertionError, match="generated images, found none"):
        Generated().perturb(MODEL, bare, Stream("task"))


@pytest.mark.parametrize(
    "around",
    [
        Composed(first=Identity(), then=Generated()),
        Composed(first=Generated(), then=Identity()),
        UnionMax(attacks=(Identity(), Generated())),
    ],
    ids=["then", "first", "union"],
)
def test_an_attack_that_contains_one_wants_its_generator(around: Attack) -> None:
    assert around.wants_generator
    assert attacked(around, (1.0, 1.0)).x_adv.shape == (1, 1, 1, 2)
    assert not Composed(first=Identity(), then=NSPGD()).wants_generator
    assert not UnionMax(attacks=(Identity(), NSPGD())).wants_generator
