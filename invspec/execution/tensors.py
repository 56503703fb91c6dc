"""Tensors in a safetensors file, read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import safe_open
from torch import Tensor


class StoredTensors(Mapping[str, Tensor]):
    """The tensors of a file by name. Those whose name starts with hidden are left out."""

    def __init__(self, path: Path, hidden: str | None = None) -> None:
        self.path = path
        with safe_open(path, framework="pt") as file:
            names = tuple(file.keys())
        self._names = tuple(name for name in names if hidden is None or not name.startswith(hidden))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            return file.get_tensor(name)

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; the others are not read."""
        with safe_open(self.path, framework="pt") as file:
            return file.get_slice(name)[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
