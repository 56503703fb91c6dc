"""Fields that hold a method."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel, ValidationError
from registries import WriteFile

from invspec.attacks.pgd import PGD
from invspec.attacks.union_max import UnionMax
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.avg import AVG
from invspec.kinds import Attack, Model
from invspec.models.linear import Linear
from invspec.registry.fields import AttackField, ModelField
from invspec.registry.methods import make


def test_a_method_in_a_method_is_given_by_use_and_fields() -> None:
    made = make("defence", "adversarial_training", {"attack": {"use": "pgd_mnist", "steps": 3}})
    assert isinstance(made, AdversarialTraining)
    assert made.attack == PGD(eps=0.3, steps=3, step_size=0.01)
    assert made == AdversarialTraining(attack=PGD(eps=0.3, steps=3, step_size=0.01))


class Holder(BaseModel):
    attack: AttackField
    model: ModelField | None = None


def test_a_method_that_is_made_already_is_taken_as_it_is() -> None:
    attack = PGD(eps=0.1)
    assert Holder(attack=attack).attack is attack


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("pgd", "'pgd'"),
        ({"eps": 0.1}, "{'eps': 0.1}"),
        ({"use": 3}, "{'use': 3}"),
        (None, "nothing"),
    ],
)
def test_a_value_that_names_no_method_is_refused(written: object, found: str) -> None:
    message = re.escape(f"expected {{use: name, ...fields}}, found {found}")
    with pytest.raises(ValidationError, match=message):
        Holder.model_validate({"attack": written})


def test_a_field_takes_methods_of_one_kind() -> None:
    assert isinstance(
        Holder.model_validate({"attack": PGD(), "model": {"use": "linear"}}).model, Model
    )
    with pytest.raises(ValidationError, match="no model is named 'pgd'"):
        Holder.model_validate({"attack": PGD(), "model": {"use": "pgd"}})
    with pytest.raises(ValidationError, match="instance of Attack"):
        Holder.model_validate({"attack": Linear()})


def test_what_is_written_is_not_changed_by_reading_it() -> None:
    written = {"use": "pgd", "eps": 0.1}
    Holder.model_validate({"attack": written})
    assert written == {"use": "pgd", "eps": 0.1}


def test_a_users_card_does_not_change_the_default_of_a_shipped_method(write: WriteFile) -> None:
    card = "target: invspec.attacks.pgd:PGD\nsummary: mine\nparams: {restarts: 5}\n"
    write("attack/pgd.yaml", card)
    assert getattr(make("attack", "pgd", {}), "restarts") == 5  # noqa: B009
    trades = make("defence", "trades", {})
    assert getattr(getattr(trades, "attack"), "restarts") == 1  # noqa: B009


@pytest.mark.parametrize("made", [AVG().attacks, UnionMax().attacks], ids=["avg", "union_max"])
def test_a_default_may_be_several_methods(made: tuple[Attack, ...]) -> None:
    assert [type(attack).__name__ for attack in made] == ["PGD", "PGD", "MSD"]
