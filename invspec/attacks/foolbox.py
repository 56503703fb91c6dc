"""Every attack of Foolbox, by its own name."""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Annotated, Any, Self

import numpy as np
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
from invspec.search.fields import Label
from invspec.search.gradients import logits_of

Scalar = Annotated[StrictBool | StrictInt | Number | str | None, Field(union_mode="left_to_right")]


class Arguments(dict[str, Scalar]):
    """What a constructor is given, by name; written as a mapping. It hashes, so that a method can hold it."""

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]  # dict says None
        return hash(frozenset(self.items()))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, handler(dict[str, Scalar]))


class Foolbox(Attack):
    """Run an attack of Foolbox, named by its class in foolbox.attacks.

    With eps the answer is what Foolbox clips to the eps-ball, in the attack's own norm. Without, the attack must be one
    that minimises the distance; as with our own, x comes back where nothing was found and where the prediction is not
    the label to begin with, which one forward pass settles.

    Foolbox draws from the global generators of torch, numpy and Python. So that an example's result depends on nothing
    but the example, each is attacked by itself, after seeding all three from its own draws; their states are restored
    afterwards. That is slow where many examples would have fitted into a batch: prefer our own attacks where there are.

    Returns x_adv (B, C, H, W). eps 0 does not ask the model. Every pass is counted, also those by which Foolbox judges.

    Raises: InvspecError where Foolbox is not installed, and where it refuses its task.
    """

    attack: str = Field(
        default="L2DeepFoolAttack", description="name of a class of foolbox.attacks"
    )
    params: Arguments = Field(
        default=Arguments(), description="what its constructor is given, by name"
    )
    eps: Pixels | None = Field(
        default=None, ge=0, description="radius of the ball; default: the nearest image"
    )
    label: Label = Field(
        default="true", description="leave the true label, or the one predicted for x"
    )

    @field_validator("attack")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in (known := attacks()):
            raise ValueError(
                f"Foolbox has no attack {name!r}; {suggest(name, known) or 'see foolbox.attacks'}"
            )
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
            return self  # the defaults, which may be looked at without Foolbox
        try:
            attack = self._build()
        except (TypeError, ValueError, AssertionError) as problem:
            raise ValueError(f"{self.attack}: {problem}") from None
        if self.eps is None and isinstance(attack, library().attacks.base.FixedEpsilonAttack):
            raise ValueError(f"{self.attack} searches a ball; give its radius eps")
        return self

    def smoke(self) -> Self:
        """Two steps, where the attack takes steps."""
        takes_steps = "steps" in inspect.signature(attacks()[self.attack]).parameters
        return (
            self.model_copy(update={"params": Arguments(self.params, steps=2)})
            if takes_steps
            else self
        )

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if self.eps == 0:
            return Perturbed.costing(batch.x, forwards=0, backwards=0)
        seeds = rng.integers(2**31, (len(batch),)).tolist()
        rows = torch.arange(len(batch)).split(1)
        with frozen(model), quiet(), torch.enable_grad():
            found = [
                self._attacked(model, batch.take(row), seed)
                for row, seed in zip(rows, seeds, strict=True)
            ]
        return Perturbed(
            *(
                torch.cat([getattr(one, name) for one in found])
                for name in ("x_adv", "forwards", "backwards")
            )
        )

    def _attacked(self, model: nn.Module, batch: Batch, seed: int) -> Perturbed:
        """The result for one example."""
        counting = Counting(model)
        prediction = logits_of(counting, batch.x).argmax(1)
        y = prediction if self.label == "predicted" else batch.y
        x_adv = batch.x
        if self.eps is not None or prediction == y:
            with seeded(seed):
                x_adv = self._found(counting, batch, y)
        return Perturbed.costing(x_adv, counting.forwards, counting.backwards)

    def _found(self, model: nn.Module, batch: Batch, y: Tensor) -> Tensor:
        foolbox = library()
        try:
            seen = foolbox.models.PyTorchModel(model, bounds=batch.bounds, device=batch.x.device)
            _, x_adv, success = self._build()(
                seen, batch.x, foolbox.criteria.Misclassification(y), epsilons=self.eps
            )
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


class Counting(nn.Module):
    """A net that counts the examples which pass forwards and backwards. It says eval mode, whatever the net's mode."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0
        self.training = False  # Foolbox would warn; the net's own mode stays

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        logits = self.net(x)
        self.forwards += len(x)
        if logits.requires_grad:
            logits.register_hook(self._returned)
        return logits

    def _returned(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@cache
def library() -> ModuleType:
    """Foolbox itself. Raises: InvspecError, which is a ValueError too, where it is not installed."""
    try:
        with quiet():
            import foolbox
    except ImportError:
        raise NotInstalled(
            "Foolbox is not installed", hint="pip install 'invspec[foolbox]'"
        ) from None
    return foolbox


class NotInstalled(InvspecError, ValueError):
    """As a ValueError, pydantic tells which entry of a spec it was that wanted Foolbox."""


@cache
def attacks() -> dict[str, Any]:
    """Every attack that can be built, by name; some have two."""
    base = library().attacks.Attack
    found = {
        name: one
        for name, one in vars(library().attacks).items()
        if isinstance(one, type) and issubclass(one, base)
    }
    return {name: one for name, one in sorted(found.items()) if not inspect.isabstract(one)}


@contextmanager
def quiet() -> Generator[None]:
    """No warnings: Foolbox's are about its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def frozen(model: nn.Module) -> Generator[None]:
    """Weights that need no gradient: Foolbox's backward passes would add to their .grad."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Global generators that start from seed, and afterwards go on as if nothing had been."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    python, legacy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)
