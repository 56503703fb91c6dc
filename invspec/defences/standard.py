"""Training on the images as they are."""

from __future__ import annotations

from invspec.training.loop import Training


class Standard(Training):
    """Learn each batch as it comes; the defaults are Kamath et al.'s recipe for MNIST."""
