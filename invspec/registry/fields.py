"""Fields that hold a method: `{use: name, ...fields}` in a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator

from invspec.errors import SpecError
from invspec.kinds import Attack, Method, Model
from invspec.registry.cards import Kind
from invspec.registry.messages import NestedError, shown
from invspec.registry.methods import make


def _nested(kind: Kind) -> BeforeValidator:
    def read(value: Any) -> Any:
        if isinstance(value, Method):
            return value
        params = dict(cast(dict[str, Any], value)) if isinstance(value, dict) else {}
        name = params.pop("use", None)
        if not isinstance(name, str):
            raise ValueError(f"expected {{use: name, ...fields}}, found {shown(value)}")
        try:
            return make(kind, name, params)
        except SpecError as problem:
            raise NestedError(problem) from None

    return BeforeValidator(read)


if TYPE_CHECKING:
    AttackField = Attack
    ModelField = Model
else:
    # in a spec: {use: pgd, eps: 0.3}
    AttackField = Annotated[Attack, _nested("attack")]
    ModelField = Annotated[Model, _nested("model")]
