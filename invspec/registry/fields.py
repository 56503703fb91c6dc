"""Fields that hold a method: `{use: name, ...fields}` in a spec."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator, Field

from invspec.errors import SpecError
from invspec.kinds import Attack, Method, Model
from invspec.registry.cards import Kind
from invspec.registry.messages import NestedError, shown
from invspec.registry.methods import make, make_shipped


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


def default(kind: Kind, name: str, /, *, description: str | None = None, **fields: Any) -> Any:
    """A field whose default is the shipped method of this name with these fields.

    The name is looked up when the default is needed, so that the file of a method imports no other
    method's. Without a description, the annotation's is kept.
    """
    about: dict[str, Any] = {} if description is None else {"description": description}
    return Field(default_factory=partial(make_shipped, kind, name, fields), **about)


def defaults(kind: Kind, /, *entries: Mapping[str, Any], **about: Any) -> Any:
    """A field whose default is several shipped methods, each written {use: name, ...fields}.

    about: what else pydantic's Field takes.
    """

    def made() -> tuple[Method, ...]:
        settings = map(dict[str, Any], entries)
        return tuple(make_shipped(kind, fields.pop("use"), fields) for fields in settings)

    return Field(default_factory=made, **about)


if TYPE_CHECKING:
    AttackField = Attack
    ModelField = Model
else:
    # in a spec: {use: pgd, eps: 0.3}
    AttackField = Annotated[Attack, _nested("attack")]
    ModelField = Annotated[Model, _nested("model")]
