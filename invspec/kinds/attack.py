"""Attacks."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from invspec.kinds.method import Method

if TYPE_CHECKING:
    from torch import nn

    from invspec.data import Batch, PathPromise, Perturbed
    from invspec.ops.draws import Draws
    from invspec.ops.losses import Loss


class Attack(Method):
    """A way of changing images, adversarial or not.

    sweep_field names a field whose larger values only add images to the searched set, as eps does
    for a ball. An example fooled at one value then counts as fooled at every larger one. So a sweep
    over that field runs upwards, on the examples not fooled yet: batch.start is the result of the
    previous run, and `perturb` starts from it. Examples that withstand this are attacked once more
    without batch.start.

    needs_float32: results are so near the decision boundary that, if found in bfloat16, they are
    often on the wrong side of it in float32, in which they are judged. The attack searches in
    float32 whatever the precision of the spec.

    leaves_bounds: pixels of the results may be out of bounds, as those of metamers are.

    ignores_model: a transform of images, such as a rotation, which runs no model. Other attacks may
    attack its images: a spec says so by `before`.

    keeps_images: x_adv is always batch.x. The store then does not hold it, and measures read the
    images of the data set.
    """

    kind: ClassVar[str] = "attack"
    sweep_field: ClassVar[str | None] = None
    needs_float32: ClassVar[bool] = False
    leaves_bounds: ClassVar[bool] = False
    ignores_model: ClassVar[bool] = False
    keeps_images: ClassVar[bool] = False

    @property
    def gradient_loss(self) -> Loss | None:
        """The loss whose input gradients it follows, or the one that vanishes where its own does.

        None if it uses no gradients. Checks see whether those gradients can be trusted.
        """
        return "ce"

    @property
    def wants_target(self) -> bool:
        """Whether it needs batch.x_target, an image of another class; the sample says which."""
        return False

    @property
    def wants_generator(self) -> bool:
        """Whether it needs batch.generated, what a generator makes of x and x_target."""
        return False

    @property
    def path_vertices(self) -> int:
        """Largest number of images on a stored path; 0 if the attack stores no path."""
        return 0

    @property
    def path_promise(self) -> PathPromise | None:
        """What holds for every path that the attack keeps; None if nothing is promised."""
        return None

    @property
    def keeps_last(self) -> bool:
        """Whether it returns its last image unjudged, so that the check `silent` applies to it."""
        return False

    @property
    def least_classes(self) -> int:
        """The least number of classes of a data set on which it can be used."""
        return 2

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        """Attack batch.x.

        Must leave batch and model as they are: images, labels, weights, buffers, .grad, modes,
        requires_grad and hooks. x_adv has the shape and dtype of batch.x and is finite. It is
        within batch.bounds, unless leaves_bounds says otherwise, and within eps of batch.x, if the
        attack has fields eps and norm. All of this is verified in a run.

        Draws come from rng, so that they do not depend on the batch. The global generators are
        seeded for each batch; a run warns of an attack that draws from them.
        """
