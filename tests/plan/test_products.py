"""Cells of several attacks in place of one, of transfer attacks, and of nets that are compared."""

from __future__ import annotations

from typing import Any

import pytest
from plan_toys import BASE, planned

from invspec.plan import layouts, validation
from invspec.tasks import Perturb, Train, key, needs

SWEEP = {"sweep": [0.1, 0.2]}
THREE = {label: {"eps": SWEEP} for label in ("pgd", "apgd", "square")}
WORST = {"robust": {"use": "accuracy", "of": ["pgd", "apgd", "square"]}}


def test_the_worst_of_several_attacks_is_one_score_for_each_value_of_their_sweep() -> None:
    plan = planned(attacks=THREE, measures=WORST)
    assert [dict(cell.coords) for cell in plan.cells] == [
        {
            "dataset": "fake",
            "model": "linear",
            "defence": "standard",
            "attack": "worst of pgd, apgd, square",
            "pgd.eps": eps,
            "measure": "robust",
            "seed": 0,
        }
        for eps in (0.1, 0.2)
    ]
    assert [cell.goal.worst_of for cell in plan.cells] == [3, 3]
    for cell, eps in zip(plan.cells, (0.1, 0.2), strict=True):
        assert [parts[0].attack.eps for parts in cell.goal.of] == [eps] * 3  # pyright: ignore[reportAttributeAccessIssue]


def test_a_measure_of_a_sweep_reads_the_worst_at_each_value() -> None:
    measures = {"area": {"use": "area_under_profile", "of": ["pgd", "apgd", "square"]}}
    plan = planned(attacks=THREE, measures=measures)
    (cell,) = plan.cells
    labels = [type(parts[0].attack).__name__ for parts in cell.goal.of]
    assert labels == ["PGD", "APGD", "Square"] * 2
    assert cell.goal.worst_of == 3
    assert plan.names[cell.goal.of[4][0]].startswith("apgd eps 0.2 0-128 on linear, standard")


def test_attacks_in_place_of_one_share_their_tasks_with_measures_of_one() -> None:
    single = {"alone": {"use": "accuracy", "of": "pgd"}}
    together, alone = (
        planned(attacks=THREE, measures={**WORST, **single}),
        planned(attacks=THREE, measures=single),
    )
    assert {key(task) for task in alone.tasks} < {key(task) for task in together.tasks}


def test_one_axis_of_several_attacks_is_one_coordinate_of_tables_and_claims() -> None:
    trend = {"measure": "robust", "along": "pgd.eps"}
    plan = planned(
        attacks=THREE, measures=WORST, claims=[{"says": "it", "trend": trend, "expect": "falling"}]
    )
    validation.check(plan)
    (layout,) = layouts.layouts(plan)
    assert layouts.arrange(plan, layout, [cell.coords for cell in plan.cells]) == ((), "pgd.eps")


# ─ transfer ───────────────────────────────────────────────────────────────────────────────────

NETS: dict[str, Any] = {
    "models": {"linear": {}, "mlp": {}},
    "attacks": {"moved": {"use": "pgd", "from": {"model": "mlp", "defence": "standard"}}},
    "measures": {"robust": {"use": "accuracy", "of": "moved"}},
    "seeds": [0, 1],
}


def test_a_transfer_attack_is_made_on_its_source_and_judged_on_the_net() -> None:
    plan = planned(**NETS)
    for cell in plan.cells:
        ((part,),) = cell.goal.of
        assert isinstance(part.source, Perturb)
        assert needs(part) == (part.train, part.source)
        assert type(part.source.train.model).__name__ == "MLP"
        assert (part.source.train.dataset, part.source.train.seed) == (
            part.train.dataset,
            part.train.seed,
        )
        seed = cell.coords["seed"]
        assert plan.names[part.source.train] == f"train mlp, standard, seed {seed}"
        assert plan.names[part.source] == f"moved 0-128 on mlp, standard, seed {seed}"
        assert plan.names[part] == (
            f"moved 0-128 from mlp, standard on linear, standard, seed {seed}"
        )


def test_on_its_source_a_transfer_attack_is_an_attack() -> None:
    both = {"train": [{**BASE["train"][0], "model": ["linear", "mlp"]}]}
    plan = planned(**NETS, **both)
    here = planned(**{**NETS, "attacks": {"moved": {"use": "pgd"}}}, **both)
    own = [cell.goal for cell in plan.cells if cell.coords["model"] == "mlp"]
    assert [goal.of[0][0].source for goal in own] == [None, None]
    assert {key(goal) for goal in own} < {key(cell.goal) for cell in here.cells}
    assert sum(isinstance(task, Train) for task in plan.tasks) == 4


def test_values_of_a_sweep_share_work_on_the_source_alone() -> None:
    attacks = {"moved": {**NETS["attacks"]["moved"], "eps": SWEEP}}
    parts = [cell.goal.of[0][0] for cell in planned(**{**NETS, "attacks": attacks}).cells]
    assert [part.after for part in parts] == [None] * 4
    for smaller, larger in zip(parts[::2], parts[1::2], strict=True):
        assert larger.source is not None
        assert larger.source.after == smaller.source


# ─ images that all nets classify correctly ────────────────────────────────────────────────────


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_the_nets_under_a_measure_are_compared_seed_by_seed(seeds: list[int]) -> None:
    plan = planned(
        seeds=seeds,
        models={"linear": {}, "mlp": {}, "lenet": {}},
        measures={
            "fooled": {"use": "fooling_rate", "of": "pgd", "correct_in_all": True},
            "alone": {"use": "fooling_rate", "of": "pgd"},
        },
        train=[
            {**BASE["train"][0], "model": ["linear", "mlp"]},
            {**BASE["train"][0], "model": "lenet", "measures": "alone"},
        ],
    )
    for cell in plan.cells:
        common = cell.goal.correct_in
        if cell.coords["measure"] == "alone":
            assert common is None
            continue
        assert common is not None
        assert [type(parts[0].train.model).__name__ for parts in common] == ["Linear", "MLP"]
        assert {parts[0].train.seed for parts in common} == {cell.coords["seed"]}
        assert cell.goal.of[0] in common
    alone = planned(seeds=seeds, models={"linear": {}, "mlp": {}, "lenet": {}}, measures={
        "alone": {"use": "fooling_rate", "of": "pgd"}
    }, train=[{**BASE["train"][0], "model": ["linear", "mlp", "lenet"]}])  # fmt: skip
    attacks = [task for task in plan.tasks if isinstance(task, Perturb)]
    assert {key(task) for task in attacks} == {
        key(task) for task in alone.tasks if isinstance(task, Perturb)
    }
