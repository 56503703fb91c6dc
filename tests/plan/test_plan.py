"""From a spec to cells and tasks."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_toys import BASE, planned

from invspec import tasks
from invspec.attacks.fixed_transforms import FixedRotation
from invspec.errors import SpecError
from invspec.plan import planner, validation
from invspec.plan.parts import MAX_EXAMPLES
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Score, Train, draw_name, key, needs

# ─ cells ──────────────────────────────────────────────────────────────────────────────


def test_the_coordinates_of_a_cell_are_labels() -> None:
    cells = planned(seeds=[5]).cells
    fixed = {"dataset": "fake", "model": "linear", "defence": "standard", "seed": 5}
    assert [dict(cell.coords) for cell in cells] == [
        {**fixed, "measure": "accuracy", "attack": "pgd"},
        {**fixed, "measure": "clean", "attack": "none"},
    ]


def test_swept_values_are_coordinates_of_their_cells() -> None:
    cells = planned(attacks={**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2]}}}).cells
    assert [(cell.coords["measure"], cell.coords.get("pgd.eps")) for cell in cells] == [
        ("accuracy", 0.1),
        ("accuracy", 0.2),
        ("clean", None),
    ]


counts = st.integers(1, 3)


@settings(deadline=None, derandomize=True, database=None, max_examples=40)
@given(seeds=counts, eps=counts, steps=counts, epochs=counts, tests=counts, lines=counts)
def test_the_sizes_of_sweeps_seeds_and_lists_multiply(
    seeds: int, eps: int, steps: int, epochs: int, tests: int, lines: int
) -> None:
    def sweep(size: int, unit: float = 1) -> dict[str, Any]:
        return {"sweep": [unit * (number + 1) for number in range(size)]}

    result = planned(
        seeds=list(range(seeds)),
        datasets={"fake": {"test": sweep(tests)}},
        defences={
            f"d{number}": {"use": "standard", "epochs": sweep(epochs)} for number in range(lines)
        },
        attacks={
            "pgd": {"eps": sweep(eps, 0.1), "steps": sweep(steps)},
            "none": {"use": "identity"},
        },
        train=[
            {"dataset": "fake", "model": "linear", "defence": f"d{number}"}
            for number in range(lines)
        ],
    )
    trained = lines * seeds * tests * epochs
    assert len(result.cells) == trained * (eps * steps + 1)
    kinds = Counter(type(task) for task in result.tasks)
    shared = 1 if lines > 0 else 0  # all lines train the same methods under other labels
    assert kinds == {
        Train: trained // lines * shared,
        **dict.fromkeys((Perturb, Score), trained // lines * (eps * steps + 1)),
    }


def test_no_two_cells_share_their_coordinates() -> None:
    result = planned(
        seeds=[0, 1], attacks={**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2]}}}
    )
    assert len({tuple(sorted(cell.coords.items())) for cell in result.cells}) == len(result.cells)


def test_train_lines_that_overlap_give_a_cell_once() -> None:
    once, twice = planned(), planned(train=BASE["train"] * 2)
    assert [cell.coords for cell in twice.cells] == [cell.coords for cell in once.cells]


def test_a_train_line_may_restrict_what_is_measured_on_it() -> None:
    cells = planned(train=[{**BASE["train"][0], "measures": "clean"}]).cells
    assert [cell.coords["measure"] for cell in cells] == ["clean"]


def test_coordinates_are_listed_in_the_order_of_the_spec() -> None:
    result = planned(
        seeds=[3, 1], attacks={**BASE["attacks"], "pgd": {"eps": {"sweep": [0.2, 0.1]}}}
    )
    assert result.coordinates("accuracy")["pgd.eps"] == [0.2, 0.1]
    assert result.coordinates()["seed"] == [3, 1]
    assert "pgd.eps" not in result.coordinates("clean")


# ─ tasks ──────────────────────────────────────────────────────────────────────────────


def test_every_task_comes_once_and_after_the_tasks_that_it_needs() -> None:
    result = planned(
        seeds=[0, 1], attacks={**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2]}}}
    )
    place = {task: position for position, task in enumerate(result.tasks)}
    assert len(place) == len(result.tasks)
    assert all(place[need] < place[task] for task in result.tasks for need in needs(task))
    assert {cell.goal for cell in result.cells} == {
        task for task in result.tasks if isinstance(task, Score)
    }


def test_one_training_serves_every_attack_and_one_attack_every_measure() -> None:
    measures = {"accuracy": {"of": "pgd"}, "fooling": {"use": "fooling_rate", "of": "pgd"}}
    kinds = Counter(type(task) for task in planned(measures=measures).tasks)
    assert kinds == {Train: 1, Perturb: 1, Score: 2}


@pytest.mark.parametrize(
    ("test", "sample", "parts"),
    [
        (3, {}, [(0, 3)]),
        (
            2 * MAX_EXAMPLES + 1,
            {},
            [
                (0, MAX_EXAMPLES),
                (MAX_EXAMPLES, 2 * MAX_EXAMPLES),
                (2 * MAX_EXAMPLES, 2 * MAX_EXAMPLES + 1),
            ],
        ),
        (2 * MAX_EXAMPLES, {}, [(0, MAX_EXAMPLES), (MAX_EXAMPLES, 2 * MAX_EXAMPLES)]),
        (5 * MAX_EXAMPLES, {"limit": 10}, [(0, 10)]),
        (5 * MAX_EXAMPLES, {"per_class": 201}, [(0, MAX_EXAMPLES), (MAX_EXAMPLES, 2010)]),
        (7, {"per_class": 201}, [(0, 7)]),
    ],
)
def test_long_attacks_are_cut_into_parts(
    test: int, sample: dict[str, Any], parts: list[tuple[int, int]]
) -> None:
    result = planned(
        datasets={"fake": {"test": test}},
        attacks={"pgd": {"sample": sample}},
        measures={"accuracy": {"of": "pgd"}},
    )
    assert [task.part for task in result.tasks if isinstance(task, Perturb)] == parts


def test_parts_of_large_images_hold_fewer_examples() -> None:
    result = planned(
        datasets={"fake": {"shape": [3, 224, 224], "test": 900}},
        measures={"accuracy": {"of": "pgd"}},
    )
    parts = [task.part for task in result.tasks if isinstance(task, Perturb)]
    assert parts == [(0, 445), (445, 890), (890, 900)]


@pytest.mark.parametrize(
    ("pairs", "settings", "parts"),
    [
        (199, {"keep_path": True, "steps": 1000}, [(0, 199)]),
        (450, {"keep_path": True, "steps": 1000}, [(0, 200), (200, 400), (400, 450)]),
        (450, {"keep_path": True, "steps": 100}, [(0, 450)]),
        (450, {"keep_path": False}, [(0, 450)]),
        (3, {"keep_path": True, "steps": 500_000}, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_parts_with_paths_fit_into_memory(
    pairs: int, settings: dict[str, Any], parts: list[tuple[int, int]]
) -> None:
    result = planned(
        datasets={"fake": {"shape": [3, 32, 32], "test": pairs}},
        attacks={"nspgd": {**settings, "sample": {"targets": {"each": 1}}}},
        measures={"success_rate": {"of": "nspgd"}},
    )
    assert [task.part for task in result.tasks if isinstance(task, Perturb)] == parts


def test_precision_is_in_keys_of_attacks_and_not_of_trainings() -> None:
    item, other = planned(), planned(precision="bfloat16")
    assert [key(task) for task in item.tasks if isinstance(task, Train)] == [
        key(task) for task in other.tasks if isinstance(task, Train)
    ]
    assert all(task.precision == "bfloat16" for task in other.tasks if isinstance(task, Perturb))


@pytest.mark.parametrize(("limit", "refused"), [(1_000, False), (2_000 * 2_000_000 + 1, True)])
def test_more_parts_than_can_be_planned_are_refused(limit: int, refused: bool) -> None:
    changes: dict[str, Any] = {
        "datasets": {"fake": {"test": 10**12}},
        "attacks": {"pgd": {"sample": {"limit": limit}}},
    }
    if refused:
        with pytest.raises(
            SpecError, match=r"found more: 4,000,000,001 examples in each of 1 cells"
        ):
            planned(**changes, measures={"accuracy": {"of": "pgd"}})
    else:
        assert len(planned(**changes, measures={"accuracy": {"of": "pgd"}}).tasks) == 3


# ─ transforms before an attack ────────────────────────────────────────────────────────

TURNED = {
    "attacks": {
        "pgd": {
            "eps": {"sweep": [0.1, 0.2]},
            "before": {"use": "random_rotation", "max_degrees": {"sweep": [0, 60]}},
        }
    },
    "measures": {"accuracy": {"of": "pgd"}},
}


def test_values_of_a_sweep_share_results_on_the_same_images_alone() -> None:
    attacks = [task for task in planned(**TURNED).tasks if isinstance(task, Perturb)]
    chained = [task for task in attacks if task.after is not None]
    assert (len(attacks), len(chained)) == (4, 2)
    assert all(task.after and task.after.before == task.before for task in chained)


def test_a_transform_is_in_the_name_and_the_coordinates_of_its_attack() -> None:
    plan = planned(**TURNED)
    assert plan.coordinates()["pgd.before.max_degrees"] == [0, 60]
    names = plan.names.values()
    assert any(name.startswith("pgd eps 0.1 before.max_degrees 60 0-") for name in names)


def test_a_transfer_attack_passes_its_transform_on() -> None:
    source = {"model": "linear", "defence": "standard"}
    plan = planned(
        models={"linear": {}, "lenet": {}},
        attacks={"pgd": {"from": source, "before": {"use": "fixed_rotation"}}},
        measures={"accuracy": {"of": "pgd"}},
        train=[{"dataset": "fake", "model": "lenet", "defence": "standard"}],
    )
    made, moved = (task for task in plan.tasks if isinstance(task, Perturb))
    assert moved.source == made
    assert moved.before == made.before == FixedRotation()


def test_the_noise_of_an_attack_is_that_without_a_transform() -> None:
    plain = planned(attacks={"pgd": {}}, measures=TURNED["measures"])
    turned = planned(**TURNED)
    names = {
        draw_name(task)
        for plan in (plain, turned)
        for task in plan.tasks
        if isinstance(task, Perturb)
    }
    assert len(names) == 1


# ─ identity ───────────────────────────────────────────────────────────────────────────

RICH: dict[str, Any] = yaml.safe_load("""
title: rich
paper: madry2018
seeds: [0, 1]
datasets: {fake: {test: 20, train: 30}}
models: {linear: {}, stdcnn: {}}
defences:
  plain: {use: standard, epochs: 2, lr: 1e-3}
  madry:
    use: adversarial_training
    epochs: 3
    attack: {use: pgd, eps: {sweep: [0.1, 0.2]}, steps: 3}
