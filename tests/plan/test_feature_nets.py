"""Feature nets in a plan: a training that compares images by the features of another net."""

from __future__ import annotations

import json
from typing import Any

import pytest
from plan_toys import BASE, planned

from invspec.errors import SpecError
from invspec.plan import planner, validation
from invspec.plan.cells import Plan
from invspec.registry import catalogue
from invspec.spec import document, resolve
from invspec.tasks import Train, canonical, draw_name, key, needs

NET = {"model": "mlp", "defence": "standard"}
FADED: dict[str, Any] = {"use": "lpips_ccat", "distance": "laidlaw_self", "epochs": 1}
PARTS: dict[str, Any] = {
    "models": {"linear": {}, "mlp": {}},
    "defences": {
        "standard": {},
        "own": FADED,
        "by_mlp": {**FADED, "feature_net": NET},
    },
    "attacks": {"clean": {"use": "identity"}},
    "measures": {"accuracy": {"of": "clean"}},
    "train": [{"dataset": "fake", "model": "linear", "defence": ["own", "by_mlp"]}],
}


def spec(**changes: Any) -> Plan:
    return planned(**{**PARTS, **changes})


def with_defence(**changes: Any) -> dict[str, Any]:
    """Changes of the defence that names a feature net."""
    return {"defences": {**PARTS["defences"], "by_mlp": {**FADED, "feature_net": NET, **changes}}}


def trainings(plan: Plan) -> list[Train]:
    return [task for task in plan.tasks if isinstance(task, Train)]


def test_the_feature_net_has_the_data_and_the_seed_of_the_training_and_comes_first() -> None:
    plan = spec(seeds=[3, 4])
    validation.check(plan)
    beside = [task for task in trainings(plan) if task.features is not None]
    assert [task.seed for task in beside] == [3, 4]
    for task in beside:
        features = task.features
        assert features is not None
        assert (features.dataset, features.seed) == (task.dataset, task.seed)
        assert type(features.model).__name__ == "MLP"
        assert needs(task) == (features,)
        assert trainings(plan).index(features) < trainings(plan).index(task)


def test_the_feature_net_changes_the_key_of_a_training_and_not_its_draws() -> None:
    own, _, beside = trainings(spec())
    assert beside.features is not None
    assert key(own) != key(beside)
    assert draw_name(own) == draw_name(beside)
    assert json.loads(canonical(beside))["features"] == key(beside.features)
    assert "features" not in json.loads(canonical(own))


def test_its_training_is_named_in_the_words_of_the_spec() -> None:
    trained = [name for name in spec().names.values() if name.startswith("train")]
    assert trained == [
        "train linear, own, seed 0",
        "train mlp, standard, seed 0",
        "train linear, by_mlp, seed 0",
    ]


def test_a_feature_net_that_is_measured_too_is_trained_once() -> None:
    lines = [*PARTS["train"], {"dataset": "fake", "model": "mlp", "defence": "standard"}]
    assert len(trainings(spec(train=lines))) == 3


@pytest.mark.parametrize("part", ["oracle", "source"])
def test_oracles_and_sources_are_trained_beside_their_feature_nets(part: str) -> None:
    named = {"model": "linear", "defence": "by_mlp"}
    changes: dict[str, Any] = {
        "oracle": {
            "attacks": {"clean": {"use": "nspgd", "sample": {"limit": 8, "targets": {"each": 1}}}},
            "measures": {"shown": {"use": "metamer_label", "of": "clean", "oracle": named}},
        },
        "source": {"attacks": {"clean": {"use": "fgsm", "from": named}}},
    }[part]
    lines = [{"dataset": "fake", "model": "linear", "defence": "standard"}]
    plan = spec(train=lines, **changes)
    (beside,) = (task for task in trainings(plan) if task.features is not None)
    assert "train mlp, standard, seed 0" in plan.names.values()
    assert set(trainings(plan)) > {beside, beside.features}


def test_the_threads_of_its_defence_are_those_of_a_feature_net() -> None:
    standard = {"defences": {**PARTS["defences"], "standard": {"threads": 2}}}
    assert [task.threads for task in trainings(spec(**standard))] == [1, 2, 1]


