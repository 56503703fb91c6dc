"""`precision: auto` in a spec: what is asked, and what the answers change."""

from __future__ import annotations

from typing import Any

import pytest

from invspec.kinds import Precision
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.plan.precisions import Answer, Question, float32
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Train, canonical, key

BASE: dict[str, Any] = {
    "title": "toy",
    "seeds": [0, 1],
    "datasets": {"fake": {}},
    "models": {"linear": {}, "lenet": {}},
    "defences": {"standard": {}, "slow": {"use": "standard", "epochs": 2, "batch_size": 8}},
    "attacks": {"pgd": {}, "ddn": {}},
    "measures": {"accuracy": {"of": "pgd"}, "distance": {"use": "boundary_distance", "of": "ddn"}},
    "train": [{"dataset": "fake", "model": ["linear", "lenet"], "defence": ["standard", "slow"]}],
}
AUTO = {
    "standard": {"precision": "auto"},
    "slow": {"use": "standard", "epochs": 2, "batch_size": 8, "precision": "auto"},
}


def planned(answer: Answer = float32, **changes: Any) -> Plan:
    spec = resolve.resolve(document.Document("x.yaml", {**BASE, **changes}))
    return planner.plan(spec, answer)


def constant(precision: Precision) -> Answer:
    return lambda question: precision


def keys(plan: Plan) -> set[str]:
    return {key(task) for task in plan.tasks}


def fixed(precision: str) -> dict[str, Any]:
    return {label: {**fields, "precision": precision} for label, fields in AUTO.items()}


def test_each_model_and_shape_is_asked_about_once_whatever_trains_it() -> None:
    asked: list[Question] = []

    def answer(question: Question) -> Precision:
        asked.append(question)
        return "float32"

    plan = planned(answer, defences=AUTO)
    assert [str(question) for question in asked] == [
        "train Linear on 1x28x28",
        "train LeNet on 1x28x28",
    ]
    assert list(plan.answers) == asked


def test_a_plan_without_auto_asks_nothing() -> None:
    assert planned(constant("bfloat16")).answers == {}
    assert keys(planned(constant("bfloat16"))) == keys(planned())


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_the_keys_are_those_of_a_spec_that_says_the_answer(precision: Precision) -> None:
    chosen = planned(constant(precision), defences=AUTO)
    assert keys(chosen) == keys(planned(defences=fixed(precision)))


def test_unanswered_trainings_have_the_keys_of_float32() -> None:
    assert keys(planned(defences=AUTO)) == keys(planned(defences={**fixed("float32")}))


def test_models_may_get_different_answers() -> None:
    def answer(question: Question) -> Precision:
        return "bfloat16" if type(question.model).__name__ == "LeNet" else "float32"

    trainings = [task for task in planned(answer, defences=AUTO).tasks if isinstance(task, Train)]
    assert {(type(task.model).__name__, task.defence.precision) for task in trainings} == {  # pyright: ignore[reportAttributeAccessIssue]
        ("Linear", "float32"),
        ("LeNet", "bfloat16"),
    }


def test_no_task_says_auto() -> None:
    plan = planned(constant("bfloat16"), defences=AUTO, precision="auto")
    assert not any("auto" in canonical(task) for task in plan.tasks)


def test_attacks_are_asked_about_apart_from_trainings() -> None:
    def answer(question: Question) -> Precision:
        return "bfloat16" if question.work == "search" else "float32"

    plan = planned(answer, defences=AUTO, precision="auto")
    assert sorted(map(str, plan.answers)) == [
        "attack LeNet on 1x28x28",
        "attack Linear on 1x28x28",
        "train LeNet on 1x28x28",
        "train Linear on 1x28x28",
    ]
    assert keys(plan) == keys(planned(precision="bfloat16", defences=fixed("float32")))


def test_attacks_that_need_float32_do_not_ask() -> None:
    measures = {"distance": {"use": "boundary_distance", "of": "ddn"}}
    plan = planned(constant("bfloat16"), precision="auto", measures=measures)
    searches = {task.precision for task in plan.tasks if isinstance(task, Perturb)}
    assert (searches, plan.answers) == ({"float32"}, {})


def test_an_oracle_gets_its_answer_too() -> None:
    oracle = {"model": "lenet", "defence": "slow"}
    plan = planned(
        constant("bfloat16"),
        defences={"standard": {}, "slow": AUTO["slow"]},
        measures={"shown": {"use": "semantic_share", "of": "pgd", "oracle": oracle}},
        train=[{"dataset": "fake", "model": "linear", "defence": "standard"}],
    )
    assert list(map(str, plan.answers)) == ["train LeNet on 1x28x28"]
    trained = {cell.goal.oracle.defence.precision for cell in plan.cells if cell.goal.oracle}  # pyright: ignore[reportAttributeAccessIssue]
    assert trained == {"bfloat16"}


def test_a_smoke_run_asks_nothing_and_computes_in_float32() -> None:
    spec = resolve.resolve(document.Document("x.yaml", {**BASE, "defences": AUTO})).smoke()
    plain = resolve.resolve(document.Document("x.yaml", BASE)).smoke()
    plan = planner.plan(spec, constant("bfloat16"))
    assert plan.answers == {}
    assert keys(plan) == keys(planner.plan(plain))


def test_a_sweep_may_compare_auto_with_what_it_stands_for() -> None:
    sweep = {"standard": {"precision": {"sweep": ["float32", "auto"]}}}
    line = [{"dataset": "fake", "model": "lenet", "defence": "standard"}]
    plan = planned(constant("bfloat16"), defences=sweep, train=line)
    labels = {
        (cell.coords["standard.precision"], cell.goal.train.defence.precision)  # pyright: ignore[reportAttributeAccessIssue]
        for cell in plan.cells
    }
    assert labels == {("float32", "float32"), ("auto", "bfloat16")}
