"""Fields that several attacks share: their types, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from pydantic import BeforeValidator, Field, WithJsonSchema

from invspec.ops.losses import Loss, least_classes

# units of eps: pixels of [0, 1], or those of the model's standardised input
EpsSpace = Literal["pixel", "standardised"]

# the label to attack; YAML 1.1 reads an unquoted `true` as a boolean
Label = Annotated[
    Literal["true", "predicted"],
    BeforeValidator(lambda value: "true" if value is True else value),
    WithJsonSchema({"enum": ["true", "predicted", True]}),
]

# passes whose mean stands for one pass
Eot = Annotated[
    int | None,
    Field(
        ge=1,
        description="passes averaged into one, for nets that draw random numbers; default: 1",
    ),
]

# number of other classes that a minimum-norm attack targets one by one
Rivals = Annotated[
    int, Field(ge=0, description="number of likeliest other classes, each also targeted on its own")
]

# the loss that an attack ascends
Ascended = Annotated[
    Loss,
    Field(
        description="loss to maximise: ce, margin, dlr (Croce and Hein 2020) or confidence",
    ),
]

# Maini et al.'s attacks on MNIST, as a spec names them; msd with one ball is their l1 attack
MNIST_UNION: tuple[Mapping[str, Any], ...] = (
    {"use": "pgd", "norm": "linf", "eps": 0.3, "step_size": 0.01, "steps": 50},
    {"use": "pgd", "norm": "l2", "eps": 2.0, "step_size": 0.1, "steps": 100},
    {"use": "msd", "balls": [{"norm": "l1", "eps": 10, "step_size": 1.0}], "steps": 100},
)


class _HasLoss(Protocol):
    @property
    def loss(self) -> Loss: ...


class FollowsLoss:
    """Mixin of attacks that follow the gradient of their field `loss`."""

    @property
    def least_classes(self: _HasLoss) -> int:
        """The least number of classes that the loss compares."""
        return least_classes(self.loss)

    @property
    def gradient_loss(self: _HasLoss) -> Loss:
        """The loss itself."""
        return self.loss
