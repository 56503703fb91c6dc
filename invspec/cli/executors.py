"""Where a run computes, by the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from invspec.errors import SpecError, suggest

if TYPE_CHECKING:
    from invspec.execution.pools.pool import Executor

ENGINES = ("local", "ray", "slurm")
# the least values of options, on the command line and in Python
LEAST = {"workers": 1, "per_device": 1, "batch_size": 1, "patience": 10}
# options that some engines alone understand
SPECIFIC = {
    "address": "ray",
    "partition": "slurm",
    "time": "slurm",
    "gres": "slurm",
    "account": "slurm",
    "host": "slurm",
}


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
    partition: str | None = None
    time: str | None = None
    gres: str | None = None
    account: str | None = None
    host: str | None = None

    def executor(self) -> Executor:
        """The executor. Raises SpecError if options contradict each other or name nothing."""
        self._check()
        return {"local": _local, "ray": _ray, "slurm": _slurm}[self.engine](self)

    def first_device(self) -> str:
        """The device of this machine on which a run measures what specs leave open."""
        from invspec.execution.devices import devices

        return devices(self.devices, workers=None)[0]

    def _check(self) -> None:
        for option, least in LEAST.items():
            value = getattr(self, option)
            if value is not None and not value >= least:
                where = f"--{option.replace('_', '-')}"
                raise SpecError(f"expected at least {least}, found {value}", where=where)
        if self.engine not in ENGINES:
            hint = suggest(self.engine, ENGINES, "expected")
            raise SpecError(f"no executor {self.engine!r}", where="--executor", hint=hint)
        if self.devices is not None and self.workers is not None:
            raise SpecError(
                "cannot be combined with --devices",
                where="--workers",
                hint="--devices cpu,cpu starts two CPU workers",
            )
        for option, engine in SPECIFIC.items():
            if getattr(self, option) is not None and self.engine != engine:
                text, hint = f"needs the executor {engine}", f"add --executor {engine}"
                raise SpecError(text, where=f"--{option}", hint=hint)
        if self.per_device > 1 and self.engine == "slurm":
            hint = "--gres shard:1 shares a GPU, where the cluster has shards"
            raise SpecError("is not for --executor slurm", where="--per-device", hint=hint)
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


def _slurm(choice: Choice) -> Executor:
    from invspec.execution.pools.slurm import MINUTES, SlurmExecutor, minutes

    return SlurmExecutor(
        workers=choice.workers or 1,
        partition=choice.partition,
        minutes=MINUTES if choice.time is None else minutes(choice.time),
        gres=choice.gres,
        account=choice.account,
        host=choice.host,
        batch_size=choice.batch_size,
        patience=choice.patience,
    )
