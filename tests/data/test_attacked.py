"""Judged columns as a record."""

from __future__ import annotations

import pytest
import torch
from columns import filled
from small_splits import split_of

from invspec.data import JUDGED, PAIRED, Examples, JudgedPairs, Perturbed, TensorSplit, judged_from

COLUMNS = {
    "index": torch.arange(5, 9),
    #                  kept · fooled · wrong before, made right · wrong before, wrong otherwise
    "y": torch.tensor([0, 0, 0, 0]),
    "prediction": torch.tensor([0, 0, 1, 1]),
    "prediction_adv": torch.tensor([0, 1, 0, 2]),
}


def test_what_became_of_an_example_follows_from_its_predictions() -> None:
    judged = filled(COLUMNS)
    assert judged.correct.tolist() == [True, True, False, False]
    assert judged.correct_adv.tolist() == [True, False, True, False]
    assert judged.changed.tolist() == [False, True, True, True]
    assert judged.fooled.tolist() == [False, True, False, True]


def test_the_unit_is_the_example_or_the_source_of_a_pair() -> None:
    source = torch.tensor([3, 3, 4, 4])
    assert filled(COLUMNS).unit.tolist() == [5, 6, 7, 8]
    assert filled({**COLUMNS, "source": source}).unit.tolist() == source.tolist()


def test_some_examples_keep_their_columns_and_their_kind() -> None:
    pairs = filled({**COLUMNS, "source": torch.tensor([3, 3, 4, 4])}).take(torch.tensor([3, 0]))
    assert isinstance(pairs, JudgedPairs)
    assert (pairs.index.tolist(), pairs.source.tolist()) == ([8, 5], [4, 3])


def test_columns_of_the_store_make_a_record() -> None:
    columns = {name: torch.arange(4) for name in (*JUDGED, "x_adv")}
    assert set(vars(judged_from(columns))) == set(JUDGED)
    paired = judged_from({**columns, **{name: torch.arange(4) for name in PAIRED}})
    assert set(vars(paired)) == {*JUDGED, *PAIRED}


def test_a_measure_of_pairs_needs_pairs() -> None:
    split = TensorSplit(torch.zeros(4, 1, 1, 1), torch.zeros(4))
    with pytest.raises(AssertionError, match="single examples"):
        _ = Examples(split, filled(COLUMNS), {}).pairs


def test_costing_counts_the_same_passes_for_all_examples():
    found = Perturbed.costing(torch.zeros(3, 1, 2, 2), forwards=5, backwards=4)
    assert (found.forwards.tolist(), found.backwards.tolist(), found.path) == (
        [5] * 3,
        [4] * 3,
        None,
    )


def test_examples_have_their_attacked_images():
    x_adv = torch.rand(2, 1, 1, 1)
    assert Examples(split_of(2), filled({}), {"x_adv": x_adv}).x_adv is x_adv