attacks:
  pgd: {eps: {sweep: [8/255, 0.1]}, steps: 5, sample: {split: val, limit: 10}}
  turn: {use: random_rotation, max_degrees: 30}
measures:
  accuracy: {of: [pgd]}
  invariance: {use: rate_of_invariance, of: turn}
train:
  - {dataset: fake, model: [linear, stdcnn], defence: [plain, madry]}
claims:
  - {says: so, value: {measure: invariance, over: {seed: mean}}, expect: {value: {above: 0}}}
""")


def keys_of(values: dict[str, Any]) -> set[str]:
    return {
        key(task)
        for task in planner.plan(resolve.resolve(document.Document("x.yaml", values))).tasks
    }


KEYS = keys_of(RICH)


def shuffled(draw: st.DrawFn, value: Any, path: tuple[Any, ...] = ()) -> Any:
    """The same keys in another order, and so the lists in which order means nothing."""
    if isinstance(value, dict):
        items = draw(st.permutations(list(cast(dict[str, Any], value).items())))
        return {name: shuffled(draw, item, (*path, name)) for name, item in items}
    if isinstance(value, list):
        items = [
            shuffled(draw, item, (*path, number))
            for number, item in enumerate(cast(list[Any], value))
        ]
        is_set = path[-1] in ("seeds", "sweep", "train", "model", "defence", "dataset")
        return draw(st.permutations(items)) if is_set else items
    return value


@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(st.data())
def test_the_order_in_which_a_spec_is_written_changes_no_key(data: st.DataObject) -> None:
    assert keys_of(data.draw(st.composite(shuffled)(RICH))) == KEYS


IRRELEVANT = {
    "title": ("title", "another"),
    "paper": ("paper", None),
    "claims": ("claims", []),
    "report": ("report", [{"of": "accuracy"}]),
    "scales": ("scales", {"laptop": {"seeds": [7]}}),
    "a default that is written out": ("attacks.turn.interpolation", "bilinear"),
    "another spelling of a number": ("attacks.turn.max_degrees", 30.0),
    "another name of the same class": ("measures.accuracy.use", "robust_accuracy"),
}


@pytest.mark.parametrize(("dotted", "value"), IRRELEVANT.values(), ids=IRRELEVANT)
def test_settings_that_change_no_number_change_no_key(dotted: str, value: Any) -> None:
    changed = document.Document("x.yaml", RICH).overlay(dotted, value, "here")
    assert keys_of(changed.values) == KEYS


def test_labels_change_no_key() -> None:
    text = json.dumps(RICH).replace('"turn"', '"spin"').replace('"madry"', '"robust"')
    assert keys_of(json.loads(text)) == KEYS


RELEVANT: dict[str, tuple[str, Any, tuple[type, ...]]] = {
    "seeds": ("seeds", [2, 3], (Train, Perturb, Score)),
    "a field of the data set": ("datasets.fake.seed", 1, (Train, Perturb, Score)),
    "a field of a model": ("models.linear", {"use": "lenet"}, ()),
    "a sweep inside a defence": ("defences.madry.attack.eps.sweep", [0.3, 0.4], ()),
    "a field inside a defence": ("defences.madry.attack.loss", "margin", ()),
    "a field of an attack": ("attacks.pgd.steps", 6, ()),
    "the split of a sample": ("attacks.pgd.sample.split", "test", ()),
    "the size of a sample": ("attacks.pgd.sample.limit", 9, ()),
    "precision": ("precision", "bfloat16", (Perturb, Score)),
    "a field of a measure": ("measures.accuracy.clean", True, ()),
}


@pytest.mark.parametrize(("dotted", "value", "all_of"), RELEVANT.values(), ids=RELEVANT)
def test_settings_that_can_change_a_number_change_keys(
    dotted: str, value: Any, all_of: tuple[type, ...]
) -> None:
    changed = document.Document("x.yaml", RICH).overlay(dotted, value, "here")
    result = planner.plan(resolve.resolve(changed))
    new = [task for task in result.tasks if key(task) not in KEYS]
    assert new
    assert not [task for task in result.tasks if isinstance(task, all_of) and task not in new]


def test_smoke_shares_no_key_with_the_real_run() -> None:
    full = planned(datasets={"mnist": {}}, train=[{**BASE["train"][0], "dataset": "mnist"}])
    small = planner.plan(full.spec.smoke())
    assert not {key(task) for task in full.tasks} & {key(task) for task in small.tasks}
    assert [cell.coords for cell in small.cells] == [cell.coords for cell in full.cells]


def test_keys_differ_between_all_tasks_of_a_plan() -> None:
    tasks = planner.plan(resolve.resolve(document.Document("x.yaml", RICH))).tasks
    assert len({key(task) for task in tasks}) == len(tasks)


# ─ methods that do not fit ────────────────────────────────────────────────────────────


def complaint(**changes: Any) -> str:
    result = planned(**changes)
    with pytest.raises(SpecError) as caught:
        validation.check(result)
    return str(caught.value)


def test_methods_that_fit_are_accepted() -> None:
    models = ["linear", "stdcnn"]
    result = planned(
        models={"linear": {}, "stdcnn": {}}, train=[{**BASE["train"][0], "model": models}]
    )
    validation.check(result)
    assert result.coordinates()["model"] == models


def test_only_attacks_that_a_line_measures_must_fit_its_models() -> None:
    attacks = {**BASE["attacks"], "standardised": {"use": "pgd_kamath"}}
    measures = {**BASE["measures"], "other": {"use": "accuracy", "of": "standardised"}}
    line = {**BASE["train"][0], "measures": ["accuracy"]}
    models = {"linear": {}, "stdcnn": {}}
    validation.check(
        planned(
            attacks=attacks,
            measures=measures,
            models=models,
            train=[line, {**BASE["train"][0], "model": "stdcnn"}],
        )
    )
    message = complaint(
        attacks=attacks,
        measures=measures,
        models=models,
        train=[line, {**line, "measures": ["other"]}],
    )
    assert message.startswith(
        "x.yaml: train.1: attack standardised does not fit model linear\n"
        "hint: it needs a model that"
    )


def test_the_attack_of_a_defence_must_fit_its_models() -> None:
    message = complaint(
        defences={"standard": {"use": "adversarial_training", "attack": {"use": "pgd_kamath"}}}
    )
    assert message.startswith(
        "x.yaml: train.0: attack of defence standard does not fit model linear\nhint: it needs"
    )


ORACLE = {"use": "semantic_share", "of": "pgd", "oracle": {"model": "judge", "defence": "quick"}}


def test_an_oracle_is_trained_on_the_same_data_from_the_same_seed() -> None:
    result = planned(
        seeds=[3, 4],
        models={"linear": {}, "judge": {"use": "mlp"}},
        defences={"standard": {}, "quick": {"use": "standard", "epochs": 1}},
        measures={"shown": ORACLE},
    )
    validation.check(result)
    for cell in result.cells:
        oracle = cell.goal.oracle
        assert oracle is not None
        assert oracle in needs(cell.goal)
        assert (oracle.dataset, oracle.seed) == (cell.goal.train.dataset, cell.goal.train.seed)
        assert (type(oracle.model).__name__, cast(Any, oracle.defence).epochs) == ("MLP", 1)
        assert result.names[oracle] == f"train the oracle of shown, seed {oracle.seed}"
    assert Counter(type(task) for task in result.tasks) == {Train: 4, Perturb: 2, Score: 2}


def test_an_oracle_must_fit_the_data() -> None:
    models = {"linear": {}, "judge": {"use": "sign_first"}}  # which tells two classes apart
    message = complaint(
        models=models,
        defences={"standard": {}, "quick": {"use": "untrained"}},
        measures={"shown": ORACLE},
    )
    assert message.startswith(
        "x.yaml: measures.shown.oracle: the oracle of measure shown: judge on fake: SignClassifier"
    )


@pytest.mark.parametrize(
    ("quick", "told"),
    [
        (
            {"use": "independence_ce"},
            "defence quick does not fit model judge\nhint: it needs a model that is a bijection",
        ),
        (
            {"use": "adversarial_training", "attack": {"use": "metamer", "partner": "self"}},
            "attack of defence quick does not fit model judge\n"
            "hint: it needs a model that is a bijection",
        ),
        (
            {"use": "adversarial_training", "attack": {"use": "nspgd"}},
            "the attack of defence quick needs a target, and training has none",
        ),
    ],
)
def test_an_oracles_training_must_fit_it(quick: dict[str, Any], told: str) -> None:
    models, defences = {"linear": {}, "judge": {"use": "mlp"}}, {"standard": {}, "quick": quick}
    result = complaint(models=models, defences=defences, measures={"shown": ORACLE})
    assert result.startswith(f"x.yaml: measures.shown.oracle: the oracle of measure shown: {told}")


def test_a_file_that_a_method_reads_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And retraining it asks for new tasks, of its methods alone."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    attacks = {**BASE["attacks"], "pgd": {"use": "lpa", "distance": "laidlaw_alexnet_cifar"}}
    message = complaint(
        models={"stdcnn": {}}, train=[{**BASE["train"][0], "model": "stdcnn"}], attacks=attacks
    )
    assert message.startswith("x.yaml: attacks.pgd: no weights of alexnet_cifar found")
    (tmp_path / "weights").mkdir()
    keys: list[set[str]] = []
    for content in (b"once", b"retrained"):
        (tmp_path / "weights" / "alexnet_cifar.safetensors").write_bytes(content)
        tasks.forget()
        keys.append({tasks.key(task) for task in planned(attacks=attacks).tasks})
    assert (
        len(keys[0] - keys[1]) == 2
    )  # the attack and its score; not the training, nor what is of clean images


def test_a_measure_of_a_sweep_needs_one() -> None:
    message = complaint(measures={"area": {"use": "area_under_profile", "of": "pgd"}})
    assert message.startswith(
        "x.yaml: train.0: measure area needs a sweep, found none in attack pgd\nhint: sweep"
    )


@pytest.mark.parametrize("size", [10**10, 10**20], ids=["more than memory", "more than 64 bits"])
def test_gigantic_images_are_refused_without_building_a_model(size: int) -> None:
    message = complaint(datasets={"fake": {"shape": [1, size, size]}})
    assert message.startswith("x.yaml: train.0.model: linear on fake: ")
    assert message.endswith(f"\nhint: its images are 1x{size}x{size}")


def test_a_model_with_another_number_of_logits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import nn

    from invspec.models.linear import Linear

    monkeypatch.setattr(
        Linear, "build", lambda self, shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(784, 7))
    )
    assert (
        complaint()
        == "x.yaml: train.0.model: linear on fake: expected 10 logits, one per class, found 7"
    )


def test_products_of_labels_are_checked_pair_by_pair() -> None:
    changes: dict[str, Any] = {
        "datasets": {"fake": {}, "small": {"use": "fake", "shape": [1, 8, 8]}},
        "models": {"linear": {}, "stdcnn": {}},
    }
    for data, model in itertools.product(("fake", "small"), ("linear", "stdcnn")):
        line = {"dataset": data, "model": model, "defence": "standard"}
        if (data, model) == ("small", "stdcnn"):
            assert "stdcnn on small: StdCNN needs images of at least 16x16" in complaint(
                **changes, train=[line]
            )
        else:
            validation.check(planned(**changes, train=[line]))


def test_tasks_are_named_in_the_words_of_the_spec():
    text = """
