"""Codes whose parts tell the label through known channels, and oracles that read either part."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from channels import Turned, channel
from shown import shown
from torch import Tensor

from invspec.measures.shifted_information import ShiftedInformation

QUICK = {"hidden": 32, "epochs": 3, "batch_size": 128, "lr": 0.01}
# three standard errors of an estimate from 2,000 examples, by a classifier fitted to as many
SLACK = 0.05


def reads(place: int):
    """An oracle that reads one number of the code. Pixels of these images have no range."""

    def labels(x: Tensor) -> Tensor:
        z = torch.cat(Turned().encode(x), dim=1)[:, place]
        return torch.stack([-z, z], dim=1)

    return labels


def unbounded(seed: int, place: int, semantic_flips: float, nuisance_flips: float):
    found = channel(semantic_flips, nuisance_flips, seed=seed)
    clean = replace(found.clean, bounds=(-float("inf"), float("inf")))
    return replace(found, clean=clean, oracle=reads(place))


def bars(place: int, semantic_flips: float = 0.0, nuisance_flips: float = 0.0):
    """The bits of each part, by distribution."""
    of = [unbounded(seed, place, semantic_flips, nuisance_flips) for seed in (1, 2)]
    score = ShiftedInformation(**QUICK).score(Turned(), *of)
    return {
        (row.where["under"], row.where["features"]): row.value
        for row in shown(score)
        if row.where["quantity"] == "bits"
    }


def test_if_the_nuisance_is_what_one_sees_the_logits_lose_all_information_by_the_shift() -> None:
    """Cross-entropy, Figure 5: place 5 is in the nuisance, and both parts tell the label."""
    found = bars(place=5)
    assert found["data", "semantic"] == pytest.approx(1, abs=SLACK)
    assert found["data", "nuisance"] == pytest.approx(1, abs=SLACK)
    assert found["shifted", "semantic"] == pytest.approx(0, abs=SLACK)
    assert found["shifted", "nuisance"] == pytest.approx(1, abs=SLACK)
    assert found["shifted", "all"] == pytest.approx(1, abs=SLACK)


def test_if_the_logits_are_what_one_sees_they_keep_their_information() -> None:
    """Theorem 8: the nuisance does not tell the label, before the shift and after it."""
    found = bars(place=0, nuisance_flips=0.5)
    assert found["data", "semantic"] == pytest.approx(1, abs=SLACK)
    assert found["shifted", "semantic"] == pytest.approx(1, abs=SLACK)
    assert found["data", "nuisance"] < SLACK
    assert found["shifted", "nuisance"] < SLACK


def test_labels_after_the_shift_have_an_entropy_of_their_own() -> None:
    """An oracle that sees one class everywhere leaves nothing to know."""
    of = [
        replace(
            unbounded(seed, 0, 0.0, 0.0),
            oracle=lambda x: torch.tensor([[0.0, 1.0]]).repeat(len(x), 1),
        )
        for seed in (1, 2)
    ]
    score = ShiftedInformation(**QUICK).score(Turned(), *of)
    found = {(row.where["under"], row.where["quantity"]): row.value for row in shown(score)}
    assert found["shifted", "label_bits"] == 0
    assert found["shifted", "bits"] == pytest.approx(0, abs=0.01)
    assert found["data", "label_bits"] == pytest.approx(1)
