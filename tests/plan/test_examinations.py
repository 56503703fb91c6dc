"""Which nets and attacks are examined, and on which images."""

from __future__ import annotations

from typing import Any

import yaml

from invspec.kinds import Sample
from invspec.plan import planner
from invspec.plan.cells import Plan, subject
from invspec.plan.examinations import IMAGES, small
from invspec.plan.parts import MAX_EXAMPLES
from invspec.spec import document, resolve
from invspec.tasks import Examine, Perturb, Score, key, needs

BASE: dict[str, Any] = {
    "title": "toy",
    "seeds": [0, 1],
    "datasets": {"fake": {"test": 5000}},
    "models": {"linear": {}, "mlp": {}},
    "defences": {"standard": {}},
    "attacks": {
        "pgd": {"eps": {"sweep": [0, 0.1, 0.2, 0.3, 0.4]}},
        "square": {"eps": 0.1, "sample": {"limit": 100}},
        "none": {"use": "identity"},
    },
    "measures": {
        "robust": {"use": "robust_accuracy", "of": "pgd"},
        "black": {"use": "robust_accuracy", "of": "square"},
        "clean": {"use": "accuracy", "of": "none"},
        "area": {"use": "area_under_profile", "of": "pgd"},
    },
    "train": [{"dataset": "fake", "model": ["linear", "mlp"], "defence": "standard"}],
    "checks": ["finite", "gradient"],
}


def planned(**changes: Any) -> Plan:
    text = yaml.safe_dump({**BASE, **changes}, sort_keys=False)
    return planner.plan(resolve.resolve(document.parse(text, "x.yaml")))


def test_each_net_and_each_attack_on_it_is_examined_once() -> None:
    found = [(e.check, subject(e, with_dataset=False)) for e in planned().examinations]
    nets = [f"{model}, standard, seed {seed}" for model in ("linear", "mlp") for seed in (0, 1)]
    expected = [("finite", net) for net in nets]
    expected += [("gradient", f"pgd eps 0.3 on {net}") for net in nets]
    assert sorted(found) == sorted(expected)


def test_an_attack_that_searches_nothing_is_not_examined() -> None:
    attacks = {**BASE["attacks"], "pgd": {"eps": {"sweep": [0, 0.0001]}, "steps": 1}}
    (swept,) = {e.swept["pgd.eps"] for e in planned(attacks=attacks).examinations if e.attack}
    assert swept == 0.0001
    attacks["pgd"] = {"eps": 0}
    measures = {name: BASE["measures"][name] for name in ("robust", "black", "clean")}
    alone = planned(attacks=attacks, measures=measures)
    assert {e.attack for e in alone.examinations} == {None}


def test_a_net_that_no_number_rests_on_is_not_examined() -> None:
    line = {**BASE["train"][0], "model": "linear"}
    assert {e.net["model"] for e in planned(train=[line]).examinations} == {"linear"}


def test_examinations_need_no_attack_that_the_cells_do_not_need() -> None:
    plan = planned()
    scores = {part for cell in plan.cells for parts in cell.goal.of for part in parts}
    examined = {part for e in plan.examinations for part in e.goal.of}
    assert examined <= scores


def test_the_parts_hold_the_first_images_alone() -> None:
    (goal,) = {
        e.goal for e in planned(seeds=[0]).examinations if e.attack and e.net["model"] == "mlp"
    }
    assert [part.part for part in goal.of] == [(0, MAX_EXAMPLES)]
    assert goal.images == IMAGES


def test_a_small_examination_attacks_its_images_alone_and_in_the_same_order() -> None:
    examination = next(e for e in planned().examinations if e.attack)
    (part,) = small(examination).goal.of
    chain: list[Perturb] = [part]
    while chain[-1].after is not None:
        chain.append(chain[-1].after)
    assert {task.part for task in chain} == {(0, IMAGES)}
    assert [getattr(task.attack, "eps", None) for task in chain] == [0.3, 0.2, 0.1]


def test_a_check_of_a_net_sees_the_sample_without_targets() -> None:
    attacks = {"nspgd": {"sample": {"limit": 50, "targets": {"each": 1}}}}
    measures = {"success_rate": {"of": "nspgd"}}
    plan = planned(attacks=attacks, measures=measures)
    samples = [e.goal.sample for e in plan.examinations if e.attack is None]
    assert samples == [Sample(limit=50)] * len(samples)
    assert samples


def test_the_order_of_a_spec_does_not_choose_what_is_examined() -> None:
    def backwards(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: backwards(item) for key, item in reversed(value.items())}
        return value[::-1] if isinstance(value, list) else value

    parts = ("attacks", "measures", "models", "checks", "seeds")
    turned = planned(**{part: backwards(BASE[part]) for part in parts})
    assert {key(e.goal) for e in turned.examinations} == {
        key(e.goal) for e in planned().examinations
    }


def test_a_net_is_checked_on_the_largest_sample_of_its_attacks() -> None:
    samples = [e.goal.sample for e in planned().examinations if e.attack is None]
    assert samples == [Sample()] * 4


def test_examinations_come_after_all_scores() -> None:
    tasks = planned().tasks
    kinds = [type(task) for task in tasks]
    assert kinds.index(Examine) > max(i for i, kind in enumerate(kinds) if kind is Score)
    assert not any(isinstance(need, Examine) for task in tasks for need in needs(task))


def test_keys_of_other_tasks_do_not_depend_on_checks() -> None:
    none, some = planned(checks="none"), planned()
    assert none.examinations == ()
    assert set(none.tasks) == {task for task in some.tasks if not isinstance(task, Examine)}


def test_an_examination_has_a_name() -> None:
    plan = planned()
    names = {plan.names[e.goal] for e in plan.examinations}
    assert "check finite of linear, standard, seed 0" in names
    assert "check gradient of pgd eps 0.3 on mlp, standard, seed 1" in names
    assert len(names) == len(plan.examinations)


ORACLE: dict[str, Any] = {
    "attacks": {"metamer": {"sample": {"limit": 20, "targets": {"each": 1}}}},
    "models": {"rev": {"use": "linear"}, "mlp": {}},
    "measures": {"label": {"use": "metamer_label", "of": "metamer"}},
    "train": [{"dataset": "fake", "model": "rev", "defence": "standard"}],
    "checks": ["finite", "unbounded"],
}


def test_an_oracle_is_checked_for_what_doubts_everything() -> None:
    oracle = {"model": "mlp", "defence": "standard"}
    measures = {"label": {"use": "metamer_label", "of": "metamer", "oracle": oracle}}
    found = planned(**{**ORACLE, "measures": measures}, seeds=[0]).examinations
    assert sorted((e.check, e.net["model"]) for e in found) == [
        ("finite", "mlp"),
        ("finite", "rev"),
        ("unbounded", "rev"),
    ]