title: toy
datasets: {fake: {shape: [1, 4, 4], classes: 3, test: 20}}
models: {net: {use: linear}}
defences: {turned: {use: rotation_augmentation, max_degrees: {sweep: [0, 60]}}}
attacks: {pgd: {eps: {sweep: [0.1]}}}
measures: {accuracy: {of: pgd}}
checks: none
train: [{dataset: fake, model: net, defence: turned}]
"""
    names = planner.plan(resolve.resolve(document.parse(text, "toy.yaml"))).names
    assert list(names.values())[3:] == [
        "train net, turned max_degrees 60, seed 0",
        "pgd eps 0.1 0-20 on net, turned max_degrees 60, seed 0",
        "accuracy on net, turned max_degrees 60, seed 0",
    ]


@pytest.mark.parametrize(
    ("datasets", "labels", "named"),
    [
        ("{a: {use: fake}}", "a", [""]),
        ("{a: {use: fake}, b: {use: fake, classes: 4}}", "[a, b]", [" (a)", " (b)"]),
        ("{a: {use: fake, classes: {sweep: [3, 4]}}}", "a", [" (a classes 3)", " (a classes 4)"]),
        # the second is not used
        ("{a: {use: fake}, b: {use: fake, classes: 4}}", "a", [""]),
    ],
)
def test_tasks_name_their_data_set_where_there_are_several(datasets, labels, named):
    text = f"""
