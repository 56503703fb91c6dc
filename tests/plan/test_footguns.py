"""What can run and is hardly meant is warned of, with its place."""

from __future__ import annotations

from typing import Any

import pytest
from workbench import planned, registered, tiny

from invspec.plan import planner, validation


@pytest.fixture(autouse=True)
def _toys():
    with registered():
        yield


def warned(**changes: Any) -> list[str]:
    return [str(warning) for warning in validation.warnings(planned(tiny(**changes)))]


def test_a_spec_that_uses_all_it_has_is_not_warned_of() -> None:
    assert warned() == []


LINE = {"dataset": "fake", "model": "linear", "defence": "standard"}
MORE: dict[str, dict[str, Any]] = {
    "datasets": {"more": {"use": "fake"}},
    "models": {"more": {"use": "linear"}},
    "defences": {"more": {"use": "standard"}},
    "attacks": {"more": {"use": "shift", "by": 0.5}},
}


@pytest.mark.parametrize("part", MORE)
def test_an_entry_that_nothing_uses(part: str) -> None:
    (message,) = warned(**{part: {**tiny()[part], **MORE[part]}})
    noun = part.removesuffix("s")
    assert f"{part}.more: nothing uses {noun} more\nhint: remove it, or name it in" in message


def test_measures_are_used_unless_every_line_names_its_own() -> None:
    measures = {"accuracy": {"of": "shift"}, "more": {"use": "accuracy", "of": "shift"}}
    assert warned(measures=measures) == []
    (message,) = warned(measures=measures, train=[{**LINE, "measures": ["accuracy"]}])
    assert "measures.more: nothing uses measure more" in message


@pytest.mark.parametrize(
    "change",
    [
        {"scales": {"other": {"train": [{**LINE, "model": "more"}]}}},
        {
            "measures": {
                "accuracy": {"of": "shift"},
                "share": {
                    "use": "semantic_share",
                    "of": "shift",
                    "oracle": {"model": "more", "defence": "standard"},
                },
            },
        },
    ],
    ids=["a scale", "an oracle"],
)
def test_what_something_else_than_a_line_names_is_used(change: dict[str, Any]) -> None:
    models = {"linear": {}, "more": {"use": "linear"}}
    assert warned(models=models, **change) == []


def test_a_limit_above_the_split() -> None:
    attacks = {"shift": {"by": 0.25, "sample": {"limit": 21}}}
    (message,) = warned(attacks=attacks)
    assert "attacks.shift.sample.limit: limit 21 is more than the test split of fake has: 20" in (
        message
    )
    attacks["shift"]["sample"] = {"limit": 20}
    assert warned(attacks=attacks) == []
    attacks["shift"]["sample"] = {"limit": 24, "split": "train"}
    assert warned(attacks=attacks) == []


def test_more_of_a_class_than_the_split_can_have() -> None:
    attacks = {"shift": {"by": 0.25, "sample": {"per_class": 8}}}
    (message,) = warned(attacks=attacks)
    assert "attacks.shift.sample.per_class: per_class 8 for 3 classes is more than the test" in (
        message
    )
    attacks["shift"]["sample"] = {"per_class": 6}
    assert warned(attacks=attacks) == []


def test_a_batch_above_the_training_split() -> None:
    (message,) = warned(defences={"standard": {"epochs": 1, "batch_size": 25, "lr": 0.1}})
    assert "defences.standard.batch_size: batch_size 25 is more than the train split of fake" in (
        message
    )
    assert warned(defences={"standard": {"epochs": 1, "batch_size": 24, "lr": 0.1}}) == []


def test_a_smoke_run_is_not_warned_of() -> None:
    attacks = {"shift": {"by": 0.25, "sample": {"limit": 21}}}
    plan = planned(tiny(attacks=attacks, models={"linear": {}, "more": {"use": "linear"}}))
    assert validation.warnings(planner.plan(plan.spec.smoke())) == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("acuracy", "accuracy"), ("linaer", "linear"), ("sift", "shift"), ("defense", "defence")],
)
def test_a_name_for_nearly_something(name: str, nearest: str) -> None:
    hint = f"nothing is called {name}\nhint: did you mean {nearest}?"
    (message,) = warned(names={name: "a"})
    assert f"names.{name}: {hint}" in message
    (message,) = warned(report=[{"of": "accuracy", "names": {name: "a"}}])
    assert f"report.0.names.{name}: {hint}" in message


def test_names_of_what_there_is_or_a_run_may_make() -> None:
    names = {"accuracy": "a", "linear": "b", "shift": "c", "model": "d", "class": "e", "9": "f"}
    assert warned(names=names) == []


TWICE = {
    "models": {"linear": {}, "more": {"use": "linear"}},
    "train": [{**LINE, "model": ["linear", "more"]}],
}


def test_two_rows_of_one_name() -> None:
    same = {"linear": "CNN", "more": "CNN"}
    (message,) = warned(**TWICE, names=same, report=[{"of": "accuracy", "columns": "none"}])
    assert (
        "names: in table 1, several rows are called CNN: linear; more\n"
        "hint: give each a name of its own" in message
    )
    (message,) = warned(**TWICE, report=[{"of": "accuracy", "columns": "model", "names": same}])
    assert "report.0.names: in table 1, several columns are called CNN: linear; more" in message
    assert warned(**TWICE, names={"linear": "CNN"}, report=[{"of": "accuracy"}]) == []
    # elsewhere, one name may be meant
    report = [{"of": "accuracy", "at": {"model": model}, "names": same} for model in same]
    assert warned(**TWICE, report=report) == []


def test_two_measures_of_one_name() -> None:
    measures = {"accuracy": {"of": "shift"}, "again": {"use": "accuracy", "of": "shift"}}
    report = [{"of": ["accuracy", "again"], "names": {"again": "accuracy"}}]
    (message,) = warned(measures=measures, report=report)
    assert "several measures are called accuracy: accuracy; again" in message
