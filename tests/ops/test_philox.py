"""Philox in tensors gives numpy's bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invspec.ops import philox
from invspec.ops.philox import Counters

words64 = st.integers(0, 2**64 - 1)
indices = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5)
# odd counts end in the middle of a block, or of a word
counts = st.integers(1, 70)


def generators(counters: Counters) -> list[np.random.Generator]:
    return [
        np.random.Generator(
            np.random.Philox(
                key=np.array(counters.key, dtype=np.uint64),
                counter=np.array([0, 0, counters.third, row], dtype=np.uint64),
            )
        )
        for row in counters.fourth.tolist()
    ]


def counters_of(index: list[int], key: tuple[int, int] = (3, 2**64 - 1), third: int = 0):
    return Counters(key, third, torch.tensor(index))


@given(st.tuples(words64, words64), words64, indices, counts)
def test_words_are_numpys(key: tuple[int, int], third: int, index: list[int], count: int) -> None:
    counters = counters_of(index, key, third)
    expected = np.stack(
        [generator.bit_generator.random_raw(count) for generator in generators(counters)]
    )
    assert np.array_equal(philox.words(counters, count).numpy().view(np.uint64), expected)


@given(words64, indices, counts)
def test_uniform_numbers_are_numpys(third: int, index: list[int], count: int) -> None:
    counters = counters_of(index, third=third)
    expected = np.stack(
        [generator.random(count, dtype=np.float32) for generator in generators(counters)]
    )
    assert np.array_equal(philox.uniform(counters, count).numpy(), expected)


def integers_are_numpys(high: int, counters: Counters, count: int) -> bool:
    expected = np.stack(
        [generator.integers(high, size=count) for generator in generators(counters)]
    )
    return np.array_equal(philox.integers(high, counters, count).numpy(), expected)


@given(st.integers(1, 2**32 - 1), indices, counts)
def test_integers_are_numpys(high: int, index: list[int], count: int) -> None:
    assert integers_are_numpys(high, counters_of(index), count)


# of 2 ** 31 + 1 half of the numbers are refused, of 3 * 2 ** 30 a quarter
@pytest.mark.parametrize("high", [2**31 + 1, 3 * 2**30, 2**32 - 1, 2**31, 2, 1])
def test_integers_are_numpys_however_many_are_refused(high: int) -> None:
    assert integers_are_numpys(high, counters_of(list(range(40))), 501)


def test_rare_refusals_need_no_check() -> None:
    # about 58 of 256,000 numbers are refused, and 0.014 in a row of 64
    high, counters = 1_000_000, counters_of(list(range(4000)))
    threshold = 2**32 % high
    refused = ((philox.halves(counters, 64) * high) & philox.LOW) < threshold
    assert refused.any()
    assert 64 * threshold / 2**32 < philox.RARE
    assert integers_are_numpys(high, counters, 64)


def test_integers_of_64_bits_are_refused() -> None:
    with pytest.raises(AssertionError, match="must be in 1"):
        philox.integers(2**32, counters_of([0]), 1)


@pytest.mark.parametrize("draw", [philox.words, philox.uniform])
def test_no_numbers_are_drawn_for_an_empty_shape(draw) -> None:
    assert draw(counters_of([0, 1]), 0).shape == (2, 0)
