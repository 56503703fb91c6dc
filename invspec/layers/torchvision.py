"""Facts about the nets of torchvision."""

from __future__ import annotations

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
