"""Workers in Slurm jobs: pilots, submitted through submitit, that call the run and serve it.

Every node must have the same Python and invspec, and see the store under the same path.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.errors import SpecError
from invspec.execution.pools import home, pilot
from invspec.execution.pools.home import Home
from invspec.execution.pools.pilots import PilotPool
from invspec.execution.pools.slurm_jobs import SlurmJobs
from invspec.execution.pulse import PATIENCE, Patience, between_signs
from invspec.registry import cards

# minutes of a job
MINUTES = 60
# Slurm's forms of a time: [days-]hours[:minutes[:seconds]] and minutes[:seconds]
DAYS = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+)|(\d+)")
# generic resources that are GPUs, or shares of them
GPUS = ("gpu", "shard", "mps")


def minutes(text: str) -> int:
    """Minutes of a time as Slurm writes it, rounded up. Raises SpecError if it is none."""
    if match := DAYS.fullmatch(text):
        days, hours, mins, seconds = (int(part or 0) for part in match.groups())
    elif match := CLOCK.fullmatch(text):
        days, hours, mins, seconds = 0, *(int(part or 0) for part in match.groups()[:3])
        mins += int(match[4] or 0)
    else:
        hint = "expected minutes, HH:MM:SS or D-HH:MM:SS, as of sbatch"
        raise SpecError(f"no time {text!r}", where="--time", hint=hint)
    total = (days * 24 + hours) * 60 + mins + (seconds > 0)
    if total == 0:
        raise SpecError("no time at all", where="--time", hint="expected a minute or more")
    return total


def wants_gpu(gres: str) -> bool:
    """Whether a list of generic resources, such as gpu:a100:1,ssd, has a GPU."""
    kinds = {item.removeprefix("gres/").split(":")[0] for item in gres.split(",")}
    return not kinds.isdisjoint(GPUS)


@dataclass(frozen=True)
class SlurmExecutor:
    """Runs tasks in `workers` Slurm jobs, which call this machine at host.

    minutes is the time limit of a job, which is requeued when it is over.
    """

    workers: int = 1
    partition: str | None = None
    minutes: int = MINUTES
    gres: str | None = None
    account: str | None = None
    host: str | None = None
    batch_size: int | None = None
    patience: float = PATIENCE

    def open(self, root: Path, tasks: int) -> PilotPool:
        """Listen for pilots and submit their jobs, no more than there are tasks.

        Raises: InvspecError if there is no Slurm, or if it refuses the jobs.
        """
        jobs = SlurmJobs(_private_folder(root), self.minutes, self._options())
        listening = None
        try:
            jobs.check()
            listening = Home(self.host)
            pause = between_signs(self.patience)
            shared = pilot.settings(
                root, cards.added(), self.batch_size, pause, gpu=wants_gpu(self.gres or "")
            )
            home.write(jobs.file, listening.facts() | shared)
            number = min(self.workers, tasks)
            return PilotPool(listening, jobs, root, number, Patience(self.patience))
        except BaseException:
            if listening is not None:
                listening.close()
            jobs.close(keep=False)
            raise

    def _options(self) -> dict[str, Any]:
        """Options of sbatch, as submitit names them."""
        named = {"partition": self.partition, "gres": self.gres, "account": self.account}
        given = {f"slurm_{name}": value for name, value in named.items() if value is not None}
        return {**given, "slurm_additional_parameters": {"requeue": True}}


def _private_folder(root: Path) -> Path:
    """A new folder in the store for the user only: the jobs run what lies in it."""
    folder = root / "pilots" / uuid.uuid4().hex[:8]
    folder.mkdir(parents=True, mode=0o700)
    return folder