title: toy
datasets: {datasets}
models: {{net: {{use: linear}}}}
defences: {{plain: {{use: standard}}}}
attacks: {{pgd: {{}}}}
measures: {{accuracy: {{of: pgd}}}}
train: [{{dataset: {labels}, model: net, defence: plain}}]
"""
    names = planner.plan(resolve.resolve(document.parse(text, "toy.yaml"))).names.values()
    trained = [name for name in names if name.startswith("train ")]
    assert trained == [f"train net{data}, plain, seed 0" for data in named]
    assert {name for name in names if name.startswith("accuracy")} == {
        f"accuracy on net{data}, plain, seed 0" for data in named
    }


# ─ sweeps whose values share work ─────────────────────────────────────────────────────


def chains(**pgd: Any) -> list[list[float]]:
    """The radii of each cell's attack and of those before it, the smallest last."""
    cells = planned(
        attacks={**BASE["attacks"], "pgd": pgd}, measures={"accuracy": {"of": "pgd"}}
    ).cells
    result: list[list[float]] = []
    for cell in cells:
        task, radii = cell.goal.of[0][0], list[float]()
        while task is not None:
            radii.append(cast(Any, task.attack).eps)
            task = task.after
        result.append(radii)
    return result


def test_a_sweep_over_eps_runs_upwards_whatever_its_order() -> None:
    assert chains(eps={"sweep": [0.2, 0.1, 0.3]}) == [[0.2, 0.1], [0.1], [0.3, 0.2, 0.1]]


