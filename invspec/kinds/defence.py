"""Defences."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from invspec.kinds.method import Method
from invspec.ops.types import Shape

if TYPE_CHECKING:
    from torch import nn

    from invspec.data import Curves, Journal, Split
    from invspec.ops.draws import Stream


class Defence(Method):
    """A training method."""

    kind: ClassVar[str] = "defence"

    # where the weights of its nets come from; published ones are the same for every seed
    weights_from: ClassVar[Literal["trained", "initial", "published"]] = "trained"

    def require_files(self, sketch: nn.Module, shape: Shape, classes: int) -> None:
        """Raise InvspecError if a file that `train` reads is missing or does not fit the model.

        Called before anything runs, with the model without weights and the shape and classes of the
        data. By default no file is read.
        """

    @abstractmethod
    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fit the model in place, on the device of its weights, whose precision it keeps.

        Returns curves by name, one number per epoch.

        Raises: InvspecError if the loss is not finite.
        """


class FeatureTraining(Defence):
    """A training that may compare images by the features of a second, frozen net."""

    @property
    @abstractmethod
    def takes_features(self) -> bool:
        """Whether its fields let it use a second net; without one it uses its own."""

    @abstractmethod
    def train_by(
        self, model: nn.Module, features: nn.Module, data: Split, rng: Stream, journal: Journal
    ) -> Curves:
        """Fit the model in place, as `train` does, and leave the net of the features as it is."""


class GeneratorTraining(Defence):
    """A training of a generator, a model that makes images, against a frozen classifier."""

    @abstractmethod
    def train_against(
        self,
        generator: nn.Module,
        classifier: nn.Module,
        data: Split,
        rng: Stream,
        journal: Journal,
    ) -> Curves:
        """Fit the generator in place, as `train` does, and leave the classifier as it is."""

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fail: a plan gives it a classifier."""
        raise AssertionError("a generator is trained against a classifier")
