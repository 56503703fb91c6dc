"""The Foolbox adapter: attacks by name, checked arguments, contained randomness."""

from __future__ import annotations

import json
import pickle
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from foreign_toys import (
    Constant,
    assert_draws_are_contained,
    assert_misclassified_stay,
    attacked,
    batch_of,
    label,
    net,
    unfooled,
)

from invspec.attacks import foolbox as adapter
from invspec.attacks.foolbox import Foolbox
from invspec.errors import InvspecError, SpecError
from invspec.ops.norms import Metric, size
from invspec.registry.methods import make
from invspec.search.foreign_attack import Arguments, NotInstalled

needs_foolbox = pytest.mark.skipif(find_spec("foolbox") is None, reason="Foolbox is not installed")
N = 12


def foolbox(name: str, eps: float | None = None, label: str = "true", **params: Any) -> Foolbox:
    fields = {
        "attack": name,
        "params": params,
        "label": label,
        **({} if eps is None else {"eps": eps}),
    }
    return Foolbox.model_validate(fields)


@needs_foolbox
@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("LinfBasicIterativeAttack", "linf"),
        ("L2PGD", "l2"),
        ("L1PGD", "l1"),
        ("L2AdditiveGaussianNoiseAttack", "l2"),
    ],
)
def test_an_attack_of_fixed_eps_stays_in_its_ball(name: str, norm: Metric) -> None:
    batch = batch_of(N)
    x_adv = attacked(foolbox(name, eps=0.2), batch).x_adv
    lengths = size(x_adv - batch.x, norm)
    assert (lengths <= 0.2 + 1e-6).all()
    assert (lengths > 0).all()


@needs_foolbox
@pytest.mark.parametrize(
    "name", ["L2DeepFoolAttack", "LinfDeepFoolAttack", "DDNAttack", "L2FMNAttack"]
)
def test_an_attack_without_eps_finds_an_adversarial_image(name: str) -> None:
    batch = batch_of(4)
    assert (label(attacked(foolbox(name, steps=30), batch).x_adv) != batch.y).all()


@needs_foolbox
def test_a_misclassified_example_costs_one_pass_and_stays_unless_label_is_predicted() -> None:
    from_predicted = foolbox("L2DeepFoolAttack", label="predicted")
    assert_misclassified_stay(foolbox("L2DeepFoolAttack"), from_predicted, batch_of(N))


@needs_foolbox
def test_without_an_adversarial_image_the_answer_is_x() -> None:
    batch = unfooled(3)
    assert torch.equal(attacked(foolbox("DDNAttack", steps=5), batch, Constant()).x_adv, batch.x)


@needs_foolbox
def test_params_reach_the_attack() -> None:
    batch = batch_of(N)
    few, many = (attacked(foolbox("LinfPGD", eps=0.1, steps=steps), batch) for steps in (2, 5))
    assert (few.backwards.tolist(), many.backwards.tolist()) == ([2] * N, [5] * N)


@needs_foolbox
@pytest.mark.parametrize(
    "attack",
    [
        ("LinfPGD", {"steps": 3}),
        ("L2AdditiveGaussianNoiseAttack", {}),
        ("SpatialAttack", {"grid_search": False}),
    ],
)
def test_random_attacks_do_not_depend_on_the_batch_and_restore_the_generators(
    attack: Any,
) -> None:
    name, params = attack
    chosen, batch = foolbox(name, eps=0.3, **params), batch_of(N)
    assert_draws_are_contained(chosen, batch, rows=5)


@needs_foolbox
def test_trainable_weights_and_training_mode_stay_as_they_are() -> None:
    model = net().train()
    attacked(foolbox("LinfPGD", eps=0.1, steps=2), batch_of(N), model)
    assert model.training
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())


@needs_foolbox
@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"attack": "LinfPDG", "eps": 0.1}, ("attack",), "did you mean LinfPGD"),
        ({"attack": "Attack"}, ("attack",), "no attack 'Attack'"),
        (
            {"attack": "LinfPGD", "eps": 0.1, "params": {"step": 3}},
            ("params",),
            "did you mean steps",
        ),
        ({"params": {"overshot": 0.1}}, ("params",), "did you mean overshoot"),
        ({"attack": "EADAttack", "params": {"decision_rule": "L7"}}, (), "EADAttack: "),
        ({"attack": "LinfPGD"}, (), "needs eps, the radius of the ball"),
        ({"params": {"steps": [1, 2]}}, ("params", "steps"), "expected"),
    ],
    ids=str,
)
def test_unknown_attacks_and_arguments_are_refused_before_anything_runs(
    fields: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        make("attack", "foolbox", fields)
    assert refused.value.path == path


@needs_foolbox
def test_an_error_of_foolbox_is_reported_in_its_words() -> None:
    with pytest.raises(InvspecError, match="GenAttack: unsupported criterion"):
        attacked(foolbox("GenAttack", eps=0.1), batch_of(2))


@needs_foolbox
def test_arguments_are_a_hashable_mapping_of_yaml_values() -> None:
    attack = foolbox(
        "LinfPGD", eps=0.1, steps=5, abs_stepsize="1e-2", random_start=False, rel_stepsize=None
    )
    assert attack.params == {
        "steps": 5,
        "abs_stepsize": 0.01,
        "random_start": False,
        "rel_stepsize": None,
    }
    assert isinstance(attack.params["steps"], int)
    assert attack.params["random_start"] is False
    again = pickle.loads(pickle.dumps(attack))
    assert hash(again) == hash(attack)
    assert again == attack
    plain = json.loads(json.dumps(attack.identity))
    assert plain["fields"]["params"] == attack.params


@needs_foolbox
def test_a_smoke_run_takes_two_steps_if_the_attack_takes_steps() -> None:
    attack = foolbox("LinfPGD", eps=0.1, steps=40, random_start=False)
    assert attack.smoke() == foolbox("LinfPGD", eps=0.1, steps=2, random_start=False)
    assert foolbox("L2AdditiveGaussianNoiseAttack", eps=0.1).smoke().params == {}


def test_without_foolbox_only_the_defaults_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Any:
        raise NotInstalled("Foolbox is not installed", hint="pip install 'invspec[foolbox]'")

    adapter.attacks.cache_clear()
    monkeypatch.setattr(adapter, "library", missing)
    default = make("attack", "foolbox", {})
    with pytest.raises(SpecError, match=r"(?s)not installed.*pip install 'invspec\[foolbox\]'"):
        make("attack", "foolbox", {"attack": "LinfPGD"})
    with pytest.raises(InvspecError, match="not installed"):
        attacked(default, batch_of(1))


def test_arguments_are_equal_in_any_order() -> None:
    first, other = Arguments(steps=1, overshoot=0.1), Arguments(overshoot=0.1, steps=1)
    assert first == other
    assert hash(first) == hash(other)
