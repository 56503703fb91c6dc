"""Several auxiliaries as one."""

from __future__ import annotations

import torch
from torch import nn

from invspec.training.auxiliary import NO_AUXILIARY, Auxiliaries


def test_several_auxiliaries_have_the_weights_of_all_in_order() -> None:
    first, second = nn.Linear(2, 1), nn.Linear(1, 3)
    both = Auxiliaries({"b": first, "a": second})
    assert list(both.parameters()) == [*first.parameters(), *second.parameters()]


def test_the_state_of_each_part_is_restored() -> None:
    first, second = (Auxiliaries({"prior": nn.Linear(2, 1)}) for _ in range(2))
    second.load_state_dict(first.state_dict())
    for weight, restored in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(weight, restored)


def test_no_auxiliary_has_neither_weights_nor_state() -> None:
    assert list(NO_AUXILIARY.parameters()) == []
    assert NO_AUXILIARY.state_dict() == {}
