"""Global generators are seeded for a block, restored after it, and tell who drew from them."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from invspec.ops.generators import seeded, seeded_by


def test_all_generators_are_seeded_and_restored_after_a_failure() -> None:
    def draws() -> tuple[float, float, float]:
        return torch.rand(()).item(), random.random(), float(np.random.rand())

    with seeded_by(3):
        expected = draws()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with seeded_by(3):
        assert draws() == expected
    with pytest.raises(RuntimeError), seeded_by(3):
        raise RuntimeError
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]


def test_a_text_seeds_all_generators() -> None:
    def draws() -> tuple[float, float, float]:
        return torch.rand(()).item(), random.random(), float(np.random.rand())

    with seeded("a"):
        first = draws()
    with seeded("a"):
        assert draws() == first
    with seeded("b"):
        assert all(drawn != other for drawn, other in zip(draws(), first, strict=True))


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (lambda: torch.rand(()), ["torch"]),
        (lambda: torch.nn.functional.dropout(torch.ones(3), 0.5), ["torch"]),
        (lambda: np.random.rand(), ["numpy"]),
        (lambda: np.random.standard_normal(), ["numpy"]),
        (random.random, ["random"]),
        (lambda: random.gauss(0, 1), ["random"]),
        (lambda: np.random.default_rng(0).random(), []),
        (lambda: torch.rand((), generator=torch.Generator()), []),
        (lambda: None, []),
    ],
)
def test_generators_that_were_drawn_from_are_named(
    draw: Callable[[], object], names: list[str]
) -> None:
    with seeded("key") as moved:
        draw()
        assert moved() == names
