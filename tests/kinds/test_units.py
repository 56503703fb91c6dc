"""Units of fields."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from invspec.attacks.pgd import PGD
from invspec.kinds import Unit
from invspec.kinds.units import annotated_unit
from invspec.registry.methods import make


def test_units_come_from_annotations_and_may_depend_on_other_fields() -> None:
    assert PGD().unit_of("eps") == "pixels in [0, 1]"
    assert PGD(eps_space="standardised").unit_of("step_size") == "standardised pixels"
    assert PGD().unit_of("steps") == PGD().unit_of("nothing") == ""
    defence = make("defence", "adversarial_training", {"attack": {"use": "pgd"}})
    assert defence.unit_of("max_degrees") == "degrees"


class Fields(BaseModel):
    plain: float = 0.0
    annotated: Annotated[float, Unit("nats")] = 0.0
    optional: Annotated[float, Unit("nats")] | None = None
    listed: tuple[Annotated[float, Unit("nats")], ...] = ()
    bounded: Annotated[float, Unit("nats")] = Field(default=0.0, ge=0)


@pytest.mark.parametrize(
    ("name", "unit"),
    [("plain", ""), *((name, "nats") for name in ("annotated", "optional", "listed", "bounded"))],
)
def test_a_unit_is_found_wherever_it_stands_in_an_annotation(name: str, unit: str) -> None:
    assert annotated_unit(Fields.model_fields[name]) == unit
