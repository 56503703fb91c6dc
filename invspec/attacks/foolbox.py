"""Adapter for the attacks of Foolbox."""

from __future__ import annotations

import inspect
from functools import cache
from types import ModuleType
from typing import Annotated, Any, Self

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


class Foolbox(Attack):
    """Run an attack of Foolbox, named by its class in foolbox.attacks.

    With eps the result is Foolbox's image, clipped to the eps-ball in the attack's own norm.
    Without eps the attack must minimise the distance; as with our minimum-norm attacks, the result
    is x if no adversarial image was found or x is already misclassified, which costs one forward
    pass to check.

    Foolbox draws from the global generators of torch, numpy and Python. So that an example's result
    depends on that example only, each is attacked alone, after all three generators are seeded from
    its own draws; their states are restored afterwards. This is slower than attacking a whole
    batch: prefer our own attacks.

    Returns x_adv (B, C, H, W). eps 0 returns x without running the model. All passes are counted,
    including those in which Foolbox judges images.
    Raises: InvspecError if Foolbox is not installed or raises an error.
    """

    attack: str = Field(
        default="L2DeepFoolAttack", description="name of a class in foolbox.attacks"
    )
    params: Arguments = Field(
        default=Arguments(), description="keyword arguments of its constructor"
    )
    eps: Pixels | None = Field(
        default=None, ge=0, description="radius of the ball; default: none, find the nearest image"
    )
    label: Label = Field(
        default="true", description="label to attack: true, or predicted by the model"
    )

    @field_validator("attack")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in (known := attacks()):
            hint = suggest(name, known) or "see foolbox.attacks"
            raise ValueError(f"Foolbox has no attack {name!r}; {hint}")
        return name

    @field_validator("params")
    @classmethod
    def _are_known(cls, params: Arguments, info: ValidationInfo) -> Arguments:
        if (name := info.data.get("attack")) is not None:
            known = inspect.signature(attacks()[name]).parameters
            for unknown in sorted(params.keys() - known.keys()):
                raise ValueError(
                    f"{name} has no {unknown!r}; {suggest(unknown, known, 'it takes')}"
                )
        return params

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        if not self.model_fields_set & {"attack", "params"}:
            # the defaults can be listed without Foolbox
            return self
        try:
            attack = self._build()
        except (TypeError, ValueError, AssertionError) as problem:
            raise ValueError(f"{self.attack}: {problem}") from None
        if self.eps is None and isinstance(attack, library().attacks.base.FixedEpsilonAttack):
            raise ValueError(
                f"{self.attack} needs eps, the radius of the ball to search; found none"
            )
        return self

    def smoke(self) -> Self:
        """Two steps, if the attack has a parameter `steps`."""
        if "steps" not in inspect.signature(attacks()[self.attack]).parameters:
            return self
        return self.model_copy(update={"params": Arguments(self.params, steps=2)})

    @property
    def gradient_loss(self) -> Loss:
        return "ce"

    @eps_0_skips_model
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        # numpy takes seeds of at most 32 bits
        seeds = rng.integers(2**31, (len(batch),)).tolist()
        rows = torch.arange(len(batch)).split(1)
        # Foolbox expects gradients to be enabled, and its backward passes would add to the .grad
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
                x_adv = self._run(counting, batch, y)
        return Perturbed.costing(x_adv, counting.forwards, counting.backwards)

    def _run(self, model: nn.Module, batch: Batch, y: Tensor) -> Tensor:
        """The image that Foolbox returns; x if it finds none."""
        foolbox = library()
        try:
            net = foolbox.models.PyTorchModel(model, bounds=batch.bounds, device=batch.x.device)
            goal = foolbox.criteria.Misclassification(y)
            _, x_adv, success = self._build()(net, batch.x, goal, epsilons=self.eps)
        except (ValueError, NotImplementedError, AssertionError) as problem:
            raise InvspecError(
                f"Foolbox's {self.attack}: {str(problem) or type(problem).__name__}"
            ) from problem
        if self.eps is None and not success:
            return batch.x
        return x_adv.detach().clamp(*batch.bounds)

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


class NotInstalled(InvspecError, ValueError):
    """Also a ValueError, so that pydantic names the spec entry that needs Foolbox."""


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
