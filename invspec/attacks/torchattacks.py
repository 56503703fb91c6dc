"""Adapter for the attacks of torchattacks."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Self

from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.ops.types import Norm
from invspec.search.foreign import Counting, quiet
from invspec.search.foreign_attack import Arguments, NotInstalled
from invspec.search.foreign_ball import BallAttack
from invspec.search.gradients import logits_of


class Torchattacks(BallAttack):
    """Run an attack of torchattacks, named by its class there, on images in [0, 1].

    Parameters keep torchattacks' names and defaults, `{attack: PGD, eps: 8/255, params: {alpha:
    2/255}}`, except eps and norm, which are fields, and the number of classes, the model's.
    """

    library: ClassVar[str] = "torchattacks"
    reserved: ClassVar[frozenset[str]] = frozenset({"eps", "norm", "n_classes"})
    norms: ClassVar[Mapping[str, Norm]] = {"PGDL2": "l2", "PGDRSL2": "l2"}

    attack: str = Field(default="DeepFool", description="name of a class in torchattacks")

    @classmethod
    def _classes(cls) -> Mapping[str, Any]:
        return attacks()

    def _norm(self) -> str:
        return self.norm.capitalize()

    def _check(self) -> None:
        self._check_ball()
        self._build(nn.Linear(1, 1), {})

    def smoke(self) -> Self:
        """Two steps, if the attack has a parameter `steps`."""
        if "steps" not in self._parameters(self.attack):
            return self
        return self.model_copy(update={"params": Arguments(self.params, steps=2)})

    def _run(self, model: Counting, batch: Batch, y: Tensor) -> Tensor:
        if batch.bounds != (0, 1):
            raise ValueError(f"attacks images in [0, 1]; found bounds {batch.bounds}")
        classes: dict[str, int] = {}
        if self._takes(self.attack, "n_classes"):
            classes = {"n_classes": logits_of(model, batch.x).shape[1]}
        attack = self._build(model, classes)
        attack.set_device(batch.x.device)
        return self._kept(model, batch, y, attack(batch.x, y))

    def _build(self, model: nn.Module, classes: Mapping[str, int]) -> Any:
        with quiet():
            return attacks()[self.attack](model, **classes, **self._arguments())


@cache
def library() -> ModuleType:
    """The module torchattacks. Raises: NotInstalled."""
    try:
        with quiet():
            return import_module("torchattacks")
    except ImportError:
        raise NotInstalled(
            "torchattacks is not installed", hint="pip install 'invspec[torchattacks]'"
        ) from None


@cache
def attacks() -> dict[str, Any]:
    """All attacks that a model is enough to build, by name."""
    base = library().attack.Attack
    return {
        name: value
        for name, value in sorted(vars(library()).items())
        if isinstance(value, type) and issubclass(value, base) and _needs_a_model_only(value)
    }


def _needs_a_model_only(attack: type) -> bool:
    first, *others = inspect.signature(attack).parameters.values()
    has_defaults = all(parameter.default is not parameter.empty for parameter in others)
    return first.name == "model" and has_defaults
