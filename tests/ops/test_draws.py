"""Draws that do not depend on batch size, order or parts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invspec.ops.draws import PerExample, Stream

KINDS = {
    "uniform": lambda rng, n: rng.uniform((n, 2, 3)),
    "normal": lambda rng, n: rng.normal((n, 2, 3)),
    "integers": lambda rng, n: rng.integers(1000, (n, 2, 3)),
}
every_kind = pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)
indices = st.lists(st.integers(0, 2**40), min_size=1, max_size=12, unique=True)


def calls(rng, n, number=3):
    """Several calls of different kinds, (n, number * 6)."""
    kinds = list(KINDS.values())
    return torch.cat([kinds[i % 3](rng, n).flatten(1).double() for i in range(number)], dim=1)


@given(indices, st.data())
def test_an_examples_draws_do_not_depend_on_batch_or_order(index, data):
    expected = calls(PerExample("key", torch.tensor(index)), len(index))
    shuffled = data.draw(st.permutations(range(len(index))))
    size = data.draw(st.integers(1, len(index)))
    for start in range(0, len(index), size):
        rows = torch.tensor(shuffled[start : start + size])
        batch = PerExample("key", torch.tensor(index)[rows])
        assert torch.equal(calls(batch, len(rows)), expected[rows])


@given(indices, st.integers(0, 3), st.data())
def test_a_subset_keeps_its_draws_and_stays_in_step(index, before, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(index), max_size=len(index)).filter(any))
    rows = torch.tensor(mask)
    expected = calls(PerExample("key", torch.tensor(index)), len(index), before + 3)[rows]

    rng = PerExample("key", torch.tensor(index))
    first = [
        list(KINDS.values())[i % 3](rng, len(index))[rows].flatten(1).double()
        for i in range(before)
    ]
    taken = rng.take(rows)
    later = [
        list(KINDS.values())[i % 3](taken, sum(mask)).flatten(1).double()
        for i in range(before, before + 3)
    ]
    assert torch.equal(torch.cat([*first, *later], dim=1), expected)


def test_calls_on_a_subset_count_for_the_full_batch():
    rng = PerExample("key", torch.arange(4))
    rng.take(torch.tensor([0])).uniform((1,))
    fresh = PerExample("key", torch.arange(4))
    fresh.uniform((4,))
    assert torch.equal(rng.uniform((4,)), fresh.uniform((4,)))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_keys_differ_where_their_texts_do(first, second):
    index = torch.arange(2)
    same = torch.equal(
        PerExample(first, index).uniform((2, 8)), PerExample(second, index).uniform((2, 8))
    )
    assert same == (first == second)


@every_kind
def test_calls_and_examples_differ(draw):
    rng = PerExample("key", torch.arange(50))
    drawn = torch.stack([draw(rng, 50).flatten(1).double() for _ in range(4)]).flatten(0, 1)
    assert len(drawn.unique(dim=0)) == 200


def test_no_two_examples_share_a_call():
    neighbours = torch.cat(
        [calls(PerExample("key", torch.tensor([i])), 1).view(3, 6) for i in range(5)]
    )
    assert len(neighbours.unique(dim=0)) == 15


@pytest.mark.parametrize(
    "source", [PerExample("key", torch.arange(400)), Stream("key")], ids=["example", "stream"]
)
def test_moments_are_those_of_the_distributions(source):
    # 40,000 numbers: the standard error of a mean is at most sd / 200; five of them are allowed
    uniform, normal = source.uniform((400, 100)), source.normal((400, 100))
    integers = source.integers(10, (400, 100))
    assert (uniform.dtype, normal.dtype, integers.dtype) == (
        torch.float32,
        torch.float32,
        torch.int64,
    )
    assert uniform.mean().item() == pytest.approx(1 / 2, abs=5 * 0.289 / 200)
    assert uniform.var().item() == pytest.approx(1 / 12, abs=5 * 0.0745 / 200)
    assert 0 <= uniform.min() <= uniform.max() < 1
    assert normal.mean().item() == pytest.approx(0, abs=5 / 200)
    assert normal.var().item() == pytest.approx(1, abs=5 * 1.42 / 200)
    assert integers.double().mean().item() == pytest.approx(4.5, abs=5 * 2.88 / 200)
    assert integers.unique().tolist() == list(range(10))


def test_examples_are_uncorrelated():
    drawn = PerExample("key", torch.arange(60)).normal((60, 1000))
    off = torch.corrcoef(drawn) - torch.eye(60)
    assert off.abs().max() < 5 / 1000**0.5


@every_kind
def test_named_draws_are_common_to_all_keys_and_start_anew(draw):
    first, second = (PerExample(key, torch.arange(6)) for key in ("first", "second"))
    first.uniform((6,))
    assert torch.equal(draw(first.named("angles"), 6), draw(second.named("angles"), 6))
    assert not torch.equal(draw(first.named("angles"), 6), draw(first.named("shifts"), 6))


def test_named_draws_of_a_subset_are_those_of_the_full_batch():
    rows = torch.tensor([4, 1])
    rng = PerExample("key", torch.arange(6))
    expected = rng.named("angles").uniform((6, 3))[rows]
    assert torch.equal(rng.take(rows).named("angles").uniform((2, 3)), expected)
    assert torch.equal(rng.named("angles").take(rows).uniform((2, 3)), expected)


def test_draws_for_another_batch_size_are_refused():
    with pytest.raises(AssertionError, match="draws for 3 examples of 4"):
        PerExample("key", torch.arange(4)).uniform((3, 2))


def test_a_stream_resumes_from_its_generators_state():
    rng = Stream("key")
    rng.uniform((5,))
    state = rng.generator.get_state()
    expected = (rng.uniform((3,)), rng.normal((3,)), rng.integers(9, (3,)), rng.permutation(7))
    resumed = Stream("another")
    resumed.generator.set_state(state)
    drawn = (
        resumed.uniform((3,)),
        resumed.normal((3,)),
        resumed.integers(9, (3,)),
        resumed.permutation(7),
    )
    assert all(map(torch.equal, drawn, expected))


def test_a_stream_depends_on_its_key_and_not_on_torchs_generator():
    torch.manual_seed(1)
    first = Stream("key").uniform((8,))
    torch.manual_seed(2)
    assert torch.equal(Stream("key").uniform((8,)), first)
    assert not torch.equal(Stream("yek").uniform((8,)), first)
    assert torch.equal(torch.rand(2), torch.rand(2, generator=torch.Generator().manual_seed(2)))


def test_a_streams_draws_do_not_belong_to_examples():
    rng = Stream("key")
    assert rng.take(torch.tensor([0])) is rng
    assert rng.named("angles") is rng
    assert sorted(rng.permutation(20).tolist()) == list(range(20))
