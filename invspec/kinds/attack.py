"""Attacks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from invspec.kinds.method import Method

if TYPE_CHECKING:
    from torch import nn

    from invspec.data import Batch, PathPromise, Perturbed
    from invspec.ops.draws import Draws


class Attack(Method):
    """A way of changing images, adversarial or not.

    sweep_field names the field with which the searched set grows, as a ball grows with eps. An
    image fooled at a smaller value is then fooled at every larger one. So a sweep over that field
    runs upwards, on the images not fooled yet: batch.start holds the result of the run before, and
    `perturb` starts from it. Images that withstand this are attacked once more without it.

    needs_float32: its results lie so near the decision boundary that those found in bfloat16 are
    often on the wrong side in float32, in which they are judged. It searches in float32 whatever
    the precision of the spec.

    leaves_bounds: pixels of its images may lie outside the bounds, as those of metamers do.
    """

    kind: ClassVar[str] = "attack"
    sweep_field: ClassVar[str | None] = None
    needs_float32: ClassVar[bool] = False
    leaves_bounds: ClassVar[bool] = False

    @property
    def wants_target(self) -> bool:
        """Whether it needs batch.x_target, an image of another class; samples say which."""
        return False

    @property
    def path_vertices(self) -> int:
        """Largest number of images on a stored path; 0 if the attack stores no path."""
        return 0

    @property
    def path_promise(self) -> PathPromise | None:
        """What holds for every path that it keeps; None if nothing is promised."""
        return None

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        """Change batch.x. Leaves the model's weights, their .grad and its mode alone."""
