"""Draws that do not depend on batch size, order or parts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from invspec.ops import draws
from invspec.ops.draws import PerExample, Stream, belongs_on_device, moved

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


# ─ numbers computed on the device ─


@pytest.fixture
def in_tensors(monkeypatch):
    """PerExample as on a GPU; returns its class as on a CPU."""
    monkeypatch.setattr(draws, "belongs_on_device", lambda *size: True)
    monkeypatch.setattr(draws, "AT_ONCE", 100)

    class OnCPU(PerExample):
        def _on_device(self, shape):
            return False

    return OnCPU


DRAWN = [
    lambda rng, n: rng.uniform((n, 3, 5)),
    lambda rng, n: rng.uniform((n,)),
    lambda rng, n: rng.normal((n, 7)),
    lambda rng, n: rng.integers(3 * 2**30, (n, 9)),
    lambda rng, n: rng.integers(2**40, (n, 2)),
    lambda rng, n: rng.named("angles").integers(10, (n,)),
]


def test_numbers_computed_on_the_device_are_those_of_the_host(in_tensors):
    index = torch.tensor([5, 0, 2**40, 7, 2**62])
    there, here = PerExample("key", index), in_tensors("key", index)
    for draw in DRAWN * 2:
        computed, expected = draw(there, 5), draw(here, 5)
        assert computed.dtype == expected.dtype
        assert torch.equal(computed, expected)


@pytest.mark.parametrize(
    "rows", [torch.tensor([3, 1]), torch.tensor([False, True, False, False, True])]
)
def test_a_subset_computed_on_the_device_keeps_its_draws(in_tensors, rows):
    there, here = (kind("key", torch.arange(5)) for kind in (PerExample, in_tensors))
    for draw in DRAWN:
        assert torch.equal(draw(there.take(rows), 2), draw(here, 5)[rows])


def test_draws_for_another_batch_size_are_refused_on_the_device(in_tensors):
    with pytest.raises(AssertionError, match="draws for 3 examples of 4"):
        PerExample("key", torch.arange(4)).uniform((3, 2))


@pytest.mark.parametrize(
    ("device", "examples", "numbers", "expected"),
    [("cpu", 10**6, 10**9, False), ("cuda", 8, 8 * 784, False), ("cuda", 1024, 1024, True)],
)
def test_numbers_are_computed_on_a_gpu_where_a_loop_would_be_slow(
    device, examples, numbers, expected
):
    assert belongs_on_device(torch.device(device), examples, numbers) == expected


def test_numbers_are_copied_to_a_gpu_without_waiting(monkeypatch):
    copies = list[tuple[object, ...]]()
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda drawn: drawn)
    monkeypatch.setattr(
        torch.Tensor, "to", lambda drawn, *call, **options: copies.append((call, options)) or drawn
    )
    moved(torch.zeros(2), torch.device("cuda"))
    assert copies == [((torch.device("cuda"),), {"non_blocking": True})]


def test_bits_are_the_same_on_every_device(in_tensors, monkeypatch):
    computed = draws.bits("key", 3, 2**33, 101, torch.device("cpu"))
    monkeypatch.setattr(draws, "belongs_on_device", lambda *size: False)
    assert torch.equal(draws.bits("key", 3, 2**33, 101, torch.device("cpu")), computed)


def test_bits_differ_by_key_call_and_row():
    drawn = [
        draws.bits(*which, 4, torch.device("cpu"))
        for which in (("a", 0, 0), ("b", 0, 0), ("a", 1, 0), ("a", 0, 1))
    ]
    assert len(torch.stack(drawn).unique(dim=0)) == 4
