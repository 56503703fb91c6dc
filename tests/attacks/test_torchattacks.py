"""The adapter for torchattacks: attacks by name, checked arguments, balls, contained randomness."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from foreign_toys import (
    Constant,
    assert_draws_are_contained,
    assert_misclassified_stay,
    attacked,
    batch_of,
    fast_gradient_step,
    label,
    net,
    unfooled,
)

from invspec.attacks import torchattacks as adapter
from invspec.attacks.torchattacks import Torchattacks
from invspec.data import Batch
from invspec.errors import InvspecError, SpecError
from invspec.ops.norms import Metric, size
from invspec.registry.methods import make
from invspec.search.foreign_attack import NotInstalled

N = 6


@pytest.fixture
def _needs_torchattacks() -> None:
    pytest.importorskip("torchattacks")


needs_torchattacks = pytest.mark.usefixtures("_needs_torchattacks")


def made(name: str, **fields: Any) -> Torchattacks:
    return Torchattacks.model_validate({"attack": name, **fields})


@needs_torchattacks
@pytest.mark.parametrize(
    ("name", "norm", "params"),
    [
        ("PGD", "linf", {"steps": 3}),
        ("MIFGSM", "linf", {"steps": 3}),
        ("PGDL2", "l2", {"steps": 3}),
        ("Square", "linf", {"n_queries": 20}),
        ("APGD", "linf", {"steps": 3}),
    ],
)
def test_an_attack_of_fixed_eps_stays_in_its_ball(
    name: str, norm: Metric, params: dict[str, Any]
) -> None:
    batch = batch_of(N)
    x_adv = attacked(made(name, eps=0.2, norm=norm, params=params), batch).x_adv
    lengths = size(x_adv - batch.x, norm)
    assert (lengths <= 0.2 + 1e-6).all()
    # some give the image back where they do not fool the net
    assert (lengths > 0).any()


@needs_torchattacks
@pytest.mark.parametrize(
    ("name", "params"), [("DeepFool", {}), ("CW", {"steps": 200, "lr": 0.1, "c": 100})]
)
def test_an_attack_without_eps_finds_an_adversarial_image(name: str, params: Any) -> None:
    batch = batch_of(3)
    assert (label(attacked(made(name, params=params), batch).x_adv) != batch.y).all()


@needs_torchattacks
def test_the_step_of_fgsm_is_eps_times_the_sign_of_the_gradient() -> None:
    batch = batch_of(N)
    expected = fast_gradient_step(batch, 0.1)
    torch.testing.assert_close(attacked(made("FGSM", eps=0.1), batch).x_adv, expected)


@needs_torchattacks
def test_a_misclassified_example_costs_one_pass_and_stays_unless_label_is_predicted() -> None:
    from_predicted = made("DeepFool", label="predicted")
    assert_misclassified_stay(made("DeepFool"), from_predicted, batch_of(N))


@needs_torchattacks
def test_without_an_adversarial_image_the_answer_is_x() -> None:
    batch = unfooled(2)
    attack = made("CW", params={"steps": 2})
    assert torch.equal(attacked(attack, batch, Constant()).x_adv, batch.x)


@needs_torchattacks
def test_params_reach_the_attack_and_passes_are_counted() -> None:
    batch = batch_of(N)
    for steps in (2, 5):
        result = attacked(made("PGD", eps=0.1, params={"steps": steps}), batch)
        # one forward pass more says what the model predicts
        assert result.forwards.tolist() == [steps + 1] * N
        assert result.backwards.tolist() == [steps] * N


@needs_torchattacks
def test_random_attacks_do_not_depend_on_the_batch_and_restore_the_generators() -> None:
    chosen, batch = made("PGD", eps=0.3, params={"steps": 1, "alpha": 0.01}), batch_of(N)
    assert_draws_are_contained(chosen, batch, rows=4)


@needs_torchattacks
def test_the_model_and_the_terminal_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    model = net().train()
    attacked(made("PGD", eps=0.1, params={"steps": 2}), batch_of(N), model)
    assert all(module.training for module in model.modules())
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert capsys.readouterr().out == ""


@needs_torchattacks
@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"attack": "PDG", "eps": 0.1}, ("attack",), "did you mean PGD"),
        ({"attack": "MultiAttack"}, ("attack",), "no attack 'MultiAttack'"),
        ({"attack": "PGD", "eps": 0.1, "params": {"step": 3}}, ("params",), "did you mean steps"),
        ({"attack": "PGD", "params": {"eps": 0.1}}, ("params",), "it takes: alpha, random_start"),
        ({"attack": "PGD"}, (), "PGD: needs eps, the radius of the ball"),
        ({"attack": "CW", "eps": 0.1}, (), "CW: takes no eps, as it looks for the nearest image"),
        ({"attack": "PGDL2", "eps": 0.1}, (), "PGDL2: searches an l2 ball; found norm linf"),
        ({"params": {"steps": [1, 2]}}, ("params", "steps"), "expected"),
    ],
    ids=str,
)
def test_unknown_attacks_and_arguments_are_refused_before_anything_runs(
    fields: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        make("attack", "torchattacks", fields)
    assert refused.value.path == path


@needs_torchattacks
def test_an_error_of_torchattacks_is_reported_in_its_words() -> None:
    # in l2 it divides the height into five stripes
    attack = made("Square", eps=0.5, norm="l2", params={"n_queries": 2})
    with pytest.raises(InvspecError, match="torchattacks's Square: integer division"):
        attacked(attack, batch_of(1))


@needs_torchattacks
def test_images_beyond_0_and_1_are_refused_in_words() -> None:
    batch = Batch(batch_of(1).x, torch.tensor([0]), torch.arange(1), bounds=(-1, 1))
    with pytest.raises(InvspecError, match=r"torchattacks's DeepFool: attacks images in \[0, 1\]"):
        attacked(made("DeepFool", label="predicted"), batch)


@needs_torchattacks
def test_a_smoke_run_takes_two_steps_if_the_attack_takes_steps() -> None:
    attack = made("PGD", eps=0.1, params={"alpha": 0.01})
    assert attack.smoke() == made("PGD", eps=0.1, params={"alpha": 0.01, "steps": 2})
    assert made("FGSM", eps=0.1).smoke().params == {}


def test_without_torchattacks_only_the_defaults_can_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Any:
        hint = "pip install 'invspec[torchattacks]'"
        raise NotInstalled("torchattacks is not installed", hint=hint)

    adapter.attacks.cache_clear()
    monkeypatch.setattr(adapter, "library", missing)
    default = make("attack", "torchattacks", {})
    with pytest.raises(SpecError, match=r"(?s)not installed.*pip install 'invspec\[torchattacks\]"):
        make("attack", "torchattacks", {"attack": "PGD", "eps": 0.1})
    with pytest.raises(InvspecError, match="not installed"):
        attacked(default, batch_of(1))
