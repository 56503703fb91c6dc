"""Seeds of a data set: trainings on it have them in place of the spec's."""

from __future__ import annotations

from typing import Any

import pytest
from plan_toys import BASE, planned

from invspec.errors import SpecError
from invspec.plan.cells import Plan
from invspec.registry import catalogue
from invspec.spec import document, resolve
from invspec.tasks import Train

DATASETS: dict[str, Any] = {"fake": {}, "small": {"use": "fake", "test": 64, "seeds": [7, 3]}}


def spec(**changes: Any) -> Plan:
    line = {"dataset": ["fake", "small"], "model": "linear", "defence": "standard"}
    return planned(**{"datasets": DATASETS, "train": [line], "seeds": [0], **changes})


def seeds_by_dataset(plan: Plan) -> dict[str, list[int]]:
    seeds: dict[str, list[int]] = {}
    for cell in plan.cells:
        if cell.coords["measure"] == "clean":
            seeds.setdefault(str(cell.coords["dataset"]), []).append(int(cell.coords["seed"]))
    return seeds


def test_trainings_on_a_data_set_have_its_seeds() -> None:
    plan = spec()
    assert seeds_by_dataset(plan) == {"fake": [0], "small": [7, 3]}
    assert sorted(task.seed for task in plan.tasks if isinstance(task, Train)) == [0, 3, 7]
    assert plan.spec.seeds_by_dataset == {"fake": (0,), "small": (7, 3)}


def test_without_them_the_seeds_are_those_of_the_spec() -> None:
    plan = spec(datasets={"fake": {}, "small": {"use": "fake", "test": 64}}, seeds=[1, 2])
    assert seeds_by_dataset(plan) == {"fake": [1, 2], "small": [1, 2]}


def test_seeds_of_a_data_set_that_nothing_is_trained_on_do_not_count() -> None:
    assert spec(train=BASE["train"]).spec.seeds_by_dataset == {"fake": (0,)}


def test_the_oracle_of_a_net_has_its_seed() -> None:
    measure = {"use": "metamer_label", "of": "walk", "oracle": {"model": "mlp", "defence": "other"}}
    plan = spec(
        models={"linear": {}, "mlp": {}},
        defences={"standard": {}, "other": {"use": "standard", "lr": 0.5}},
        attacks={"walk": {"use": "nspgd", "sample": {"limit": 8, "targets": {"each": 1}}}},
        measures={"shown": measure},
    )
    pairs = {(cell.goal.train.seed, getattr(cell.goal.oracle, "seed", None)) for cell in plan.cells}
    assert pairs == {(0, 0), (7, 7), (3, 3)}


def test_a_smoke_run_has_the_first_seed_of_each() -> None:
    smoke = spec(seeds=[4, 5]).spec.smoke()
    assert (smoke.seeds_on("fake"), smoke.seeds_on("small")) == ((4,), (7,))


def test_too_many_cells_are_counted_with_the_seeds_of_the_data_set() -> None:
    many = {"fake": {}, "small": {"use": "fake", "seeds": list(range(150_000))}}
    with pytest.raises(SpecError, match="expected at most 200,000 cells, found 300,002"):
        spec(datasets=many)


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "datasets.fake.seeds"),
        ([1, 1], "expected distinct seeds, found duplicate seed 1"),
        ([-1], "datasets.fake.seeds"),
        (3, "datasets.fake.seeds"),
    ],
)
def test_wrong_seeds_are_refused(seeds: object, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        planned(datasets={"fake": {"seeds": seeds}})


def test_the_key_belongs_to_data_sets() -> None:
    models = {"linear": {"seeds": [0]}}
    with pytest.raises(SpecError, match="`seeds` is a key of datasets, found it in models"):
        resolve.resolve(document.Document("x.yaml", {**BASE, "models": models}))


def test_editors_know_the_key() -> None:
    assert catalogue.frame()["entries"]["datasets"]["seeds"]["type"] == "array"
