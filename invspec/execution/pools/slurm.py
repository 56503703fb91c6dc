"""Workers in Slurm jobs: pilots, submitted through submitit, that call the run and serve it.

Every node must have the same Python and invspec, and see the store under the same path.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import traceback
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError, SpecError, first_line
from invspec.execution.pools import home, pilot
from invspec.execution.pools.home import Home
from invspec.execution.pools.pilots import PilotPool
from invspec.execution.pulse import PATIENCE, Patience, between_signs
from invspec.registry import cards

# minutes of a job, and how often one whose time is over may be requeued
MINUTES, RENEWALS = 60, 10_000
# seconds that a command of Slurm may take
COMMAND = 30
# Slurm's forms of a time: [days-]hours[:minutes[:seconds]] and minutes[:seconds]
DAYS = re.compile(r"(\d+)-(\d+)(?::(\d+))?(?::(\d+))?")
CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+)|(\d+)")


def _submitit() -> Any:
    """The package submitit, which is optional. Raises InvspecError without it."""
    try:
        return importlib.import_module("submitit")
    except ImportError:
        raise InvspecError(
            "--executor slurm needs the package submitit",
            hint="install invspec with its extra slurm",
        ) from None


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


# ─ on the nodes ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Call:
    """What a job does: it calls the run that wrote the file, and serves it."""

    file: Path

    def __call__(self) -> None:
        """Serve until the run or this job ends, which ends this process."""
        code = 1
        try:
            code = pilot.run(self.file, _submitit().JobEnvironment().job_id)
        except SystemExit as end:
            # submitit has requeued the job
            code = int(end.code or 0) & 0xFF
        except InvspecError as problem:
            print(problem, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        pilot.leave(code)

    def checkpoint(self) -> Any:
        """The same call, for when the job is requeued: trainings have checkpoints of their own."""
        return _submitit().helpers.DelayedSubmission(self)


# ─ in the run ─────────────────────────────────────────────────────────────────────────────────────


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
        _submitit()
        listening = Home(self.host)
        jobs = SlurmJobs(_private_folder(root), self.minutes, self._options())
        try:
            pause = between_signs(self.patience)
            shared = pilot.settings(root, cards.added(), self.batch_size, pause)
            home.write(jobs.file, listening.facts() | shared)
            number = min(self.workers, tasks)
            return PilotPool(listening, jobs, root, number, Patience(self.patience))
        except BaseException:
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


@contextmanager
def _refusals() -> Generator[None, None, None]:
    """Turn what submitit and Slurm say against jobs into an InvspecError."""
    try:
        yield
    except Exception as problem:
        said = re.search(r"error: (.+)", str(problem))
        reason = said[1] if said else first_line(problem)
        hint = "run on a login node, and check --partition, --time, --gres and --account"
        raise InvspecError(f"Slurm takes no jobs: {reason}", hint=hint) from None


@contextmanager
def _outside_of_jobs() -> Generator[None, None, None]:
    """Hide that this process is part of a Slurm job, if it is: new jobs would inherit its size."""
    inherited = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("SLURM_") and name != "SLURM_CONF"
    }
    try:
        yield
    finally:
        os.environ.update(inherited)


class SlurmJobs:
    """Jobs of a run, told from others by their name. Their pickles and logs are in a folder."""

    cluster = "slurm"

    def __init__(self, folder: Path, limit: int, options: dict[str, Any]) -> None:
        self.folder, self.file = folder, folder / "home.json"
        self.name = f"invspec-{folder.name}"
        self.jobs: dict[str, Any] = {}
        self._parameters = {"timeout_min": limit, "name": self.name, **options}

    def submit(self, number: int) -> list[str]:
        """Submit jobs, as in Jobs."""
        submitit = _submitit()
        with _refusals(), _outside_of_jobs():
            executor = submitit.AutoExecutor(
                self.folder, cluster=self.cluster, slurm_max_num_timeout=RENEWALS
            )
            executor.update_parameters(**self._parameters)
            with executor.batch():
                submitted = [executor.submit(Call(self.file)) for _ in range(number)]
        self.jobs |= {job.job_id: job for job in submitted}
        return [job.job_id for job in submitted]

    def alive(self) -> set[str] | None:
        """The jobs in Slurm's queue, as in Jobs. Needs no accounting."""
        lines = _output("squeue", "--noheader", "--array", "--format=%i", f"--name={self.name}")
        return None if lines is None else set(lines.split())

    def cancel(self, job: str) -> None:
        """Cancel a job, as in Jobs."""
        _output("scancel", "--quiet", job)

    def last_words(self, job: str) -> str:
        """The last line of a job's log, as in Jobs."""
        try:
            lines = Path(self.jobs[job].paths.stderr).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        said = [line.strip() for line in lines if line.strip() and not line.startswith("hint:")]
        return said[-1] if said else ""

    def close(self, keep: bool) -> None:
        """Cancel all jobs, as in Jobs."""
        self.cancel_all()
        self.file.unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):
                self.folder.parent.rmdir()

    def cancel_all(self) -> None:
        """Cancel all jobs that are left."""
        if self.jobs:
            _output("scancel", "--quiet", f"--name={self.name}")


def _output(*command: str) -> str | None:
    """What a command of Slurm prints; None if it fails, as while the controller is away."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=COMMAND
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
