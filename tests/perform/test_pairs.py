"""The pairs of a sample."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from workbench import Memory, perturb, toys

from invspec.data import JUDGED, PAIRED, TensorSplit
from invspec.errors import InvspecError
from invspec.kinds import Sample, Targets
from invspec.perform.pairs import paired
from invspec.perform.samples import chosen
from invspec.perform.score import examples
from invspec.plan.sizes import max_pairs, size

CLASSES = 3
IMAGES = TensorSplit(torch.rand(12, 1, 2, 2), torch.arange(12) % CLASSES)


def pairs_of(split) -> Any:
    """The whole split as one batch with targets."""
    (batch,) = split.batches(len(split))
    assert batch.ends is not None
    assert batch.x_target is not None
    return batch


@pytest.mark.parametrize(
    "targets",
    [
        Targets(per_class=2),
        Targets(indices=(0, 1, 2, 5)),
        Targets(nth_of_class=(0, 2, 1)),
        Targets(each=4),
    ],
    ids=["class", "given", "nth", "each"],
)
def test_targets_are_of_other_classes_and_indices_are_unique(targets):
    split = paired(IMAGES, IMAGES, targets, CLASSES)
    batch = pairs_of(split)
    assert (batch.y != batch.y_target).all()
    assert torch.equal(batch.x, IMAGES.pixels[batch.ends[:, 0]])
    assert torch.equal(batch.x_target, IMAGES.pixels[batch.ends[:, 1]])
    assert len(set(batch.index.tolist())) == len(split) <= max_pairs(targets, len(IMAGES), CLASSES)


def test_targets_per_class_are_shared_by_all_sources_of_other_classes():
    batch = pairs_of(paired(IMAGES, IMAGES, Targets(per_class=2), CLASSES))
    assert len(batch) == max_pairs(Targets(per_class=2), 12, CLASSES) == 12 * 2 * 2
    drawn = batch.ends[:, 1].unique()
    assert IMAGES.y[drawn].bincount().tolist() == [2, 2, 2]
    for source in range(12):
        assert set(batch.ends[batch.ends[:, 0] == source, 1].tolist()) == set(
            drawn[IMAGES.y[drawn] != IMAGES.y[source]].tolist()
        )


def test_target_indices_are_used_as_given():
    batch = pairs_of(paired(IMAGES, IMAGES.head(1), Targets(indices=(7, 3, 4)), CLASSES))
    assert batch.ends.tolist() == [[0, 7], [0, 4]]  # 3 has the class of the source, 0
    assert batch.index.tolist() == [0, 2]


def test_the_nth_image_of_each_class_is_its_target():
    y = torch.tensor([2, 0, 1, 0, 2, 1, 0, 2])
    split = TensorSplit(torch.rand(8, 1, 2, 2), y)
    batch = pairs_of(paired(split, split.head(1), Targets(nth_of_class=(2, 0, 1)), CLASSES))
    assert batch.ends.tolist() == [[0, 6], [0, 2]]  # the source has class 2
    batch = pairs_of(
        paired(split, split.take(torch.tensor([1])), Targets(nth_of_class=(0, 1, 2)), 3)
    )
    assert batch.ends.tolist() == [[1, 5], [1, 7]]


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ((0, 0), "2 places, but the data have 3"),
        ((0, 4, 0), "4 for class 1, of which the split has 4"),
    ],
)
def test_a_place_that_a_class_has_not_is_refused(places, found):
    with pytest.raises(InvspecError, match=found):
        paired(IMAGES, IMAGES, Targets(nth_of_class=places), CLASSES)


def test_another_seed_draws_other_targets():
    drawn = [
        pairs_of(paired(IMAGES, IMAGES, Targets(each=2, seed=seed), CLASSES)).ends
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@given(st.integers(1, 12), st.integers(1, 5))
def test_a_pair_does_not_depend_on_the_rest_of_the_sample(sources, size):
    whole = paired(IMAGES, IMAGES, Targets(each=3), CLASSES)
    part = paired(IMAGES, IMAGES.head(sources), Targets(each=3), CLASSES)
    assert torch.equal(part.index, whole.index[: len(part)])
    together = torch.cat([batch.x_target for batch in part.batches(size)])
    assert torch.equal(together, pairs_of(whole.head(len(part))).x_target)
    assert torch.equal(part.labels(), whole.labels()[: len(part)])


def test_pairs_are_made_without_reading_an_image():
    class Unread(TensorSplit):
        def batches(self, size, shuffle=None):
            raise AssertionError("an image was read")

    split = paired(IMAGES, Unread(IMAGES.pixels, IMAGES.y).head(4), Targets(each=2), CLASSES)
    assert split.source.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_pairs_of_a_sample_are_drawn_once_for_all_parts():
    sample = Sample(limit=6, targets=Targets(each=1))
    dataset = perturb(toys.Shift()).train.dataset
    again = type(dataset).model_validate(dict(dataset))
    assert chosen(dataset, sample) is chosen(again, Sample(limit=6, targets=Targets(each=1)))


def test_impossible_targets_are_refused():
    with pytest.raises(
        InvspecError, match=r"targets\.indices has 12, but the split has 12 examples"
    ):
        paired(IMAGES, IMAGES, Targets(indices=(12,)), CLASSES)
    with pytest.raises(InvspecError, match="a source has only 8 images of other classes"):
        paired(IMAGES, IMAGES, Targets(each=9), CLASSES)
    with pytest.raises(InvspecError, match="every target has the class of its source"):
        paired(IMAGES, IMAGES.take(torch.tensor([0, 3])), Targets(indices=(6,)), CLASSES)
    with pytest.raises(ValidationError, match="expected distinct indices, found 1 more than once"):
        Targets(indices=(1, 1))


def test_a_task_judges_the_pairs_of_its_part():
    runtime, sample = Memory(), Sample(limit=6, targets=Targets(per_class=1))
    task = perturb(toys.Shift(), part=(0, 5), sample=sample)
    rest = perturb(toys.Shift(), part=(5, 12), sample=sample)
    assert size(task.train.dataset, sample) == len(chosen(task.train.dataset, sample)) == 12
    found = examples((task, rest), runtime)
    assert set(vars(found.judged)) == {*JUDGED, *PAIRED}
    for name, column in zip(
        PAIRED, (*pairs_of(found.clean).ends.T, pairs_of(found.clean).y_target), strict=True
    ):
        assert torch.equal(getattr(found.judged, name), column)


@pytest.mark.parametrize("size", [1, 4, 5, 7, 30])
def test_examples_are_read_in_batches_across_parts(size):
    runtime, sample = Memory(), Sample(limit=6, targets=Targets(per_class=1))
    parts = tuple(
        perturb(toys.Shift(), part=part, sample=sample) for part in ((0, 5), (5, 12), (12, 14))
    )
    found = examples(parts, runtime)
    pieces = list(found.batches(size, "x_adv", "l2"))
    assert [len(batch) for batch, _ in pieces] == [len(rows["x_adv"]) for _, rows in pieces]
    assert torch.equal(torch.cat([rows["x_adv"] for _, rows in pieces]), found.x_adv)
    assert torch.equal(torch.cat([rows["l2"] for _, rows in pieces]), found.judged.l2)
    assert torch.equal(torch.cat([batch.index for batch, _ in pieces]), found.judged.index)