def test_an_attack_with_eps_0_comes_before_no_other() -> None:
    assert chains(eps={"sweep": [0.0, 0.1, 0.2]}) == [[0.0], [0.1], [0.2, 0.1]]


def test_attacks_that_end_at_the_boundary_search_in_float32() -> None:
    measures = {"accuracy": {"of": "pgd"}, "nearest": {"use": "accuracy", "of": "ddn"}}
    cells = planned(precision="bfloat16", attacks={"pgd": {}, "ddn": {}}, measures=measures).cells
    assert [cell.goal.of[0][0].precision for cell in cells] == ["bfloat16", "float32"]


def test_independent_attacks_follow_no_other() -> None:
    assert chains(eps={"sweep": [0.1, 0.2]}, independent=True) == [[0.1], [0.2]]


def test_only_attacks_that_differ_in_the_sweep_field_alone_follow_each_other() -> None:
    assert chains(eps={"sweep": [0.1, 0.2]}, steps={"sweep": [5, 9]}) == [
        [0.1],
        [0.1],
        [0.2, 0.1],
        [0.2, 0.1],
    ]


def test_attacks_without_a_sweep_field_share_nothing() -> None:
    assert chains(use="fgsm", eps={"sweep": [0.1, 0.2]}) == [[0.1], [0.2]]


