"""Fits of classifiers that several measures share, as long as a process remembers them."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from torch import Tensor

from invspec.data import Split, TensorSplit

# Fits that are remembered, about 6 MB each for codes of 1,000 numbers.
CAPACITY = 8


@dataclass(frozen=True)
class Fitted:
    """The weights of a fitted classifier, and its loss on held-out examples (NaN without any)."""

    weights: dict[str, Tensor]
    held_out_loss: float


class Fits:
    """The last few fits, found by what they were fitted to and how.

    A fit is a function of its recipe, which seeds its draws, and of its examples. So two measures
    that fit the same classifier to the codes of one net get the same bits, whether the second one
    fits it again or finds it here. Other processes and later runs fit their own.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity, self._lock = capacity, Lock()
        self._fitted = OrderedDict[str, Fitted]()

    def of(self, codes: TensorSplit, recipe: str, fit: Callable[[], Fitted]) -> Fitted:
        """The fit to these codes by this recipe, made now if it is not remembered."""
        key = digest(recipe, codes.pixels, codes.labels())
        with self._lock:
            if key in self._fitted:
                self._fitted.move_to_end(key)
                return self._fitted[key]
        # without the lock: two threads that want one fit at once make it twice
        fitted = fit()
        with self._lock:
            self._fitted[key] = fitted
            while len(self._fitted) > self._capacity:
                self._fitted.popitem(last=False)
        return fitted


FITS = Fits()


def fitted_once(codes: Split, recipe: str, fit: Callable[[], Fitted]) -> Fitted:
    """The fit to codes by a recipe; shared if the codes are in memory, else made now."""
    return FITS.of(codes, recipe, fit) if isinstance(codes, TensorSplit) else fit()


def digest(recipe: str, *tensors: Tensor) -> str:
    """A digest of a recipe, and of tensors with their devices."""
    hashed = hashlib.sha256(recipe.encode())
    for tensor in tensors:
        hashed.update(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.device}".encode())
        hashed.update(tensor.detach().cpu().contiguous().numpy().data)
    return hashed.hexdigest()
