"""A batch that does not fit into memory is computed in pieces, and the size that fits is kept."""

import pytest
import torch
from torch import nn

from invspec import memory
from invspec.memory import BLOCK, Limit, Limits, in_pieces, is_lacking, observed, pieces


def computed(most, rows, limit, block=1):
    """The sizes of all attempts to compute rows, where at most `most` rows fit."""
    attempts = []

    def compute(piece):
        attempts.append(piece.stop - piece.start)
        if attempts[-1] > most:
            raise torch.OutOfMemoryError("toy memory is full")
        return list(range(piece.start, piece.stop))

    results = [row for _, result in pieces(compute, rows, limit, block) for row in result]
    assert results == list(range(rows))
    return attempts


def test_a_batch_that_fits_is_computed_at_once():
    assert computed(most=100, rows=100, limit=Limit()) == [100]


def test_an_empty_batch_is_computed_too():
    assert computed(most=100, rows=0, limit=Limit()) == [0]


def test_a_batch_is_halved_until_it_fits():
    assert computed(most=30, rows=100, limit=Limit()) == [100, 50, 25, 25, 25, 25]


def test_the_size_that_fits_is_remembered():
    limit = Limit()
    computed(most=30, rows=100, limit=limit)
    assert computed(most=30, rows=60, limit=limit) == [25, 25, 10]


def test_pieces_are_multiples_of_the_block():
    assert computed(most=40, rows=100, limit=Limit(), block=BLOCK) == [
        100,
        48,
        16,
        16,
        16,
        16,
        16,
        16,
        4,
    ]


@pytest.mark.parametrize(("rows", "block"), [(1, 1), (7, BLOCK), (16, BLOCK)])
def test_a_piece_that_cannot_be_halved_raises_and_the_next_batch_starts_anew(rows, block):
    limit = Limit()
    limit.most = block
    with pytest.raises(torch.OutOfMemoryError):
        computed(most=0, rows=rows, limit=limit, block=block)
    assert limit.most is None


def test_other_errors_are_not_answered_by_halving():
    def compute(piece):
        raise RuntimeError("shapes do not match")

    limit = Limit()
    with pytest.raises(RuntimeError, match="shapes"):
        list(pieces(compute, 100, limit))
    assert limit.most is None


def test_frames_of_a_failed_attempt_are_gone_before_the_next():
    alive = []

    class Large:
        def __init__(self):
            alive.append(self)

        def __del__(self):
            finalised.append(self)

    finalised = []

    def compute(piece):
        held = [Large()]
        alive.clear()
        if piece.stop - piece.start > 4:
            raise torch.OutOfMemoryError("toy memory is full")
        return len(finalised), bool(held)

    (_, (gone, _)), *_ = pieces(compute, 8, Limit())
    assert gone == 1


@pytest.mark.parametrize(
    ("problem", "lacking"),
    [
        (torch.OutOfMemoryError("Tried to allocate 2 GiB"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_recognised(problem, lacking):
    assert is_lacking(problem) == lacking


def test_lack_of_a_cpus_memory_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_lacking(caught.value)


def test_limits_of_different_computations_are_apart():
    limits = Limits()
    limits.of("attack", 1).most = 4
    assert limits.of("attack", 1).most == 4
    assert limits.of("attack", 2).most is None


# ─ results ─


class Narrow(nn.Module):
    """Three kinds of result, of at most 32 rows at once."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > 32:
            raise torch.OutOfMemoryError("toy memory is full")
        return x * 2


RESULTS = {
    "tensor": lambda net: lambda x: net(x),
    "tuple": lambda net: lambda x: (net(x), x),
    "dict": lambda net: lambda x: {"twice": net(x), "once": x},
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_of_pieces_are_joined(name):
    x = torch.arange(100.0)[:, None]
    result = in_pieces(RESULTS[name](Narrow()), x, limit=Limit())
    expected = RESULTS[name](lambda images: images * 2)(x)
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_a_pass_that_keeps_a_graph_is_not_divided():
    net, limit = Narrow(), Limit()
    x = torch.rand(100, 1, requires_grad=True)
    with pytest.raises(torch.OutOfMemoryError):
        in_pieces(net, x, limit=limit)
    assert (net.sizes, limit.most) == ([100], None)
    with torch.no_grad():
        assert torch.equal(in_pieces(net, x, limit=limit), x * 2)


def test_who_looks_at_a_pass_from_outside_sees_all_rows_of_a_piece():
    net, passes, limit = Narrow(), [], Limit()

    def compute(images):
        result = in_pieces(net, images, limit=limit)
        passes.append(len(images))
        return result

    x = torch.arange(100.0)[:, None]
    assert torch.equal(observed(compute, net, x), x * 2)
    assert passes == [16] * 6 + [4]
    assert limit.most is None
    passes.clear()
    observed(compute, net, x)
    assert net.sizes[-7:] == [*passes] == [16] * 6 + [4]


def test_a_net_in_training_sees_whole_batches():
    net = nn.Sequential(Narrow(), nn.Linear(1, 1))
    with pytest.raises(torch.OutOfMemoryError), torch.no_grad():
        observed(net, net, torch.rand(100, 1))


def test_nothing_is_remembered_of_a_net_that_is_gone():
    net = Narrow()
    observed(net, net, torch.rand(4, 1))
    before = len(memory._of_nets)
    del net
    assert len(memory._of_nets) == before - 1
