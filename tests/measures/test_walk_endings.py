"""How walks ended whose images are written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pair_examples import FirstPixels, of_pairs
from shown import shown
from torch import Tensor

from invspec.data import Examples
from invspec.errors import InvspecError
from invspec.measures.walk_endings import WalkEndings

MODEL = FirstPixels(2)
NAMES = ("arrived", "stopped", "still_walking", "start_refused", "unmoved")


def attacked(ran_out: list[bool], refused: list[bool] | None = None) -> Examples:
    """Four walks from a 1 in the first pixel to a 1 in the second one.

    One has arrived to within 1 % of the distance, two are half way, and one has not moved. The
    source of the last two pairs is misclassified.
    """
    images = torch.zeros(4, 1, 2, 2)
    images[:2, 0, 0, 0], images[2:, 0, 0, 1] = 1, 1
    way = torch.tensor([0.995, 0.5, 0.5, 0.0]).view(4, 1, 1, 1)
    ends = [(0, 2), (0, 3), (1, 2), (1, 3)]
    source, target = torch.tensor(ends).unbind(1)
    x_adv = torch.lerp(images[source], images[target], way)
    examples = of_pairs(MODEL, images, torch.tensor([0, 1, 1, 1]), ends, x_adv)
    tensors: dict[str, Tensor] = {**examples.tensors, "ran_out": torch.tensor(ran_out)}
    if refused is not None:
        tensors["start_refused"] = torch.tensor(refused)
    return replace(examples, tensors=tensors)


def shares(examples: Examples, **fields: object) -> dict[str, float]:
    rows = shown(WalkEndings.model_validate(fields).score(MODEL, examples))
    assert all(0 <= row.low <= row.value <= row.high <= 1 for row in rows)
    return {str(row.where["quantity"]): row.value for row in rows}


def test_every_walk_ends_in_one_way() -> None:
    found = shares(attacked([False, True, False, False]), eligible="all")
    assert tuple(found) == NAMES
    assert found == {
        "arrived": 0.25,
        "stopped": 0.5,
        "still_walking": 0.25,
        "start_refused": 0.0,
        "unmoved": 0.25,
    }


def test_only_pairs_that_count_are_counted() -> None:
    ended = attacked([False, True, True, True], [False, True, True, True])
    found = shares(ended)
    assert (found["arrived"], found["still_walking"], found["stopped"]) == (0.5, 0.5, 0.0)
    assert found["start_refused"] == 0.5
    assert shares(ended, eligible="all")["start_refused"] == 0.75


def test_an_attack_that_does_not_walk_is_refused() -> None:
    walked = attacked([False] * 4)
    without = replace(walked, tensors={"x_adv": walked.x_adv})
    with pytest.raises(InvspecError, match="does not say how its walks ended"):
        WalkEndings().score(MODEL, without)
