"""Tensors in a safetensors file, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a file by name. Those whose name starts with hidden are left out.

    The file is opened once. Tensors are views of its content in memory: clone them to change them.
    """

    def __init__(self, path: Path, hidden: str | None = None) -> None:
        self._file: Any = safe_open(path, framework="pt")
        names: list[str] = self._file.keys()
        self._names = tuple(name for name in names if hidden is None or not name.startswith(hidden))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> Tensor:
        if name not in self:
            raise KeyError(name)
        return self.read(name)

    def read(self, name: str) -> Tensor:
        """A tensor, even if it is hidden."""
        return self._file.get_tensor(name)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; the others are not read."""
        return self._file.get_slice(name)[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
