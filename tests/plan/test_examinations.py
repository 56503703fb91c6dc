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


# ─ worst cases, transfer attacks, and what others make ────────────────────────────────────────


def checked(plan: Plan, check: str) -> list[str]:
    return [subject(e, with_dataset=False) for e in plan.examinations if e.check == check]


def test_each_attack_of_a_worst_case_is_examined() -> None:
    measures = {"worst": {"use": "robust_accuracy", "of": ["pgd", "apgd"]}}
    attacks = {"pgd": {"eps": 0.1}, "apgd": {"eps": 0.1}}
    plan = planned(attacks=attacks, measures=measures, train=[ONE], seeds=[0])
    assert checked(plan, "gradient") == [
        "pgd on linear, standard, seed 0",
        "apgd on linear, standard, seed 0",
    ]


ONE = {"dataset": "fake", "model": "linear", "defence": "standard"}
MOVED = {"moved": {"use": "pgd", "eps": 0.1, "from": {"model": "mlp", "defence": "standard"}}}


def moved(**changes: Any) -> Plan:
    measures = {"robust": {"use": "robust_accuracy", "of": "moved"}}
    usual: dict[str, Any] = {"attacks": MOVED, "measures": measures, "train": [ONE], "seeds": [0]}
    return planned(**{**usual, **changes})


def test_a_transfer_attack_is_examined_where_it_makes_its_images() -> None:
    plan = moved(checks=["gradient", "budget", "finite_attacked", "reach"])
    on_source = ["moved on mlp, standard, seed 0"]
    assert checked(plan, "gradient") == checked(plan, "budget") == on_source
    # only the judged net says whether it answers these images
    assert checked(plan, "finite_attacked") == ["moved on linear, standard, seed 0", *on_source]


def test_the_source_of_a_transfer_attack_is_checked_as_a_net() -> None:
    plan = moved(checks=["unbounded", "finite"])
    nets = ["linear, standard, seed 0", "mlp, standard, seed 0"]
    assert sorted(checked(plan, "unbounded")) == sorted(checked(plan, "finite")) == nets


def test_examining_a_transfer_attack_adds_no_attack() -> None:
    plan = moved(checks=["default"])
    alone = moved(checks="none")
    assert {task for task in plan.tasks if not isinstance(task, Examine)} == set(alone.tasks)


def test_a_small_examination_of_a_transfer_attack_makes_few_images() -> None:
    plan = moved(checks=["finite_attacked"])
    (examination,) = [e for e in plan.examinations if e.net["model"] == "linear"]
    (part,) = small(examination).goal.of
    assert part.source is not None
    assert part.part == part.source.part == (0, IMAGES)


FIVE = {
    name: {"use": "mlp", "hidden": [width]}
    for name, width in zip("abcde", (4, 5, 6, 7, 8), strict=True)
}


def compared(**changes: Any) -> Plan:
    line = {**ONE, "model": list(FIVE)}
    usual: dict[str, Any] = {"models": FIVE, "train": [line], "checks": ["transfer"]}
    return planned(**{**usual, **changes})


def test_an_attack_is_compared_with_itself_on_three_other_nets_of_its_seed() -> None:
    examinations = compared().examinations
    # square has a ball as well; the identity attack and the sweep's other values have no part in it
    assert {e.attack for e in examinations} == {"pgd", "square"}
    assert len(examinations) == 5 * 2 * 2
    for examination in examinations:
        goal = examination.goal
        assert len(goal.others) == 3
        for (part,) in goal.others:
            assert part.attack == goal.of[0].attack
            assert part.train != goal.train
            assert part.train.seed == goal.train.seed
        assert set(needs(goal)) >= {part for (part,) in goal.others}


def test_one_net_has_no_other_to_be_compared_with() -> None:
    assert compared(train=[{**ONE, "model": "a"}]).examinations == ()


def test_nets_under_other_attacks_are_no_comparison() -> None:
    measures = {"robust": BASE["measures"]["robust"], "black": BASE["measures"]["black"]}
    lines = [
        {**ONE, "model": "a", "measures": "robust"},
        {**ONE, "model": "b", "measures": "black"},
    ]
    assert compared(measures=measures, train=lines).examinations == ()


def test_comparing_nets_adds_no_attack() -> None:
    plan, alone = compared(), compared(checks="none")
    assert {task for task in plan.tasks if not isinstance(task, Examine)} == set(alone.tasks)
    (others,) = {len(parts) for e in plan.examinations for parts in small(e).goal.others}
    assert others == 1


def test_the_order_of_nets_does_not_choose_with_which_one_is_compared() -> None:
    backwards = [{**ONE, "model": list(FIVE)[::-1]}]
    keys = [
        {key(e.goal) for e in plan.examinations} for plan in (compared(), compared(train=backwards))
    ]
    assert keys[0] == keys[1]


def test_a_transfer_attack_is_not_compared() -> None:
    assert [e.net["model"] for e in moved(checks=["transfer"]).examinations] == []
