"""Adapter for the attacks of Foolbox."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any, ClassVar, Self

from pydantic import Field
from torch import Tensor

from invspec.data import Batch
from invspec.search.foreign import Counting, quiet
from invspec.search.foreign_attack import Arguments, ForeignAttack, NotInstalled


class Foolbox(ForeignAttack):
    """Run an attack of Foolbox, named by its class in foolbox.attacks.

    With eps the result is Foolbox's image, clipped to the eps-ball in the attack's own norm.
    Without eps the attack must minimise the distance; as with our minimum-norm attacks, the result
    is x if no adversarial image was found or x is already misclassified, which costs one forward
    pass to check.
    """

    library: ClassVar[str] = "Foolbox"

    attack: str = Field(
        default="L2DeepFoolAttack", description="name of a class in foolbox.attacks"
    )

    @classmethod
    def _classes(cls) -> Mapping[str, Any]:
        return attacks()

    def _check(self) -> None:
        is_fixed = isinstance(self._build(), library().attacks.base.FixedEpsilonAttack)
        if self.eps is None and is_fixed:
            raise ValueError("needs eps, the radius of the ball to search; found none")

    def smoke(self) -> Self:
        """Two steps, if the attack has a parameter `steps`."""
        if "steps" not in self._parameters(self.attack):
            return self
        return self.model_copy(update={"params": Arguments(self.params, steps=2)})

    def _run(self, model: Counting, batch: Batch, y: Tensor) -> Tensor:
        foolbox = library()
        net = foolbox.models.PyTorchModel(model, bounds=batch.bounds, device=batch.x.device)
        goal = foolbox.criteria.Misclassification(y)
        _, x_adv, success = self._build()(net, batch.x, goal, epsilons=self.eps)
        return x_adv if self.eps is not None or success else batch.x

    def _build(self) -> Any:
        with quiet():
            return attacks()[self.attack](**self.params)


@cache
def library() -> ModuleType:
    """The module foolbox. Raises: NotInstalled."""
    try:
        with quiet():
            import foolbox
    except ImportError:
        raise NotInstalled(
            "Foolbox is not installed", hint="pip install 'invspec[foolbox]'"
        ) from None
    return foolbox


@cache
def attacks() -> dict[str, Any]:
    """All attacks that can be built, by name; some have two names."""
    base = library().attacks.Attack
    classes = {
        name: value
        for name, value in sorted(vars(library().attacks).items())
        if isinstance(value, type) and issubclass(value, base)
    }
    return {name: cls for name, cls in classes.items() if not inspect.isabstract(cls)}
