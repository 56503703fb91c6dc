"""Slurm's jobs, submitted through submitit: each is a pilot, which calls the run and serves it."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invspec.errors import InvspecError, first_line
from invspec.execution.pools import pilot
from invspec.execution.pools.jobs import State

# how often a job whose time is over may be requeued
RENEWALS = 10_000
# seconds that a command of Slurm may take
COMMAND = 30
# how lines of a log begin that Slurm prints
SLURM = ("srun: ", "slurmstepd: ")
# Slurm's words for states; all others say that a job was ended
WORDS = {
    State.PENDING: ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"),
    State.RUNNING: (
        *("RUNNING", "CONFIGURING", "COMPLETING", "SIGNALING", "STAGE_OUT"),
        *("STOPPED", "SUSPENDED", "RESIZING"),
    ),
    State.CRASHED: ("FAILED", "OUT_OF_MEMORY"),
}
STATES = {word: state for state, words in WORDS.items() for word in words}


def submitit() -> Any:
    """The package submitit, which is optional. Raises InvspecError without it."""
    try:
        return importlib.import_module("submitit")
    except ImportError:
        raise InvspecError(
            "--executor slurm needs the package submitit",
            hint="install invspec with its extra slurm",
        ) from None


@dataclass(frozen=True)
class Call:
    """What a job does: it calls the run that wrote the file, and serves it."""

    file: Path

    def __call__(self) -> None:
        """Serve until the run or this job ends, which ends this process."""
        code = 1
        try:
            code = pilot.run(self.file, submitit().JobEnvironment().job_id)
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
        return submitit().helpers.DelayedSubmission(self)


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
    commands = ("sbatch", "srun", "squeue", "scancel")

    def __init__(self, folder: Path, limit: int, options: dict[str, Any]) -> None:
        self.folder, self.file = folder, folder / "home.json"
        self.name = f"invspec-{folder.name}"
        self.jobs: dict[str, Any] = {}
        self._parameters = {"timeout_min": limit, "name": self.name, **options}

    def check(self) -> None:
        """Raise InvspecError if this machine lacks what jobs need."""
        submitit()
        for command in self.commands:
            if shutil.which(command) is None:
                hint = "run on a login node of the cluster, or see docs/slurm.md for other ways"
                raise InvspecError(f"no command {command} on this machine's PATH", hint=hint)

    def submit(self, number: int) -> list[str]:
        """Submit jobs, as in Jobs."""
        with _refusals(), _outside_of_jobs():
            executor = submitit().AutoExecutor(
                self.folder, cluster=self.cluster, slurm_max_num_timeout=RENEWALS
            )
            executor.update_parameters(**self._parameters)
            with executor.batch():
                submitted = [executor.submit(Call(self.file)) for _ in range(number)]
        self.jobs |= {job.job_id: job for job in submitted}
        return [job.job_id for job in submitted]

    def states(self) -> Mapping[str, State] | None:
        """The states of the jobs in Slurm's memory, as in Jobs. Needs no accounting."""
        shown = ("--noheader", "--array", "--states=all", "--format=%i %T")
        output = _output("squeue", *shown, f"--name={self.name}")
        if output is None:
            return None
        pairs = (line.split() for line in output.splitlines() if line.strip())
        return {job: STATES.get(word, State.STOPPED) for job, word in pairs}

    def cancel(self, job: str) -> None:
        """Cancel a job, as in Jobs."""
        _output("scancel", "--quiet", job)

    def last_words(self, job: str) -> str:
        """The last line of a job's log, as in Jobs."""
        own, of_slurm = self._log(job)
        return (own or of_slurm or [""])[-1]

    def death(self, job: str) -> str:
        """What srun says about the end of a process, as in Jobs."""
        _, of_slurm = self._log(job)
        return of_slurm[-1] if of_slurm else ""

    def _log(self, job: str) -> tuple[list[str], list[str]]:
        """The lines that a job's process printed, and those of Slurm; without hints."""
        try:
            text = Path(self.jobs[job].paths.stderr).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return [], []
        lines = [line.strip() for line in text.splitlines()]
        said = [line for line in lines if line and not line.startswith("hint:")]
        own = [line for line in said if not line.startswith(SLURM)]
        return own, [line for line in said if line.startswith(SLURM)]

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
