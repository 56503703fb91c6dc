"""Where memory lacks, judging, scores and measures see smaller batches, with the same bits."""

from typing import Any

import pytest
import torch
from workbench import Memory, perturb, score, toys, train

from invspec.datasets.fake import Fake
from invspec.errors import InvspecError
from invspec.measures.preimage import Preimage
from invspec.measures.top_k_error import TopKError
from invspec.perform import proxies
from invspec.perform.proxies import Padded, deployed

WIDE = Fake(shape=(1, 4, 4), classes=3, train=24, test=100)
HEAVY = train(dataset=WIDE, model=toys.Heavy())
SHIFT = perturb(toys.Shift(), HEAVY, (0, 100))
# rows of the passes that ask whether a net is a function of the image
LOOK = [16, 16, 32]


def fits(monkeypatch, most):
    monkeypatch.setattr(toys.HeavyNet, "most", most)


def net_of(runtime):
    return deployed(HEAVY, runtime)


@pytest.mark.bits
def test_judging_in_pieces_changes_no_bit(monkeypatch):
    expected = Memory(batch_size=100).load(SHIFT).tensors
    fits(monkeypatch, 40)
    runtime = Memory(batch_size=100)
    judged = runtime.load(SHIFT).tensors
    assert all(torch.equal(judged[name], expected[name]) for name in expected)
    # the batch is padded to 112 rows; of half of its 100 rows, 48 is the next multiple of 16
    assert net_of(runtime).net.rows == [*LOOK, 112, 48, *[16] * 7, *[16] * 7]


@pytest.mark.bits
@pytest.mark.parametrize("measure", [TopKError(k=2), Preimage(layers=("last",))])
def test_a_measure_in_pieces_gives_the_same_rows(monkeypatch, measure):
    expected = Memory(batch_size=100).load(score(SHIFT, measure=measure))
    fits(monkeypatch, 40)
    assert Memory(batch_size=100).load(score(SHIFT, measure=measure)).rows == expected.rows


@pytest.mark.bits
def test_logits_and_codes_in_pieces_are_equal_to_the_bit(monkeypatch):
    net = toys.Heavy().deploy(toys.HeavyNet(16, 3))
    x = torch.rand(100, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    expected = Padded(net)(x)
    fits(monkeypatch, 16)
    assert torch.equal(Padded(net)(x), expected)


def test_the_size_that_fits_is_remembered_for_other_nets_of_the_model(monkeypatch):
    fits(monkeypatch, 40)
    runtime = Memory(batch_size=100)
    runtime.load(SHIFT)
    other = train(dataset=WIDE, model=toys.Heavy(), seed=1)
    runtime.load(perturb(toys.Shift(), other, (0, 100)))
    assert set(deployed(other, runtime).net.rows) == {16}


@pytest.mark.bits
def test_an_attack_remembers_its_halved_batch_for_later_tasks(monkeypatch):
    expected = Memory(batch_size=100).load(perturb(toys.Ascent(), HEAVY, (0, 100))).tensors
    fits(monkeypatch, 40)
    runtime = Memory(batch_size=100)
    tensors = runtime.load(perturb(toys.Ascent(), HEAVY, (0, 100))).tensors
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)
    rows: Any = net_of(runtime).net.rows
    assert rows[:6] == [*LOOK, 112, 64, 32]
    rows.clear()
    runtime.load(perturb(toys.Ascent(steps=6), HEAVY, (0, 100)))
    assert max(rows) == 32


@pytest.mark.parametrize("task", [SHIFT, score(SHIFT, measure=TopKError(k=2))])
def test_where_the_smallest_batch_does_not_fit_the_error_says_so(monkeypatch, task):
    runtime = Memory(batch_size=100)
    if task != SHIFT:
        runtime.load(SHIFT)
        net_of(runtime)
    fits(monkeypatch, proxies.BLOCK - 1)
    with pytest.raises(InvspecError, match=r"^one example does not fit into the device's memory"):
        runtime.load(task)


def test_a_training_that_does_not_fit_says_which_field_to_lower(monkeypatch):
    fits(monkeypatch, 4)
    with pytest.raises(InvspecError, match=r"a batch of the training does not fit.*\n.*batch_size"):
        Memory().load(HEAVY)
