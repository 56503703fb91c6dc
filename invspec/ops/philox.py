"""Philox4x64 (Salmon et al. 2011) in integer tensors: numpy's numbers, to the bit, on any device.

A row has a counter of its own; the words of a row are those of numpy's `Philox` started there.
Unsigned words are held in int64, whose sums and products wrap as unsigned ones do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 10
# the multipliers of the first and third word, and what each round adds to the two words of the key
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
INCREMENTS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
LOW = 0xFFFFFFFF


def signed(word: int) -> int:
    """The int64 with the bits of an unsigned word, which is taken modulo 2 ** 64."""
    return (word + 2**63) % 2**64 - 2**63


@dataclass(frozen=True)
class Counters:
    """The key, two words, and where the counter of each of R rows starts.

    Its two low words start at zero; `third` is one number for all rows, `fourth` is (R,) int64.
    """

    key: tuple[int, int]
    third: int
    fourth: Tensor


def words(counters: Counters, count: int) -> Tensor:
    """The first `count` words of every row, int64 (R, count) with the bits of unsigned ones."""
    third, fourth = counters.third, counters.fourth
    blocks = -(-count // 4)
    # as numpy's, the counter is raised before the first block
    position = torch.arange(1, blocks + 1, device=fourth.device).expand(len(fourth), blocks)
    zeros = torch.zeros_like(position)
    even = torch.stack([position, torch.full_like(position, signed(third))])
    odd = torch.stack([zeros, fourth[:, None].expand_as(position)])
    even, odd = scrambled(counters.key, even, odd)
    # the order of the words in a block is even, odd, even, odd
    return torch.stack([even[0], odd[0], even[1], odd[1]], -1).flatten(1)[:, :count]


def scrambled(key: tuple[int, int], even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
    """The rounds of Philox on counters: words 0 and 2, words 1 and 3, each (2, R, blocks)."""
    multipliers = _pair(*MULTIPLIERS, even)
    parts = multipliers & LOW, upper_half(multipliers)
    for turn in range(ROUNDS):
        added = _pair(key[0] + turn * INCREMENTS[0], key[1] + turn * INCREMENTS[1], even)
        upper = product_high(even, *parts).flip(0)
        even, odd = upper ^ odd ^ added, (even * multipliers).flip(0)
    return even, odd


def _pair(first: int, second: int, like: Tensor) -> Tensor:
    """Two words that broadcast against (2, R, blocks); filled on the device, without a copy."""
    pair = like.new_full((2, 1, 1), signed(first))
    pair[1].fill_(signed(second))
    return pair


def product_high(a: Tensor, b_low: Tensor, b_high: Tensor) -> Tensor:
    """The upper 64 bits of the product of unsigned words, the second one in halves."""
    a_low, a_high = a & LOW, upper_half(a)
    # no sum below exceeds 2 ** 64 - 1
    middle = a_high * b_low + upper_half(a_low * b_low)
    other = a_low * b_high + (middle & LOW)
    return a_high * b_high + upper_half(middle) + upper_half(other)


def upper_half(word: Tensor) -> Tensor:
    """The upper 32 bits of unsigned words."""
    # int64 shifts its sign in
    return (word >> 32) & LOW


def halves(counters: Counters, count: int) -> Tensor:
    """The first `count` numbers of 32 bits of every row, int64 (R, count); low halves first."""
    drawn = words(counters, -(-count // 2))
    return torch.stack([drawn & LOW, upper_half(drawn)], -1).flatten(1)[:, :count]


def uniform(counters: Counters, count: int) -> Tensor:
    """Float32 in [0, 1), (R, count), as numpy's `random` gives them."""
    return (halves(counters, count) >> 8).to(torch.float32) * 2.0**-24


# Spare numbers of a row of integers. Where the expected number of refusals is at most RARE, a row
# needs more with a probability of RARE ** 17 / 17!, which is about 2 ** -150.
SPARE, RARE = 16, 2.0**-6


def integers(high: int, counters: Counters, count: int) -> Tensor:
    """Int64 in [0, high), (R, count), as numpy's `integers` gives them, for high < 2 ** 32.

    Lemire's method (2019): the upper half of a product is the number; the few numbers whose lower
    half is under a threshold are refused, and the next of the row is taken.
    """
    assert 1 <= high < 2**32, f"high is {high}, must be in 1 .. 2 ** 32 - 1"
    if high == 1:
        return counters.fourth.new_zeros(len(counters.fourth), count)
    product = _accepted(high, counters, count) if 2**32 % high else halves(counters, count) * high
    return upper_half(product)


def _accepted(high: int, counters: Counters, count: int) -> Tensor:
    """The first `count` products of every row that are not refused, in their order."""
    threshold, spare = 2**32 % high, SPARE
    checked = count * threshold / 2**32 > RARE
    while True:
        product = halves(counters, count + spare) * high
        accepted = (product & LOW) >= threshold
        # the check waits for the device
        if not checked or bool((accepted.sum(1) >= count).all()):
            break
        spare = 2 * spare + count
    # stable: accepted numbers come first, in their order
    order = torch.sort(accepted.to(torch.int8), dim=1, descending=True, stable=True).indices
    return product.gather(1, order[:, :count])
