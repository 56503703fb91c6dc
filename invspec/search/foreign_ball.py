"""Attacks of other libraries whose radius and norm are arguments of a constructor."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from invspec.data import Batch
from invspec.ops.types import Norm
from invspec.search.ball import Ball
from invspec.search.foreign import Counting
from invspec.search.foreign_attack import ForeignAttack
from invspec.search.gradients import logits_of


class BallAttack(ForeignAttack):
    """An attack of another library in a ball that we know, or without one.

    With eps, which goes to the constructor, the result is the library's image, projected onto the
    ball. An attack whose constructor takes no eps minimises a distance; as with our minimum-norm
    attacks, the result is x if no adversarial image was found or x is already misclassified, which
    costs a forward pass each to check.
    """

    # parameters that this adapter sets itself
    reserved: ClassVar[frozenset[str]]
    # the norm of attacks that cannot choose one, where it is not linf
    norms: ClassVar[Mapping[str, Norm]]

    norm: Norm = Field(
        default="linf",
        description="norm of the ball, or of the distance that is minimised, if it can be chosen",
    )

    @classmethod
    def _parameters(cls, name: str) -> list[str]:
        parameters = list(inspect.signature(cls._classes()[name]).parameters)
        # the first is the model
        return [parameter for parameter in parameters[1:] if parameter not in cls.reserved]

    @classmethod
    def _takes(cls, name: str, parameter: str) -> bool:
        return parameter in inspect.signature(cls._classes()[name]).parameters

    @abstractmethod
    def _norm(self) -> Any:
        """The norm in the library's words."""

    def _arguments(self) -> dict[str, Any]:
        """The keyword arguments of the constructor, with those that are fields of ours."""
        fields = {"eps": self.eps, "norm": self._norm()}
        own = {name: value for name, value in fields.items() if self._takes(self.attack, name)}
        return {**own, **self.params}

    def _check_ball(self) -> None:
        """Raises: ValueError if eps or norm do not suit the attack."""
        if self._takes(self.attack, "eps") != (self.eps is not None):
            if self.eps is None:
                raise ValueError("needs eps, the radius of the ball to search; found none")
            raise ValueError(f"takes no eps, as it looks for the nearest image; found {self.eps:g}")
        own = self.norms.get(self.attack, "linf")
        if self.eps is not None and not self._takes(self.attack, "norm") and own != self.norm:
            raise ValueError(f"searches an {own} ball; found norm {self.norm}")

    def _kept(self, model: Counting, batch: Batch, y: Tensor, x_adv: Tensor) -> Tensor:
        """The library's image in the ball; without one, x if the image is not adversarial."""
        if self.eps is not None:
            return Ball(self.norm, self.eps, batch.bounds).project(x_adv, batch.x)
        x_adv = x_adv.clamp(*batch.bounds)
        return x_adv if logits_of(model, x_adv).argmax(1) != y else batch.x
