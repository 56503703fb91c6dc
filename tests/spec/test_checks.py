"""`checks` in a spec: all by default, none, or those that it names."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from invspec.errors import SpecError
from invspec.registry.cards import shipped_names
from invspec.spec import document, resolve
from invspec.spec.resolved import Spec

BASE: dict[str, Any] = {
    "title": "toy",
    "datasets": {"fake": {}},
    "models": {"linear": {}},
    "defences": {"standard": {}},
    "attacks": {"pgd": {}},
    "measures": {"accuracy": {"of": "pgd"}},
    "train": [{"dataset": "fake", "model": "linear", "defence": "standard"}],
}


def spec(**changes: Any) -> Spec:
    text = yaml.safe_dump({**BASE, **changes}, sort_keys=False)
    return resolve.resolve(document.parse(text, "x.yaml"))


def refusal(checks: Any) -> str:
    with pytest.raises(SpecError) as caught:
        spec(checks=checks)
    return str(caught.value)


def test_all_checks_that_ship_are_on_by_default() -> None:
    assert list(spec().checks) == shipped_names("check")
    assert spec(checks=None).checks == spec().checks


def test_none_turns_them_off() -> None:
    assert spec(checks="none").checks == {}


def test_a_list_names_checks() -> None:
    assert list(spec(checks=["gradient", "finite"]).checks) == ["gradient", "finite"]


def test_an_entry_sets_fields_and_a_label_may_differ_from_the_name() -> None:
    (listed,) = spec(checks=[{"use": "gradient", "images": 12}]).checks.items()
    (labelled,) = spec(checks={"strict": {"use": "gradient", "images": 12}}).checks.items()
    assert (listed[0], labelled[0]) == ("gradient", "strict")
    assert listed[1] == labelled[1] != spec().checks["gradient"]


def test_default_stands_for_those_that_ship() -> None:
    checks = spec(checks=["default", {"use": "gradient", "images": 12}]).checks
    assert set(checks) == set(shipped_names("check"))
    assert checks["gradient"] != spec().checks["gradient"]
    assert checks["finite"] == spec().checks["finite"]


def test_a_smoke_run_has_cheap_checks() -> None:
    assert set(spec().smoke().checks) == set(spec().checks)
    assert spec().smoke().checks["black_box"] == spec().checks["black_box"].smoke()


def test_an_unknown_check_is_refused_with_the_nearest() -> None:
    message = refusal(["gradiant"])
    assert "no check is named 'gradiant'" in message
    assert "did you mean gradient?" in message


def test_an_unknown_field_is_refused() -> None:
    assert "has no such parameter" in refusal({"gradient": {"imagess": 3}})


def test_keys_of_other_parts_are_refused() -> None:
    assert "`sample` is a key of attacks, found it in checks" in refusal(
        {"gradient": {"sample": {"limit": 3}}}
    )


@pytest.mark.parametrize("checks", ["all", 3, [], [3], [{"images": 3}], ["finite", "finite"]])
def test_other_values_are_refused_with_what_is_expected(checks: Any) -> None:
    message = refusal(checks)
    assert message.startswith("x.yaml:")
    assert "expected" in message


def test_default_takes_no_fields() -> None:
    assert "no check is named 'default'" in refusal({"default": {"images": 3}})
