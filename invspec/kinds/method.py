"""The base class of methods, and the plain values from which keys and draws are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from invspec.kinds.units import annotated_unit
from invspec.sources import files_in, source_of

# Upper limits of fields in a smoke run, by name.
_SMOKE = {
    "epochs": 1,
    "steps": 2,
    "restarts": 1,
    "queries": 10,
    "eot": 2,
    "passes": 2,
    "width": 8,
    "widths": 8,
    "channels": 8,
    "hidden": 16,
    "blocks": 1,
}


def plain(value: Any) -> Any:
    """Convert a value to JSON types; methods become their identity."""
    return _as_json(value, lambda method: method.identity)


def outline(value: Any) -> Any:
    """Convert a value to JSON types; methods become their outline."""
    return _as_json(value, lambda method: method.outline)


def _as_json(value: Any, of_method: Callable[[Method], Any]) -> Any:
    if isinstance(value, Method):
        return of_method(value)
    if isinstance(value, BaseModel):
        return {
            name: _as_json(getattr(value, name), of_method) for name in type(value).model_fields
        }
    if isinstance(value, tuple | list | frozenset):
        items: list[Any] = [_as_json(item, of_method) for item in value]  # pyright: ignore[reportUnknownVariableType]
        # the order of a frozenset differs from run to run
        return sorted(items, key=str) if isinstance(value, frozenset) else items
    if isinstance(value, dict):
        entries: dict[Any, Any] = value
        return {str(key): _as_json(item, of_method) for key, item in entries.items()}
    # -0.0 equals 0.0, so its text must be the same
    return value + 0.0 if isinstance(value, float) else value


def _cheapest(name: str, value: Any) -> Any:
    """The value of a field in a smoke run."""
    if isinstance(value, Method):
        return value.smoke()
    return min(value, _SMOKE[name]) if name in _SMOKE and isinstance(value, int) else value


def _types_in(annotation: Any) -> set[Any]:
    """An annotation and everything inside it."""
    return {annotation}.union(*map(_types_in, get_args(annotation)))


class Method(BaseModel):
    """A named procedure from a paper. Its fields are its hyperparameters.

    Equal fields give equal results, until `version` is raised.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )
    kind: ClassVar[str]

    # hints for removed parameters, by name
    replaced: ClassVar[Mapping[str, str]] = {}

    version: ClassVar[int] = 1

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        """By default pydantic reads true as 1, and YAML reads on as true."""
        if isinstance(value, bool):
            types = _types_in(cls.model_fields[info.field_name or ""].annotation)
            if types & {int, float} and bool not in types:
                raise ValueError(f"expected a number, found {str(value).lower()}")
        return value

    @property
    def accepts(self) -> type | None:
        """The protocol that a model must meet (Standardised, Bijective), or None for any model."""
        return None

    @property
    def reads(self) -> Mapping[str, str]:
        """Names and SHA-256 of files that affect results, except those with a digest in a field.

        Raises: InvspecError if a file is missing.
        """
        return {}

    @property
    def identity(self) -> dict[str, Any]:
        """What identifies it in a task's key: kind and class, version, all fields, files read.

        Class names of invspec are unique within a kind, so that moving a file changes no key.
        Other classes add their module, the digest of their code, and the files that fields name.

        Raises: InvspecError if a file that it reads is missing.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        reads = {**files_in(fields, type(self)), **self.reads}
        return {
            "class": f"{self.kind}:{type(self).__qualname__}",
            "version": self.version,
            "fields": {name: plain(value) for name, value in fields.items()},
            **source_of(type(self)),
            # left out where empty, so that a method without files keeps its key
            **({"reads": reads} if reads else {}),
        }

    @property
    def outline(self) -> dict[str, Any]:
        """Kind, class and fields, without the version, because it names the random draws."""
        fields = {name: outline(getattr(self, name)) for name in type(self).model_fields}
        return {"class": f"{self.kind}:{type(self).__qualname__}", "fields": fields}

    def unit_of(self, name: str) -> str:
        """The unit of a field, or of a coordinate of a measure's rows; empty if it has none.

        By default it is the Unit in the field's annotation. Override this for a unit that depends
        on other fields, and for the coordinates that a measure gives its rows.
        """
        field = type(self).model_fields.get(name)
        return "" if field is None else annotated_unit(field)

    def used(self, name: str) -> Any:
        """The value of a field that a run uses; for one left open, what follows from others.

        Reports show it. Override this for such fields.
        """
        return getattr(self, name)

    def smoke(self) -> Self:
        """The cheapest version that runs all of the code: one epoch, two steps, a narrow net."""
        changes: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                items = cast(tuple[Any, ...], value)
                changes[name] = tuple(_cheapest(name, item) for item in items)
            else:
                changes[name] = _cheapest(name, value)
        return self.model_copy(update=changes)