def test_a_long_sweep_begins_anew_after_fifty_values() -> None:
    lengths = [
        len(radii) for radii in chains(eps={"sweep": [number / 255 for number in range(60)]})
    ]
    assert lengths == [1, *range(1, 51), *range(1, 10)]


def test_values_with_one_method_in_a_smoke_run_are_one_task() -> None:
    attacks = {**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2, 0.3, 0.4]}}}
    spec = planned(attacks=attacks, measures={"accuracy": {"of": "pgd"}}).spec
    first, *others = (cell.goal.of[0][0] for cell in planner.plan(spec.smoke()).cells)
    assert (len(others), len(set(others))) == (3, 1)
    assert (others[0].after, cast(Any, others[0].attack).eps) == (first, 0.4)


def test_every_part_follows_the_same_part_at_a_smaller_value() -> None:
    pgd = {"eps": {"sweep": [0.1, 0.2]}}
    data = {"fake": {"test": 2 * MAX_EXAMPLES}}
    cells = planned(
        datasets=data, attacks={**BASE["attacks"], "pgd": pgd}, measures={"accuracy": {"of": "pgd"}}
    ).cells
    assert [part.after.part for part in cells[1].goal.of[0] if part.after] == [
        (0, MAX_EXAMPLES),
        (MAX_EXAMPLES, 2 * MAX_EXAMPLES),
    ]


