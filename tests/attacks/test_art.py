"""The adapter for ART: attacks by name, checked arguments, balls, contained randomness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from foreign_toys import (
    assert_draws_are_contained,
    assert_misclassified_stay,
    attacked,
    batch_of,
    fast_gradient_step,
    label,
    net,
)

from invspec.attacks import art as adapter
from invspec.attacks.art import ART
from invspec.errors import InvspecError, SpecError
from invspec.ops.norms import Metric, size
from invspec.registry.methods import make
from invspec.search.foreign_attack import NotInstalled

N = 4


@pytest.fixture
def _needs_art() -> None:
    pytest.importorskip("art")


needs_art = pytest.mark.usefixtures("_needs_art")


def made(name: str, **fields: Any) -> ART:
    return ART.model_validate({"attack": name, **fields})


@needs_art
@pytest.mark.parametrize(
    ("name", "norm", "params"),
    [
        ("ProjectedGradientDescent", "linf", {"eps_step": 0.05, "max_iter": 3}),
        ("FastGradientMethod", "l2", {}),
        ("FastGradientMethod", "l1", {}),
        ("SquareAttack", "linf", {"max_iter": 5, "p_init": 0.3}),
    ],
)
def test_an_attack_of_fixed_eps_stays_in_its_ball(
    name: str, norm: Metric, params: dict[str, Any]
) -> None:
    batch = batch_of(N)
    x_adv = attacked(made(name, eps=0.2, norm=norm, params=params), batch).x_adv
    lengths = size(x_adv - batch.x, norm)
    assert (lengths <= 0.2 + 1e-6).all()
    assert (lengths > 0).all()


@needs_art
@pytest.mark.parametrize(
    ("name", "norm", "params"),
    [
        ("DeepFool", "l2", {"epsilon": 0.02}),
        ("HopSkipJump", "l2", {"max_iter": 1, "max_eval": 50, "init_eval": 10, "init_size": 2000}),
    ],
)
def test_an_attack_without_eps_finds_an_adversarial_image(
    name: str, norm: str, params: dict[str, Any]
) -> None:
    batch = batch_of(2)
    assert (label(attacked(made(name, norm=norm, params=params), batch).x_adv) != batch.y).all()


@needs_art
def test_the_step_of_the_fast_gradient_is_eps_times_the_sign_of_the_gradient() -> None:
    batch = batch_of(N)
    expected = fast_gradient_step(batch, 0.1)
    torch.testing.assert_close(attacked(made("FastGradientMethod", eps=0.1), batch).x_adv, expected)


@needs_art
def test_a_misclassified_example_costs_one_pass_and_stays_unless_label_is_predicted() -> None:
    from_predicted = made("DeepFool", label="predicted")
    assert_misclassified_stay(made("DeepFool"), from_predicted, batch_of(N))


@needs_art
def test_params_reach_the_attack_and_passes_are_counted() -> None:
    batch = batch_of(N)
    for steps in (2, 5):
        params = {"eps_step": 0.05, "max_iter": steps}
        result = attacked(made("ProjectedGradientDescent", eps=0.1, params=params), batch)
        assert result.backwards.tolist() == [steps] * N
        assert (result.forwards > steps).all()


@needs_art
def test_random_attacks_do_not_depend_on_the_batch_and_restore_the_generators() -> None:
    params = {"eps_step": 0.01, "max_iter": 1, "num_random_init": 1}
    chosen, batch = made("ProjectedGradientDescent", eps=0.3, params=params), batch_of(N)
    assert_draws_are_contained(chosen, batch, rows=3)


@needs_art
def test_the_model_and_the_streams_stay_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    model, batch = net().train(), batch_of(N)
    x = batch.x.clone()
    attacked(made("ProjectedGradientDescent", eps=0.1, params={"eps_step": 0.05}), batch, model)
    assert torch.equal(batch.x, x)
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert capfd.readouterr() == ("", "")


@needs_art
@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"attack": "DeepFol"}, ("attack",), "did you mean DeepFool"),
        ({"attack": "CarliniWagnerASR"}, ("attack",), "no attack 'CarliniWagnerASR'"),
        ({"params": {"max_iters": 3}}, ("params",), "did you mean max_iter"),
        ({"params": {"targeted": True}}, ("params",), "DeepFool has no 'targeted'"),
        ({"attack": "FastGradientMethod"}, (), "FastGradientMethod: needs eps, the radius"),
        ({"attack": "DeepFool", "eps": 0.1}, (), "DeepFool: takes no eps, as it looks for"),
        ({"params": {"max_iter": -1}}, (), "DeepFool: "),
        (
            {"attack": "ProjectedGradientDescent", "eps": 0.1, "params": {"eps_step": -1}},
            (),
            "ProjectedGradientDescent: ",
        ),
    ],
    ids=str,
)
def test_unknown_attacks_and_arguments_are_refused_before_anything_runs(
    fields: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        make("attack", "art", fields)
    assert refused.value.path == path


@needs_art
def test_what_makes_no_image_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    deepfool = adapter.attacks()["DeepFool"]
    monkeypatch.setattr(deepfool, "generate", lambda self, x, y: (x[0], x[0]))
    with pytest.raises(InvspecError, match="ART's DeepFool: makes something other than an image"):
        attacked(made("DeepFool"), batch_of(1))


@needs_art
def test_a_smoke_run_takes_two_iterations_if_the_attack_has_some() -> None:
    assert made("DeepFool", params={"max_iter": 50}).smoke().params == {"max_iter": 2}
    assert made("FastGradientMethod", eps=0.1).smoke().params == {}


def test_without_art_only_the_defaults_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise NotInstalled("ART is not installed", hint="pip install 'invspec[art]'")

    adapter.attacks.cache_clear()
    adapter.stand_in.cache_clear()
    monkeypatch.setattr(adapter, "library", missing)
    default = make("attack", "art", {})
    with pytest.raises(SpecError, match=r"(?s)not installed.*pip install 'invspec\[art\]'"):
        make("attack", "art", {"attack": "FastGradientMethod", "eps": 0.1})
    with pytest.raises(InvspecError, match="not installed"):
        attacked(default, batch_of(1))
