"""How the nuisance classifier is fitted: its examples and its draws."""

import json

import torch
from channels import Turned, channel

from invspec.measures.nuisance_information import NuisanceInformation
from invspec.scoring.nuisance_classifier import NuisanceClassifierMeasure

QUICK = {"hidden": 32, "epochs": 3, "batch_size": 128, "lr": 0.01}


def test_draws_depend_on_the_fields_and_not_on_the_net():
    one, other = (NuisanceInformation(**QUICK, dropout=dropout) for dropout in (0.0, 0.1))
    train = channel(0.0, 0.1, seed=1, n=60)
    chosen = [
        measure.fit(Turned(seed=seed), train, "nuisance").train_codes.index
        for measure, seed in ((one, 0), (one, 7))
    ]
    assert torch.equal(*chosen)
    assert not torch.equal(chosen[0], other.fit(Turned(), train, "nuisance").train_codes.index)


def test_a_tenth_is_held_out_and_none_without_validation():
    train = channel(0.0, 0.1, seed=1, n=60)
    assert len(NuisanceInformation(**QUICK).fit(Turned(), train, "nuisance").train_codes) == 54
    assert (
        len(NuisanceInformation(**QUICK, validation=0).fit(Turned(), train, "nuisance").train_codes)
        == 60
    )


def test_the_fit_depends_on_the_fields_of_fitting_alone():
    recipe = NuisanceInformation()._recipe("nuisance")
    assert set(recipe) == {"features", *NuisanceClassifierMeasure.model_fields}
    json.dumps(recipe)
