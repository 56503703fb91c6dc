"""What a method may require of a model beyond logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

# Methods of a Bijective model that take images, as the model itself does, and all methods that
# take a batch. Proxies cast, pad and count their arguments.
ENCODERS = ("encode", "encode_with_log_det")
BATCHED = (*ENCODERS, "decode")


@runtime_checkable
class Standardised(Protocol):
    """A model that first subtracts a mean and divides by a standard deviation, per channel."""

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        ...


@runtime_checkable
class Centred(Standardised, Protocol):
    """A standardised model that also gives the mean that it subtracts."""

    @property
    def pixel_mean(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        ...


@runtime_checkable
class TwoLayer(Protocol):
    """A model that is W2 relu(W1 x + b1) + b2 of the D flattened pixels, with h hidden units."""

    @property
    def hidden_weight(self) -> Tensor:
        """W1, (h, D)."""
        ...

    @property
    def hidden_bias(self) -> Tensor:
        """b1, (h,)."""
        ...

    @property
    def output_weight(self) -> Tensor:
        """W2, (K, h)."""
        ...

    @property
    def output_bias(self) -> Tensor:
        """b2, (K,)."""
        ...


@runtime_checkable
class Penalised(Protocol):
    """A model that adds a term of its own to its training loss."""

    def penalty(self) -> Tensor:
        """The term, a scalar, for the batch that the model saw last."""
        ...


@runtime_checkable
class Calibrated(Protocol):
    """A layer whose weights are computed from training images, before the first update."""

    def calibrate(self, x: Tensor) -> None:
        """Set the weights by what the layer reads of some images, (N, C, H, W)."""
        ...


@runtime_checkable
class Bijective(Protocol):
    """A model that is a bijection between its D pixels and D numbers, K of which are its logits.

    These numbers are its code. Preprocessing, such as scaling, is part of the bijection and of its
    log-determinant.
    """

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) to semantic (B, K), the logits, and nuisance (B, D - K), the rest."""
        ...

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `encode`, with the log of the Jacobian's absolute determinant (B,), in nats."""
        ...

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        """The exact inverse of encode: x (B, C, H, W)."""
        ...


@runtime_checkable
class EndsInMap(Bijective, Protocol):
    """A bijection that ends in a map of its nuisance (firevnet with nuisance_given_logits: true).

    The map depends on the logits and has an optimum in closed form.
    """

    def fit_last(self, images: Iterable[Tensor]) -> None:
        """Fit the map to batches (B, C, H, W) of images by maximum likelihood."""
        ...
