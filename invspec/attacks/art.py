"""Adapter for the attacks of the Adversarial Robustness Toolbox (ART)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch
from invspec.ops.types import Norm
from invspec.search.foreign import Counting, quiet
from invspec.search.foreign_attack import Arguments, NotInstalled
from invspec.search.foreign_ball import BallAttack
from invspec.search.gradients import logits_of

NORMS: Mapping[Norm, float] = {"linf": np.inf, "l2": 2, "l1": 1}
# its eps is a Wasserstein distance
OTHER_BALLS = ("Wasserstein",)


class ART(BallAttack):
    """Run an evasion attack of ART, named by its class in art.attacks.evasion.

    Parameters keep ART's names and defaults, except eps and norm, which are fields:
    `{attack: ProjectedGradientDescent, eps: 8/255, params: {eps_step: 2/255, max_iter: 40}}`.
    ART computes on arrays of numpy, so that images travel between the device and the CPU.
    """

    library: ClassVar[str] = "ART"
    reserved: ClassVar[frozenset[str]] = frozenset(
        {"eps", "norm", "targeted", "verbose", "summary_writer"}
    )
    norms: ClassVar[Mapping[str, Norm]] = {"VirtualAdversarialMethod": "l2"}

    attack: str = Field(default="DeepFool", description="name of a class in art.attacks.evasion")

    @classmethod
    def _classes(cls) -> Mapping[str, Any]:
        return attacks()

    def _norm(self) -> float:
        return NORMS[self.norm]

    def _check(self) -> None:
        self._check_ball()
        self._build(stand_in())

    def smoke(self) -> Self:
        """Two steps, if the attack has a parameter `max_iter`."""
        if "max_iter" not in self._parameters(self.attack):
            return self
        return self.model_copy(update={"params": Arguments(self.params, max_iter=2)})

    def _run(self, model: Counting, batch: Batch, y: Tensor) -> Tensor:
        classes = logits_of(model, batch.x).shape[1]
        attack = self._build(_estimator(model, batch, classes))
        # arrays share the memory of a tensor on the CPU, and some attacks write to their input
        x_adv = attack.generate(batch.x.cpu().numpy().copy(), y.cpu().numpy())
        if not isinstance(x_adv, np.ndarray) or x_adv.shape != batch.x.shape:
            raise ValueError("makes something other than an image of the same size")
        return self._kept(model, batch, y, torch.from_numpy(x_adv).to(batch.x))

    def _build(self, estimator: Any) -> Any:
        silent = {"verbose": False} if self._takes(self.attack, "verbose") else {}
        with quiet():
            return attacks()[self.attack](estimator, **silent, **self._arguments())


class Remote(nn.Module):
    """A net on any device as one on the CPU, where ART computes, partly in float64.

    like: a tensor with the type and on the device of the net's images. The net is no module of this
    one, so that ART, which moves its models and sets their modes, leaves it alone.
    """

    def __init__(self, net: nn.Module, like: Tensor) -> None:
        super().__init__()
        self.nets, self.like = (net,), like

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K), on the device of x."""
        return self.nets[0](x.to(self.like)).to(x.device)


def _estimator(model: nn.Module, batch: Batch, classes: int) -> Any:
    """A net as ART takes it."""
    return library().estimators.classification.PyTorchClassifier(
        Remote(model, batch.x),
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(batch.x.shape[1:]),
        nb_classes=classes,
        clip_values=batch.bounds,
        device_type="cpu",
    )


@cache
def stand_in() -> Any:
    """A small net as ART takes it, on which attacks can be built to check their parameters."""
    batch = Batch(torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.int64), torch.arange(1))
    return _estimator(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)), batch, classes=2)


@cache
def library() -> ModuleType:
    """The module art. Raises: NotInstalled."""
    try:
        with quiet():
            for module in ("art.attacks.evasion", "art.estimators.classification"):
                import_module(module)
            return import_module("art")
    except ImportError:
        raise NotInstalled("ART is not installed", hint="pip install 'invspec[art]'") from None


@cache
def attacks() -> dict[str, Any]:
    """All evasion attacks on images that a net is enough to build, by name."""
    evasion = library().attacks.evasion
    base = library().attacks.EvasionAttack
    return {
        name: value
        for name, value in sorted(vars(evasion).items())
        if isinstance(value, type) and issubclass(value, base) and _needs_a_net_only(value)
    }


def _needs_a_net_only(attack: Any) -> bool:
    requirements = attack._estimator_requirements
    if inspect.isabstract(attack) or attack.__name__ in OTHER_BALLS or requirements is None:
        return False
    _, *others = inspect.signature(attack).parameters.values()
    has_defaults = all(parameter.default is not parameter.empty for parameter in others)
    return has_defaults and attack.is_estimator_valid(stand_in(), requirements)
