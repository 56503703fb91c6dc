"""Base class of the adapters for attacks of other libraries."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    StrictBool,
    StrictInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError, suggest
from invspec.kinds import Attack, Number, Pixels
from invspec.ops.draws import Draws
from invspec.ops.generators import seeded_by
from invspec.ops.losses import Loss
from invspec.ops.modules import frozen
from invspec.search.ball import eps_0_skips_model
from invspec.search.fields import Label
from invspec.search.foreign import Counting, quiet
from invspec.search.gradients import logits_of

Scalar = Annotated[StrictBool | StrictInt | Number | str | None, Field(union_mode="left_to_right")]


class Arguments(dict[str, Scalar]):
    """Keyword arguments of a constructor: a dict with a hash, so that a field can hold it."""

    # dict sets __hash__ to None
    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return hash(frozenset(self.items()))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(dict[str, Scalar]))


class NotInstalled(InvspecError, ValueError):
    """Also a ValueError, so that pydantic names the spec entry that needs the library."""


class ForeignAttack(Attack):
    """An attack of another library, named by its class there.

    Such an attack draws from the global generators of torch, numpy and Python. So that an example's
    result depends on that example only, each is attacked alone, after all three generators are
    seeded from its own draws; their states are restored afterwards. This is slower than attacking a
    whole batch: prefer our own attacks.

    Returns x_adv (B, C, H, W). eps 0 returns x without running the model. All passes are counted,
    including those in which the library judges images.
    Raises: InvspecError if the library is not installed or raises an error.
    """

    library: ClassVar[str]

    attack: str
    params: Arguments = Field(
        default=Arguments(), description="keyword arguments of its constructor"
    )
    eps: Pixels | None = Field(
        default=None, ge=0, description="radius of the ball; default: none, find the nearest image"
    )
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )

    @classmethod
    @abstractmethod
    def _classes(cls) -> Mapping[str, Any]:
        """All attacks that can be built, by name. Raises: NotInstalled."""

    @classmethod
    def _parameters(cls, name: str) -> list[str]:
        """The parameters of an attack's constructor that a spec may give."""
        return list(inspect.signature(cls._classes()[name]).parameters)

    @abstractmethod
    def _check(self) -> None:
        """Raises: TypeError, ValueError or AssertionError if the attack cannot be built."""

    @abstractmethod
    def _run(self, model: Counting, batch: Batch, y: Tensor) -> Tensor:
        """The image that the library returns for a batch of one example; x if it finds none."""

    @field_validator("attack")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in (known := cls._classes()):
            hint = suggest(name, known) or f"see the attacks of {cls.library}"
            raise ValueError(f"{cls.library} has no attack {name!r}; {hint}")
        return name

    @field_validator("params")
    @classmethod
    def _are_known(cls, params: Arguments, info: ValidationInfo) -> Arguments:
        if (name := info.data.get("attack")) is not None:
            known = cls._parameters(name) if params else []
            for unknown in sorted(params.keys() - set(known)):
                raise ValueError(
                    f"{name} has no {unknown!r}; {suggest(unknown, known, 'it takes')}"
                )
        return params

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if not self.model_fields_set & {"attack", "params"}:
            # the defaults can be listed without the library
            return self
        try:
            with quiet():
                self._check()
        except (TypeError, ValueError, AssertionError) as problem:
            raise ValueError(f"{self.attack}: {problem}") from None
        return self

    @property
    def gradient_loss(self) -> Loss:
        return "ce"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        # numpy takes seeds of at most 32 bits
        seeds = rng.integers(2**31, (len(batch),)).tolist()
        rows = torch.arange(len(batch)).split(1)
        # libraries expect gradients to be enabled, and their backward passes would add to the .grad
        # of weights that are not frozen
        with frozen(model), quiet(), torch.enable_grad():
            results = [
                self._perturb_one(model, batch.take(row), seed)
                for row, seed in zip(rows, seeds, strict=True)
            ]
        fields = ("x_adv", "forwards", "backwards")
        return Perturbed(
            *(torch.cat([getattr(result, name) for result in results]) for name in fields)
        )

    def _perturb_one(self, model: nn.Module, batch: Batch, seed: int) -> Perturbed:
        """The result for a batch of one example."""
        counting = Counting(model)
        prediction = logits_of(counting, batch.x).argmax(1)
        y = prediction if self.label == "predicted" else batch.y
        x_adv = batch.x
        if self.eps is not None or prediction == y:
            with seeded_by(seed):
                x_adv = self._contained(counting, batch, y)
        return Perturbed.costing(x_adv, counting.forwards, counting.backwards)

    def _contained(self, model: Counting, batch: Batch, y: Tensor) -> Tensor:
        """What the library returns. Raises: InvspecError with its own words."""
        try:
            return self._run(model, batch, y).detach().clamp(*batch.bounds)
        except (ValueError, ArithmeticError, NotImplementedError, AssertionError) as problem:
            raise InvspecError(
                f"{self.library}'s {self.attack}: {str(problem) or type(problem).__name__}"
            ) from problem