def test_a_feature_net_of_precision_auto_gets_the_answer() -> None:
    standard = {"defences": {**PARTS["defences"], "standard": {"precision": "auto"}}}
    asked = planner.plan(spec(**standard).spec, lambda question: "bfloat16")
    (features,) = {task.features for task in trainings(asked) if task.features is not None}
    assert getattr(features.defence, "precision") == "bfloat16"  # noqa: B009


def test_a_smoke_run_trains_the_feature_net_too() -> None:
    smoke = planner.plan(spec().spec.smoke())
    (features,) = {task.features for task in trainings(smoke) if task.features is not None}
    assert getattr(features.defence, "epochs") == 1  # noqa: B009


def test_a_smoke_run_refuses_what_a_run_refuses() -> None:
    """Its distances need no download, and a feature net would fit them."""
    with pytest.raises(SpecError, match="takes no feature net"):
        spec(**with_defence(distance="lpips_alex")).spec.smoke()


def test_a_feature_net_must_fit_the_data() -> None:
    with pytest.raises(SpecError) as caught:
        validation.check(spec(models={"linear": {}, "mlp": {"use": "resnet2b"}}))
    message = "defences.by_mlp.feature_net: the feature net of defence by_mlp: mlp on fake"
    assert message in str(caught.value)


def test_the_feature_net_is_examined_as_an_oracle_is() -> None:
    plan = spec(checks=["alive", "finite", "gradient_true"])
    own, features, beside = trainings(plan)
    checks = {train: set[str]() for train in (own, features, beside)}
    for examination in plan.examinations:
        checks[examination.goal.train].add(examination.check)
    assert checks[features] == {"alive", "finite"}
    assert checks[own] == checks[beside]
    assert checks[features] < checks[own]


def test_files_of_a_feature_net_are_not_needed_once_the_net_is_trained() -> None:
    missing = {"use": "pretrained", "file": "missing.pth", "sha256": "0" * 64}
    plan = spec(defences={**PARTS["defences"], "standard": missing})
    assert len(list(validation.problems(plan))) == 1
    assert list(validation.problems(plan, lambda train: train.features is not None)) == []


def test_missing_weights_of_a_feature_net_are_found() -> None:
    missing = {"use": "pretrained", "file": "missing.pth", "sha256": "0" * 64}
    with pytest.raises(SpecError, match=r"defences.standard: .*missing\.pth"):
        validation.check(spec(defences={**PARTS["defences"], "standard": missing}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            with_defence(distance="lpips_alex"),
            "defences.by_mlp.feature_net: defence by_mlp takes no feature net",
        ),
        (
            with_defence(distance={"sweep": ["laidlaw_self", "l2"]}),
            "defence by_mlp takes no feature net with by_mlp.distance l2",
        ),
        (
            {"defences": {**PARTS["defences"], "standard": {"feature_net": NET}}},
            "defences.standard.feature_net: defence standard takes no feature net",
        ),
        (
            with_defence(feature_net={"model": "net", "defence": "standard"}),
            "defences.by_mlp.feature_net.model: no model has the label 'net' in this spec",
        ),
        (
            {"models": {"linear": {}, "mlp": {"hidden": {"sweep": [[4], [8]]}}}},
            "a feature net must be one model; model mlp is swept",
        ),
        (
            {"models": {"linear": {}, "mlp": {"use": "unet"}}},
            "the feature net must make logits; model mlp makes images",
        ),
        (
            with_defence(feature_net={"model": "mlp", "defence": "by_mlp"}),
            "defences.by_mlp.feature_net.defence: the feature net must have none of its own; "
            "defence by_mlp names one",
        ),
        (with_defence(feature_net={"model": "mlp"}), "defences.by_mlp.feature_net.defence"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        validation.check(spec(**changes))
    assert message in str(caught.value)


def test_the_key_belongs_to_defences() -> None:
    models = {"linear": {"feature_net": NET}}
    with pytest.raises(SpecError, match="`feature_net` is a key of defences, found it in models"):
        resolve.resolve(document.Document("x.yaml", {**BASE, "models": models}))


def test_editors_know_the_key() -> None:
    frame = catalogue.frame()
    assert frame["entries"]["defences"]["feature_net"]["$ref"] == "#/$defs/FeatureNet"
    assert set(frame["$defs"]["FeatureNet"]["properties"]) == {"model", "defence"}
