"""Where a run computes, by the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from invspec.errors import SpecError, suggest

if TYPE_CHECKING:
    from invspec.execution.pools.pool import Executor

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Choice:
    """The options of `run` that choose workers; None where they were not given."""

    engine: str = "local"
    devices: str | None = None
    workers: int | None = None
    per_device: int = 1
    batch_size: int | None = None
    address: str | None = None
    patience: float = 120

    def executor(self) -> Executor:
        """The executor. Raises SpecError if options contradict each other or name nothing."""
        self._check()
        return _ray(self) if self.engine == "ray" else _local(self)

    def first_device(self) -> str:
        """The device of this machine on which a run measures what specs leave open."""
        from invspec.execution.devices import devices

        return devices(self.devices, workers=None)[0]

    def _check(self) -> None:
        if self.engine not in ENGINES:
            hint = suggest(self.engine, ENGINES, "expected")
            raise SpecError(f"no executor {self.engine!r}", where="--executor", hint=hint)
        if self.devices is not None and self.workers is not None:
            raise SpecError(
                "cannot be combined with --devices",
                where="--workers",
                hint="--devices cpu,cpu starts two CPU workers",
            )
        if self.address is not None and self.engine == "local":
            hint = "add --executor ray"
            raise SpecError("needs another executor than local", where="--address", hint=hint)
        if self.devices is not None and self.engine != "local":
            hint = "give --workers and --per-device: the cluster chooses the devices"
            raise SpecError("is for --executor local", where="--devices", hint=hint)


def _local(choice: Choice) -> Executor:
    from invspec.execution.devices import devices, spares
    from invspec.execution.pools.local import LocalExecutor

    names = devices(choice.devices, choice.workers, choice.per_device)
    return LocalExecutor(names, choice.batch_size, choice.patience, spares(names))


def _ray(choice: Choice) -> Executor:
    from invspec.execution.pools.ray import RayExecutor

    return RayExecutor(
        choice.address, choice.workers, choice.per_device, choice.batch_size, choice.patience
    )
