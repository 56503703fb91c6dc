"""Global switches of torch, and those that decide how a GPU multiplies numbers of float32.

A GPU may round the factors of products to TF32, which has the range of float32 and 11 significant
bits. Torch has old switches for this, and newer ones since 2.9. It refuses to read, and perhaps to
multiply, where the two contradict each other. Setting an old one sets the newer ones with it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import backends


class Switch(NamedTuple):
    """An attribute of torch and the value that it has while a task runs."""

    owner: Any
    name: str
    value: Any

    def set(self) -> None:
        """Give the attribute its value."""
        setattr(self.owner, self.name, self.value)


# the old ones
TF32 = (
    Switch(backends.cuda.matmul, "allow_tf32", False),
    Switch(backends.cudnn, "allow_tf32", False),
)
# the newer ones, general ones first, because each sets what is under it; that of mkldnn before all
# others, because torch 2.14 sets the most general one in its place
PRECISION = tuple(
    Switch(owner, "fp32_precision", "ieee")
    for owner in (
        *(backends.mkldnn, backends, backends.cudnn, backends.cuda.matmul),
        *(getattr(backends.cudnn, name, None) for name in ("conv", "rnn")),
        *(getattr(backends.mkldnn, name, None) for name in ("matmul", "conv", "rnn")),
    )
    if hasattr(owner, "fp32_precision")
)
# the owners of newer ones that the old ones set
_UNDER_TF32 = (
    backends.cuda.matmul,
    *(getattr(backends.cudnn, name, None) for name in ("conv", "rnn")),
)


@contextmanager
def unchanged(switches: Sequence[Switch]) -> Generator[None]:
    """Restore the values of switches at the end."""
    before = [Switch(owner, name, _value(owner, name)) for owner, name, _ in switches]
    try:
        yield
    finally:
        for switch in before:
            if switch.value is not None:
                switch.set()


@contextmanager
def multiplying_in_tf32(wanted: bool) -> Generator[None]:
    """Let GPUs multiply in TF32, or keep them from it. Restored at the end.

    No other device is affected: the switches of CPU libraries stay as they are.
    """
    old = [switch._replace(value=wanted) for switch in TF32]
    value = "tf32" if wanted else "ieee"
    newer = [switch._replace(value=value) for switch in PRECISION if switch.owner in _UNDER_TF32]
    with unchanged(switches := (*old, *newer)):
        for switch in switches:
            switch.set()
        yield


def _value(owner: Any, name: str) -> Any:
    """None if it cannot be read: torch refuses the old switches where the newer ones differ."""
    try:
        return getattr(owner, name)
    except RuntimeError:
        return None
