"""What does not fit is named with the values of its sweep, where others fit."""

from __future__ import annotations

from typing import Any

from plan_toys import planned

from invspec.plan import validation

ATTACKS = {"none": {"use": "identity"}}


def wrong(**changes: Any) -> list[str]:
    return [problem.message for problem in validation.problems(planned(**changes))]


def test_a_value_of_a_measures_sweep_that_needs_another_net_is_named() -> None:
    swept = {"use": "nuisance_information", "features": {"sweep": ["pixels", "nuisance"]}}
    measures = {"info": {**swept, "of": ["none", "none"]}}
    (message,) = wrong(attacks=ATTACKS, measures=measures)
    assert message == "measure info features nuisance does not fit model linear"


def test_a_measure_none_of_whose_values_fit_is_named_once() -> None:
    swept = {"use": "nuisance_information", "features": {"sweep": ["semantic", "nuisance"]}}
    measures = {"info": {**swept, "of": ["none", "none"]}}
    messages = {*wrong(attacks=ATTACKS, measures=measures)}
    assert messages == {"measure info does not fit model linear"}


def test_a_value_of_a_data_sets_sweep_that_a_net_cannot_read_is_named() -> None:
    shapes = {"sweep": [[1, 2, 2], [1, 28, 28]]}
    datasets = {"fake": {"shape": shapes}}
    (message,) = wrong(datasets=datasets, models={"linear": {"use": "lenet"}})
    assert message.startswith("linear on fake shape (1, 2, 2): ")


def test_a_closed_form_of_a_map_that_a_net_lacks_is_refused() -> None:
    models = {
        "mapped": {"use": "firevnet_mnist", "blocks": 1, "nuisance_given_logits": True},
        "plain": {"use": "firevnet_mnist", "blocks": 1},
    }
    found = wrong(
        datasets={"fake": {"shape": [1, 32, 32]}},
        models=models,
        defences={"closed": {"use": "likelihood", "last_in_closed_form": True}},
        train=[{"dataset": "fake", "model": ["mapped", "plain"], "defence": "closed"}],
    )
    assert found == ["defence closed does not fit model plain"]
