"""Generators in a plan: each is trained against the net under the attack that names it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from plan_toys import BASE, planned

from invspec.errors import SpecError
from invspec.models.unet import UNetModule
from invspec.plan import validation
from invspec.plan.cells import Plan
from invspec.registry import catalogue
from invspec.spec import document, resolve
from invspec.tasks import Perturb, Score, Train, canonical, draw_name, key, needs

WALK: dict[str, Any] = {
    "use": "generated_walk",
    "generator": {"model": "unet", "defence": "walks"},
    "sample": {"limit": 8, "targets": {"each": 1}},
}
LINES = [
    {"dataset": "fake", "model": "linear", "defence": ["standard", "other"]},
    {"dataset": "fake", "model": "unet", "defence": "walks"},
]
PARTS: dict[str, Any] = {
    "models": {"linear": {}, "unet": {}},
    "defences": {
        "standard": {},
        "other": {"use": "standard", "lr": 0.5},
        "walks": {"use": "walk_generator", "distance": "rmse"},
    },
    "attacks": {"walk": WALK},
    "measures": {"cost": {"use": "attack_cost", "of": "walk"}},
    "train": LINES,
}


def spec(**changes: Any) -> Plan:
    return planned(**{**PARTS, **changes})


def searches(plan: Plan) -> list[Perturb]:
    return [task for task in plan.tasks if isinstance(task, Perturb)]


def refusals(**changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        validation.check(spec(**changes))
    return str(caught.value)


def test_a_generator_is_trained_against_each_net_that_its_attack_meets() -> None:
    plan = spec(seeds=[3, 4])
    validation.check(plan)
    assert Counter(type(task) for task in plan.tasks) == {Train: 8, Perturb: 4, Score: 4}
    for task in searches(plan):
        generator = task.generator
        assert generator is not None
        assert generator.against == task.train
        assert (generator.dataset, generator.seed) == (task.train.dataset, task.train.seed)
        assert set(needs(task)) == {task.train, generator}
        assert needs(generator) == (task.train,)


def test_a_line_of_generators_has_no_cells() -> None:
    assert {cell.coords["model"] for cell in spec().cells} == {"linear"}


def test_tasks_of_generators_are_named_in_the_words_of_the_spec() -> None:
    names = list(spec().names.values())
    assert names[:4] == [
        "train linear, standard, seed 0",
        "train unet, walks, against linear, standard, seed 0",
        "walk 0-8 on linear, standard, seed 0",
        "cost on linear, standard, seed 0",
    ]


def test_generators_against_two_nets_have_keys_of_their_own_and_share_their_draws() -> None:
    first, other = (task.generator for task in searches(spec()))
    assert first is not None
    assert other is not None
    assert key(first) != key(other)
    assert draw_name(first) == draw_name(other)
    assert json.loads(canonical(first))["against"] == key(first.against or first)


def test_tasks_without_a_generator_say_nothing_of_it() -> None:
    for task in planned().tasks:
        assert "generator" not in canonical(task)
        assert "against" not in canonical(task)


def test_only_the_variants_of_a_sweep_that_want_a_generator_get_it() -> None:
    start = {"sweep": [None, {"use": "generated"}]}
    plan = spec(attacks={"walk": {**WALK, "use": "nspgd", "start": start}}, train=LINES)
    assert [task.generator is not None for task in searches(plan)] == [False, True] * 2


def test_a_transfer_attack_has_the_generator_of_its_source() -> None:
    source = {"model": "linear", "defence": "other"}
    plan = spec(attacks={"walk": {**WALK, "from": source}})
    validation.check(plan)
    moved = [task for task in searches(plan) if task.source is not None]
    (task,) = moved
    assert task.generator is None
    assert task.source is not None
    assert task.source.generator is not None
    assert task.source.generator.against == task.source.train
    assert "train unet, walks, against linear, other, seed 0" in plan.names.values()


def test_a_generator_of_precision_auto_trains_in_float32() -> None:
    walks = {"use": "walk_generator", "distance": "rmse", "precision": "auto"}
    plan = spec(defences={**PARTS["defences"], "walks": walks})
    generator = searches(plan)[0].generator
    assert generator is not None
    assert getattr(generator.defence, "precision") == "float32"  # noqa: B009


def test_the_threads_of_its_defence_are_those_of_a_generator() -> None:
    walks = {"use": "walk_generator", "distance": "rmse", "threads": 2}
    plan = spec(defences={**PARTS["defences"], "walks": walks})
    assert {task.generator.threads for task in searches(plan) if task.generator} == {2}


def test_a_smoke_run_trains_a_generator() -> None:
    plan = planned(**PARTS)
    smoke = plan.spec.smoke()
    attack = smoke.entries["attacks"]["walk"]
    assert attack.generator == plan.spec.entries["attacks"]["walk"].generator
    assert getattr(smoke.entries["defences"]["walks"].variants[0].method, "epochs") == 1  # noqa: B009


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"attacks": {"walk": {key: of for key, of in WALK.items() if key != "generator"}}},
            "attacks.walk: attack walk needs a generator",
        ),
        (
            {"attacks": {"walk": {**WALK, "use": "nspgd"}}},
            "attacks.walk.generator: attack walk takes no generator",
        ),
        ({"train": LINES[:1]}, "no line of `train` has model unet with defence walks on fake"),
        (
            {"attacks": {"walk": {**WALK, "generator": {"model": "net", "defence": "walks"}}}},
            "attacks.walk.generator.model: no model has the label 'net' in this spec",
        ),
        (
            {"attacks": {"walk": {**WALK, "generator": {"model": "linear", "defence": "walks"}}}},
            "attacks.walk.generator.model: the generator must make images; "
            "model linear makes logits",
        ),
        (
            {"attacks": {"walk": {**WALK, "generator": {"model": "unet", "defence": "other"}}}},
            "attacks.walk.generator.defence: the generator must make images; "
            "defence other trains models that make logits",
        ),
        (
            {"models": {"linear": {}, "unet": {"widths": {"sweep": [[4], [8]]}}}},
            "a generator must be one model; model unet is swept",
        ),
        (
            {"attacks": {"walk": {**WALK, "from": {"model": "unet", "defence": "walks"}}}},
            "attacks.walk.from.model: the source must make logits; model unet makes images",
        ),
        (
            {"train": [*LINES, {**LINES[1], "measures": ["cost"]}]},
            "train.2.measures: models that make images have no measures",
        ),
        (
            {"train": [LINES[0], {**LINES[1], "model": ["unet", "linear"]}]},
            "train.1.model: model linear makes logits, and other models of this line are",
        ),
        (
            {"train": [LINES[0], {**LINES[1], "defence": ["walks", "other"]}]},
            "train.1.defence: defence other trains classifiers, and the models here make images",
        ),
        (
            {"train": [{**LINES[0], "defence": ["standard", "walks"]}, LINES[1]]},
            "train.0: defence walks trains generators, and the models here make logits",
        ),
        ({"train": LINES[1:]}, "train: expected a line with a model that makes logits"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], told: str) -> None:
    assert told in refusals(**changes)


def test_an_oracle_makes_no_images() -> None:
    shown = {
        "use": "metamer_label",
        "of": "walk",
        "oracle": {"model": "unet", "defence": "walks"},
    }
    assert "the oracle must make logits; model unet makes images" in refusals(
        measures={"shown": shown}
    )


def test_a_generator_must_fit_the_data() -> None:
    told = refusals(datasets={"fake": {"shape": [1, 1, 16]}})
    assert "train.1.model: unet on fake: images of 1x16 pixels are too small for 3 levels" in told


def test_the_attack_of_a_defence_wants_no_generator() -> None:
    inner = {"use": "adversarial_training", "attack": {"use": "generated"}}
    told = refusals(defences={**PARTS["defences"], "other": inner})
    assert "the attack of defence other needs a target, and training has none" in told


def test_a_line_that_no_attack_names_is_a_warning() -> None:
    plan = spec(
        attacks={"walk": {"use": "nspgd", "sample": WALK["sample"]}}, train=[LINES[0], LINES[1]]
    )
    (warning,) = validation.warnings(plan)
    assert "train.1: no attack names a generator of this line" in str(warning)
    assert validation.warnings(spec()) == []


def test_the_key_belongs_to_attacks() -> None:
    models = {"linear": {"generator": WALK["generator"]}}
    with pytest.raises(SpecError, match="`generator` is a key of attacks, found it in models"):
        resolve.resolve(document.Document("x.yaml", {**BASE, "models": models}))


def test_editors_know_the_key() -> None:
    frame = catalogue.frame()
    assert frame["entries"]["attacks"]["generator"]["$ref"] == "#/$defs/Generator"
    assert set(frame["$defs"]["Generator"]["properties"]) == {"model", "defence"}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda pair: pair, "forward returned shape (2, 2, 28, 28) for 2 pairs"),
        (lambda pair: [pair], "forward returned a list of 1"),
    ],
)
def test_the_shape_of_what_a_generator_makes_is_checked(
    made: Callable[[Any], Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UNetModule, "forward", lambda self, pair: made(pair))
    refusal = refusals()
    assert (
        f"train.1.model: unet on fake: {told}, expected images of shape (2, 1, 28, 28)" in refusal
    )
    assert "a generator maps (B, 2C, H, W), sources then targets" in refusal