def test_a_measure_that_takes_a_sweep_has_one_cell_for_it() -> None:
    attacks = {**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2, 0.3]}}}
    (cell,) = planned(
        attacks=attacks, measures={"area": {"use": "area_under_profile", "of": "pgd"}}
    ).cells
    assert "pgd.eps" not in cell.coords
    assert [cast(Any, parts[0].attack).eps for parts in cell.goal.of] == [0.1, 0.2, 0.3]


def test_a_measure_that_takes_a_sweep_takes_equal_attacks_of_a_smoke_run_once() -> None:
    attacks = {**BASE["attacks"], "pgd": {"eps": {"sweep": [0.1, 0.2, 0.3]}}}
    area = {"use": "area_under_profile", "of": "pgd"}
    (cell,) = planner.plan(planned(attacks=attacks, measures={"area": area}).spec.smoke()).cells
    assert [cast(Any, parts[0].attack).eps for parts in cell.goal.of] == [0.1, 0.3]


def test_trainings_and_oracles_have_the_threads_of_their_defence() -> None:
    measures = {"shown": {**ORACLE, "oracle": {"model": "linear", "defence": "spread"}}}
    defences = {"standard": {}, "spread": {"use": "standard", "threads": 2}}
    (one,), (two,) = (
        planned(
            measures=measures, defences=defences, train=[{**BASE["train"][0], "defence": name}]
        ).cells
        for name in defences
    )
    assert (one.goal.train.threads, two.goal.train.threads) == (1, 2)
    for cell in (one, two):
        assert cell.goal.oracle is not None
        assert cell.goal.oracle.threads == 2
